"""Trace the reference model of DeepSeek-OCR: the prefill of a page with tiles, and one decode step after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import count
from math import gcd
from typing import Final

import torch
from attrs import asdict, evolve, frozen

from modelmeter.dimensions.functions import ceil_div
from modelmeter.graph.dtypes import default_dtype
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.graph.trace import trace_modules
from modelmeter.models.deepseek_ocr import vision_tokens
from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS, DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import WORKLOAD
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM, build_reference
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.support.errors import TraceError, WorkloadError

DTYPE = torch.bfloat16
"""What runs, and is cached, on the meta device; unlike float32, so that what is cast can be told from what is not."""


MOST_EXPERTS: Final = 2**16
"""Most experts, over all layers, that are traced: twice those of the largest models. Each is a module to build."""


@frozen(kw_only=True)
class TraceWorkload:
    """The sizes of a trace, named as the dimensions of :mod:`modelmeter.models.deepseek_ocr.dimensions`.

    Raises
    ------
    WorkloadError
        If a size is not an integer in its range, or more positions get logits than there are.
    """

    batch_size: int
    vision_batch_size: int
    base_size: int
    image_size: int
    num_width_tiles: int
    num_height_tiles: int
    seq_len: int
    logits_tokens: int
    images_per_prompt: int = 1

    def __attrs_post_init__(self) -> None:
        for name, size in asdict(self).items():
            WORKLOAD[name].check(size, WorkloadError)
        sizes = asdict(self)
        for rule in RULES:
            if rule.names <= sizes.keys():
                rule.check(sizes, WorkloadError, at=str(rule.a))

    @classmethod
    def for_architecture(cls, architecture: DeepSeekOCRArchitecture) -> TraceWorkload:
        """Choose sizes that differ from each other and from the architecture's, and that take no shortcut.

        * At least two pages, and as many tokens for each expert, in the prefill and in a decode step.
        * Both kinds of view have several attention windows and a part of one. Their grids are odd, so that
          the stride-2 convolutions round up, and both towers resize their position embeddings.
        * The tile grid is not square, and not every position gets logits.
        """
        taken = {1, *architecture.dimension_values().values()}

        def take(sizes: Iterable[int]) -> int:
            size = next(size for size in sizes if size not in taken)
            taken.add(size)
            return size

        patch_size, window_size = architecture.sam_patch_size, architecture.sam_window_size
        pretrain_grid_size = architecture.sam_image_size // patch_size
        clip_grid_size = architecture.clip_image_size // architecture.clip_patch_size

        def view_sizes(smallest_grid: int) -> Iterable[int]:
            for grid_size in count(smallest_grid | 1, 2):
                is_padded = window_size == 1 or grid_size % window_size
                is_resized = grid_size != pretrain_grid_size and ceil_div(grid_size, 4) != clip_grid_size
                if is_padded and is_resized:
                    yield grid_size * patch_size

        experts = architecture.n_routed_experts
        # The smallest number of pages whose assignments the experts share evenly, or a multiple of it.
        fair_batch_size = experts // gcd(experts, architecture.num_experts_per_tok)
        batch_size = take(count(fair_batch_size, fair_batch_size))
        image_size = take(view_sizes(2 * window_size))
        # Another window more, and another row of image tokens.
        base_size = take(view_sizes(image_size // patch_size + max(window_size, 4)))
        num_width_tiles, num_height_tiles = take(count(3, 2)), take(count(3, 2))
        tokens = vision_tokens.image_tokens(base_size, image_size, num_width_tiles, num_height_tiles, patch_size)
        return cls(
            batch_size=batch_size,
            vision_batch_size=batch_size,
            base_size=base_size,
            image_size=image_size,
            num_width_tiles=num_width_tiles,
            num_height_tiles=num_height_tiles,
            logits_tokens=take(count(3, 2)),
            seq_len=take(count(int(tokens) + 2 | 1, 2)),
        )


def trace_reference(architecture: DeepSeekOCRArchitecture, workload: TraceWorkload | None = None) -> ModuleGraph:
    """Trace the runs ``prefill`` and ``decode`` of the reference model, as :func:`prepare_runs` makes them.

    An even share of the tokens for each expert makes the experts one node.

    Parameters
    ----------
    architecture
        Of the model; the graph keeps its dimensions.
    workload
        What to run, by default :meth:`TraceWorkload.for_architecture`; the graph keeps it.

    Raises
    ------
    TraceError
        If the prompt does not hold its image tokens, as :func:`prepare_runs`, or a run fails otherwise.
    """
    workload = workload or TraceWorkload.for_architecture(architecture)
    graph = trace_modules(*prepare_runs(architecture, workload))
    return evolve(
        graph,
        workload=asdict(workload),
        architecture=architecture.dimension_values(),
        lists={"sam_global_attn_indexes": architecture.sam_global_attn_indexes},
    )


def prepare_runs(
    architecture: DeepSeekOCRArchitecture,
    workload: TraceWorkload,
    cache: KeyValueCache | None = None,
    *,
    dtype: torch.dtype = DTYPE,
) -> tuple[DeepseekOCRForCausalLM, Mapping[str, Callable[[], object]]]:
    """Return the reference model on the meta device, and its runs ``prefill`` and ``decode``.

    The decode step is one token behind a cache of the whole prompt; by default that of :func:`make_cache`. The
    experts take even shares of the tokens. With ``dtype`` float32 nothing is cast.

    Raises
    ------
    TraceError
        If the model has more experts than can be traced, or torch cannot hold the cache.
    """
    num_sparse_layers = architecture.num_hidden_layers - architecture.first_k_dense_replace
    if num_sparse_layers * architecture.n_routed_experts > MOST_EXPERTS:
        raise TraceError(
            "the model has more experts than can be traced", place="num_hidden_layers, n_routed_experts",
            expected=f"at most {MOST_EXPERTS} experts in all layers",
            found=f"{architecture.n_routed_experts} in each of {num_sparse_layers}",
        )  # fmt: skip
    model = build_reference(architecture, expert_routing="even", dtype=dtype)
    cache = cache or make_cache(architecture, workload, dtype)
    tile_grid = (workload.num_width_tiles, workload.num_height_tiles)

    def make_ids(positions: int) -> torch.Tensor:
        return torch.empty(workload.batch_size, positions, dtype=torch.int64, device="meta")

    def prefill() -> object:
        with default_dtype(dtype):
            return model(
                make_ids(workload.seq_len),
                cache,
                views=partial(make_views, workload, dtype),
                tile_grid=tile_grid,
                images_per_prompt=workload.images_per_prompt,
                logits_tokens=workload.logits_tokens,
            )

    def decode() -> object:
        cache.hold(workload.seq_len)
        with default_dtype(dtype):
            return model(make_ids(1), cache)

    return model, {"prefill": prefill, "decode": decode}


def make_views(workload: TraceWorkload, dtype: torch.dtype = DTYPE) -> Iterator[torch.Tensor]:
    """Yield the pixels of each call of the towers, on the meta device: tiles, if there are any, then global views."""
    tiles = int(vision_tokens.count_tiles(workload.num_width_tiles, workload.num_height_tiles))
    for _ in range(workload.images_per_prompt * workload.batch_size // workload.vision_batch_size):
        for views, side in ((tiles, workload.image_size), (1, workload.base_size)):
            if views:
                shape = (workload.vision_batch_size * views, IMAGE_CHANNELS, side, side)
                yield torch.empty(shape, dtype=dtype, device="meta")


def make_cache(
    architecture: DeepSeekOCRArchitecture, workload: TraceWorkload, dtype: torch.dtype = DTYPE
) -> KeyValueCache:
    """Return an empty cache on the meta device, for the prompt and one decode step."""
    return KeyValueCache(
        architecture, batch_size=workload.batch_size, capacity=workload.seq_len + 1, device="meta", dtype=dtype
    )
