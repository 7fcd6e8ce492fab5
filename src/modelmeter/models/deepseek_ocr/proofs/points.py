"""DeepSeek-OCR as proofs see it, and the points at which its reference model is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

import torch
from attrs import asdict

from modelmeter.model.registry import find_model
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference_cache import WithoutCache
from modelmeter.models.deepseek_ocr.trace_reference import DTYPE, TraceWorkload, make_cache, prepare_runs
from modelmeter.models.deepseek_ocr.vision_tokens import count_tiles, image_tokens
from modelmeter.verify.proved_model import Point, PreparedRuns, ProvedModel

PROVED: Final = ProvedModel(
    model=find_model(DeepSeekOCRArchitecture.model),
    forward_run="prefill",
    repeated_stages=("vision", "projector"),
    dtype=DTYPE,
)


def list_workloads(patch_size: int) -> Iterator[TraceWorkload]:
    """Yield workloads at which different operators are the peak; sides in patches, and pixels that are left over."""
    for base, image, width, height, batch, pages, text, logits in (
        # The MLP of a SAM block on tiles, and on the global view; few logits, and many.
        (64, 40, 2, 3, 1, 1, 10, 3), (40, 40, 1, 1, 3, 1, 7, 101),
        # Padded windows; global attention; both on tiles.
        (15, 3, 0, 0, 5, 5, 3, 1), (131, 7, 1, 2, 1, 1, 1, 1), (3, 15, 1, 3, 3, 1, 3, 1), (3, 131, 2, 1, 1, 1, 1, 3),
        # The smallest views, and many of them.
        (1, 3, 2, 1, 7, 7, 5, 1), (3, 1, 9, 1, 1, 1, 131, 5), (1, 1, 0, 0, 9, 3, 5, 1), (14, 14, 2, 2, 1, 1, 1, 1),
        # A view that is one window; and many tiles of one token beside a larger view.
        (14, 42, 0, 0, 1, 1, 5, 1), (5, 1, 1, 9, 3, 1, 79, 7),
    ):  # fmt: skip
        views = (base * patch_size + base % patch_size // 2, image * patch_size, width, height)
        yield TraceWorkload(
            batch_size=batch,
            vision_batch_size=pages,
            base_size=views[0],
            image_size=views[1],
            num_width_tiles=width,
            num_height_tiles=height,
            seq_len=int(image_tokens(*views, patch_size)) + text,
            logits_tokens=logits,
        )


def make_points(architecture: DeepSeekOCRArchitecture, workloads: Iterable[TraceWorkload]) -> tuple[Point, ...]:
    """Return the points of ``workloads``, with a cache that a prefill fills and a decode step reads."""
    return tuple(_make_point(architecture, workload, is_cached=True) for workload in workloads)


def make_training_points(
    architecture: DeepSeekOCRArchitecture, workloads: Iterable[TraceWorkload]
) -> tuple[Point, ...]:
    """Return the points of ``workloads``, without a cache."""
    return tuple(_make_point(architecture, workload, is_cached=False) for workload in workloads)


def _make_point(architecture: DeepSeekOCRArchitecture, workload: TraceWorkload, *, is_cached: bool) -> Point:
    return Point(
        workload=asdict(workload),
        architecture=architecture.dimension_values(),
        prepare=partial(_prepare, architecture, workload, is_cached),
        calls=workload.images_per_prompt * workload.batch_size // workload.vision_batch_size,
        first_operators=1,  # the sum that tells whether the first page is blank
        has_plain_layers=not count_tiles(workload.num_width_tiles, workload.num_height_tiles),
        note="one expert" if architecture.n_routed_experts == 1 else "even shares of the tokens for the experts",
    )


def _prepare(
    architecture: DeepSeekOCRArchitecture, workload: TraceWorkload, is_cached: bool, dtype: torch.dtype
) -> PreparedRuns:
    if not is_cached:
        model, runs = prepare_runs(architecture, workload, WithoutCache(), dtype=dtype)
        return PreparedRuns(module=model, forwards=runs)
    cache = make_cache(architecture, workload, dtype)
    model, runs = prepare_runs(architecture, workload, cache, dtype=dtype)
    return PreparedRuns(module=model, forwards=runs, cache=cache.tensors)
