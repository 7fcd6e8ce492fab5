"""Parts of the sizes of a text stage that are traced apart: on both sides of where a window of attention is full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sympy
from attrs import evolve

from modelmeter.dimensions.functions import CeilDiv
from modelmeter.frontend.cache import CachedShape
from modelmeter.frontend.cached_states import find_shortest
from modelmeter.frontend.chunks import WHOLE, Chunks
from modelmeter.frontend.definition import PREFILL, TEXT_DIMENSIONS
from modelmeter.frontend.records import Windows
from modelmeter.frontend.tracing import StageForward, prepare_decode
from modelmeter.frontend.windows import TracedRegion, list_regions, list_step_regions
from modelmeter.verify.guards import is_padded

CACHED = sympy.Symbol("cached", integer=True, positive=True)
"""Positions in the cache when a step begins: ``seq_len + decode_step - 1``."""


def _list_borders(windows: Windows, chunks: Chunks) -> tuple[int, ...]:
    """Return the prompts from which on a window is full, or a second chunk has begun."""
    return tuple(sorted({*windows.sizes, *(chunk + 1 for chunk in chunks.borders)}))


def split_stage(
    name: str,
    stage: StageForward,
    shapes: Sequence[CachedShape | None],
    windows: Windows,
    longest: int | None,
    chunks: Chunks = WHOLE,
) -> Iterator[tuple[StageForward, TracedRegion]]:
    """Yield the forwards of a stage in all regions of its sizes."""
    shortest = find_shortest(() if shape is None else shape.states for shape in shapes)
    prompt, step = TEXT_DIMENSIONS.symbol("seq_len"), TEXT_DIMENSIONS.symbol("decode_step")
    if name == PREFILL:
        for part in list_regions(prompt, prompt, _list_borders(windows, chunks), longest, shortest):
            padded = (is_padded(CeilDiv(prompt, sympy.Integer(length))) for length in chunks.padded)
            yield stage, evolve(part, assumed=(*part.assumed, *padded))
    elif windows.behind_prompt is None:
        for part in list_regions(CACHED, CACHED + 1, windows.sizes, longest):
            yield stage, part
    else:
        sizes = {**stage.sizes, "seq_len": prompt}
        for is_full, region in list_step_regions(step, windows.behind_prompt):
            yield evolve(stage, prepare=prepare_decode(shapes, is_full=is_full), sizes=sizes), region
