"""The peaks of the stages, against a walk over the live storages of the reference model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter

import sympy
import torch
from attrs import asdict

from modelmeter.analysis.peak import PEAK, find_peaks
from modelmeter.core.cost import FLOAT32_BITS, Precision
from modelmeter.core.evaluate import evaluate
from modelmeter.core.size_rules import substitute_sizes
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import STAGES, Stage, build_layers, list_inputs, stage_of, symbolic_sizes
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.models.deepseek_ocr.trace_reference import DTYPE, TraceWorkload, make_cache, prepare_runs
from modelmeter.models.deepseek_ocr.vision_tokens import image_tokens
from modelmeter.verify.live_storages import watch_storages
from modelmeter.verify.proof import Progress, Verdict

PRECISION = Precision(weight_bits=7, activation_bits=13, kv_bits=11)
"""Odd, so that bytes are fractions; no two alike, and none as wide as float32."""

WIDE = Precision(weight_bits=FLOAT32_BITS, activation_bits=FLOAT32_BITS, kv_bits=FLOAT32_BITS)
"""Where nothing is cast."""


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


def watch_stages(
    architecture: DeepSeekOCRArchitecture,
    workload: TraceWorkload,
    *,
    precision: Precision = PRECISION,
    dtype: torch.dtype = DTYPE,
) -> dict[Stage, int]:
    """Return the most bits that are alive beside an operator of each stage, in a prefill and a decode step."""
    cache = make_cache(architecture, workload, dtype)
    model, runs = prepare_runs(architecture, workload, cache, dtype=dtype)
    peaks = dict.fromkeys(STAGES, 0)
    for run, forward in runs.items():
        for live in watch_storages(model, forward, cache=cache.tensors):
            stage = stage_of(run, live.path)
            peaks[stage] = max(peaks[stage], int(live.alive.to_bits(precision)))
    return peaks


def prove_peaks(
    architecture: DeepSeekOCRArchitecture, workloads: Iterable[TraceWorkload], progress: Progress
) -> Iterator[Verdict]:
    """Yield a verdict on the peak of every stage at each workload."""
    known = architecture.dimension_values()
    dimensions = {**symbolic_sizes(), **known}
    peaks = find_peaks(
        build_layers(dimensions), stage_of, inputs=list_inputs(dimensions), stages=STAGES,
        rules=substitute_sizes(RULES, known),
    )  # fmt: skip
    for workload in workloads:
        for dtype, precision in ((DTYPE, PRECISION), (torch.float32, WIDE)):
            widths = asdict(precision)
            sizes = {**asdict(workload), **widths}
            domain = "; ".join(f"{name} = {size}" for name, size in sizes.items())
            progress(f"live storages at {domain}")
            start = perf_counter()
            watched = watch_stages(architecture, workload, precision=precision, dtype=dtype)
            seconds = perf_counter() - start
            for stage in STAGES:
                ours = sympy.sympify(evaluate(peaks[stage].formula, {**sizes, "decode_steps": 1, "decode_step": 1}))
                theirs = sympy.Rational(watched[stage], 8)
                yield Verdict(
                    implementation="reference",
                    subject="",
                    layer="",
                    stages=stage,
                    metric=PEAK,
                    kind="exact at n points",
                    domain=domain,
                    dimensions=tuple(sizes),
                    ours=ours,
                    theirs=theirs,
                    difference=ours - theirs,
                    seconds=seconds,
                    note="even shares of the tokens for the experts",
                )
