"""Parts of the sizes of a text stage that are traced apart: on both sides of where a window of attention is full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sympy
from attrs import evolve

from modelmeter.frontend.cache import CachedShape
from modelmeter.frontend.definition import PREFILL, TEXT_DIMENSIONS
from modelmeter.frontend.records import Windows
from modelmeter.frontend.tracing import StageForward, prepare_decode
from modelmeter.frontend.windows import TracedRegion, list_regions, list_step_regions

CACHED = sympy.Symbol("cached", integer=True, positive=True)
"""Positions in the cache when a step begins: ``seq_len + decode_step - 1``."""


def split_stage(
    name: str, stage: StageForward, shapes: Sequence[CachedShape | None], windows: Windows, longest: int | None
) -> Iterator[tuple[StageForward, TracedRegion]]:
    """Yield the forwards of a stage in all regions of its sizes."""
    prompt, step = TEXT_DIMENSIONS.symbol("seq_len"), TEXT_DIMENSIONS.symbol("decode_step")
    if name == PREFILL:
        for part in list_regions(prompt, prompt, windows.sizes, longest):
            yield stage, part
    elif windows.behind_prompt is None:
        for part in list_regions(CACHED, CACHED + 1, windows.sizes, longest):
            yield stage, part
    else:
        sizes = {**stage.sizes, "seq_len": prompt}
        for is_full, region in list_step_regions(step, windows.behind_prompt):
            yield evolve(stage, prepare=prepare_decode(shapes, is_full=is_full), sizes=sizes), region
