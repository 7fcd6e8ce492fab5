"""From a config to a traced model: modules, traces of their stages, and the graph of all modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import sympy
import torch
from attrs import evolve
from sympy.core.relational import Relational
from torch import nn

from modelmeter.dimensions.functions import Size, differs, equals
from modelmeter.frontend.attention_rest import describe_attention_rest
from modelmeter.frontend.borders import trace_within
from modelmeter.frontend.chunks import WHOLE, Chunks, check_filled, describe_chunks, list_filled, trace_in_chunks
from modelmeter.frontend.definition import (
    DECODE,
    PREFILL,
    TEXT_DIMENSIONS,
    TEXT_STAGES,
    VISION,
    default_text_workload,
    default_vision_workload,
    describe_images,
    describe_refused,
    hold_parameters_once,
    make_vision_dimensions,
    make_vision_stage,
)
from modelmeter.frontend.eager_attention import describe_eager_attention
from modelmeter.frontend.experts import describe_experts
from modelmeter.frontend.left_out import describe_left_out
from modelmeter.frontend.modules import Depth, build_modules, count_own_parameters
from modelmeter.frontend.positions import describe_positions, limit_context
from modelmeter.frontend.prepared import PreparedModel
from modelmeter.frontend.records import TracedForward, TracedModel, TracedRun
from modelmeter.frontend.refusals import describe_unpriced, name_line
from modelmeter.frontend.regions import merge_alike, merge_regions
from modelmeter.frontend.shallow import build_shallow, describe_first_forward
from modelmeter.frontend.substitution import Substitution
from modelmeter.frontend.text_parts import CACHED, split_stage
from modelmeter.frontend.text_stages import list_stages
from modelmeter.frontend.traced_graph import find_whole_path, list_members, trace_graph
from modelmeter.frontend.tracing import Build, StageForward, trace_forward
from modelmeter.frontend.vision import trace_vision
from modelmeter.frontend.windows import TracedRegion, cut_windows, describe_windows
from modelmeter.support.beside import run_beside, run_halves
from modelmeter.support.errors import CountError, UnpricedOperatorError

Begin = Callable[[str], None]
TraceOne = Callable[[Build, StageForward, Size, Sequence[Relational]], TracedForward]
"""Traces the forward of a stage, under a condition, where relations are assumed."""


def trace_model(
    prepared: PreparedModel, title: str, begin: Begin = lambda step: None, *, parallel: bool = False
) -> TracedModel:
    """Return the traces of a text decoder, or of a model with a card.

    Where ``parallel``, both stages of the text are traced side by side.

    Raises
    ------
    ModelMeterError
        If its modules cannot be traced.
    """
    config, depth, shapes = prepared.config, prepared.depth, prepared.shapes
    card, tower, windows, shortest = prepared.card, prepared.tower, prepared.windows, prepared.shortest
    runs: dict[str, TracedRun] = {}
    if tower is not None:

        def build(dtype: torch.dtype) -> nn.Module:
            return build_modules(depth.config, dtype=dtype, class_name=depth.class_name)

        with name_line("a run of the vision stage"):
            forward = trace_vision(build, tower, title, begin)
        runs[VISION] = TracedRun(stage=make_vision_stage(tower), forwards=(forward,))

    def trace_stages(longest: int | None, chunks: Chunks) -> tuple[dict[str, TracedRun], dict[str, str]]:
        found, refused = {}, {}
        full = cut_windows(windows, longest)
        stages = list_stages(shapes)

        def trace(name: str) -> tuple[TracedForward, ...] | UnpricedOperatorError:
            parts = split_stage(name, stages[name], shapes, full, longest, chunks)
            try:
                return trace_parts(
                    depth, parts, chunks=chunks if name == PREFILL else WHOLE, parallel=parallel and name == PREFILL
                )
            except UnpricedOperatorError as error:
                return error

        with run_beside(lambda: trace(DECODE), parallel=parallel) as trace_decode:
            for name, work in {PREFILL: lambda: trace(PREFILL), DECODE: trace_decode}.items():
                begin(f"trace {name}")
                outcome = work()
                if isinstance(outcome, UnpricedOperatorError):
                    refused[name] = outcome
                else:
                    found[name] = TracedRun(stage=TEXT_STAGES[name], forwards=outcome)
        if not found and not runs:  # not even a tower is left
            raise next(iter(refused.values()))
        return hold_parameters_once(found), {
            name: describe_unpriced(error, find_whole_path(error.path, depth)) for name, error in refused.items()
        }

    longest, (chunks, (traced_text, refused)) = trace_within(
        config,
        {TEXT_DIMENSIONS.symbol("seq_len"): 0, CACHED: 1},
        lambda most: trace_in_chunks(lambda chunks: trace_stages(most, chunks)),
    )
    runs |= traced_text
    windows = evolve(cut_windows(windows, longest), chunks=chunks.lengths)
    begin("read the module graph")
    model = prepared.whole
    graph, unused = trace_graph(model, depth, runs, tower)
    left_out = sum(count_own_parameters(model).values()) - graph.root.parameter_count
    image_tokens = None if card is None or tower is None else sympy.expand(tower.sizes[0].symbol * card.image_tokens)
    traced = TracedModel(
        title=title,
        model_type=config.model_type,
        class_name=type(model).__name__,
        graph=graph,
        traced_paths={node.path: tuple(list_members(graph, node, depth)) for node in graph.walk()},
        runs=runs,
        dimensions=limit_context(
            TEXT_DIMENSIONS if tower is None else make_vision_dimensions(tower), longest, shortest
        ),
        default_workload=default_text_workload(longest)
        if tower is None or image_tokens is None
        else default_vision_workload(tower, image_tokens, longest),
        image_tokens=image_tokens,
        checks="",
        windows=windows,
        longest_context=longest,
        conventions={
            **({} if card is None or tower is None else describe_images(card.remarks)),
            **describe_eager_attention(model.config, {name: run for name, run in runs.items() if name != VISION}),
            **describe_attention_rest(runs),
            **describe_experts(prepared.experts),
            **describe_windows(windows),
            **describe_chunks(chunks),
            **describe_positions(longest),
            **describe_first_forward(depth),
            **describe_left_out(unused, left_out, has_text=bool(traced_text)),
            **describe_refused(refused, tuple(runs)),
        },
        refused=refused,
    )
    check_alike(traced)
    return traced


def trace_parts(
    depth: Depth,
    parts: Iterable[tuple[StageForward, TracedRegion]],
    trace_one: TraceOne = trace_forward,
    chunks: Chunks = WHOLE,
    *,
    parallel: bool = False,
) -> tuple[TracedForward, ...]:
    """Return the traces for a batch of several and of one in each region, or one trace where they say the same.

    Where ``parallel``, a forked process makes half of them.
    """
    batch_size, prompt = TEXT_DIMENSIONS.symbol("batch_size"), TEXT_DIMENSIONS.symbol("seq_len")

    def build() -> nn.Module:
        return build_shallow(depth)

    def trace(stage: StageForward, condition: Size, part: TracedRegion) -> TracedForward:
        with name_line(part.describe()):
            forward = trace_one(build, stage, condition, part.assumed)
        return evolve(forward, region=part.region)

    def trace_sizes(stage: StageForward, condition: Size, part: TracedRegion) -> TracedForward:
        general = trace(stage, condition, part)
        for filled in list_filled(part, prompt, chunks.padded):
            there = evolve(stage, sizes={**stage.sizes, "seq_len": filled.size})
            check_filled(general, trace(there, condition, evolve(part, assumed=filled.assumed)), filled, prompt)
        return general

    works = [
        work
        for stage, part in parts
        for work in (
            partial(trace_sizes, stage, differs(batch_size, 1), part),
            partial(trace_sizes, stage.at_one(batch_size), equals(batch_size, 1), part),
        )
    ]
    traced = run_halves(works, parallel=parallel)
    regions = [merge_alike(pair) for pair in zip(traced[::2], traced[1::2], strict=True)]
    steps = TEXT_DIMENSIONS.symbol("seq_len") + TEXT_DIMENSIONS.symbol("decode_step") - 1
    put_in = Substitution({CACHED: steps})
    return tuple(map(put_in.change_forward, merge_regions(regions)))


def check_alike(traced: TracedModel) -> None:
    """Check that all modules that one node stands for do the same, as far as they were traced.

    Raises
    ------
    CountError
        If two do not.
    """
    for name, run in traced.runs.items():
        for forward in run.forwards:
            by_path: dict[str, list[Any]] = {}
            for each in forward.operators:
                by_path.setdefault(each.path, []).append(each.operator)
            for path, members in traced.traced_paths.items():
                first, *others = members
                for other in others:
                    if by_path.get(first) != by_path.get(other):
                        raise CountError(
                            "two modules look alike and do not do the same", place=f"{name} {path}", expected=first,
                            found=other,
                        )  # fmt: skip
