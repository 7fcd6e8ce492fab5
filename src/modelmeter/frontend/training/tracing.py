"""Traces the training step of a text decoder: the forward of a prefill over all positions, and the backward of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import torch
from attrs import evolve
from sympy.core.relational import Relational
from torch import nn

from modelmeter.dimensions.functions import Size
from modelmeter.frontend.assemble import check_alike, trace_parts
from modelmeter.frontend.cache import make_cache
from modelmeter.frontend.definition import PREFILL
from modelmeter.frontend.modules import Depth
from modelmeter.frontend.records import TracedForward, TracedModel, TracedOperator, TracedRun
from modelmeter.frontend.shallow import build_shallow
from modelmeter.frontend.substitution import convert_operator
from modelmeter.frontend.text_parts import split_stage
from modelmeter.frontend.text_stages import learn_cache, list_stages
from modelmeter.frontend.tracing import At, Build, Names, StageForward, make_reader, trace_recorded
from modelmeter.frontend.training.recording import TrainingRecording, record_training_step
from modelmeter.frontend.training.step import STAGE
from modelmeter.support.errors import CountError
from modelmeter.verify.symbolic_trace import Forward

NO_SIZES: Final[At] = MappingProxyType({})


def trace_training(traced: TracedModel, depth: Depth) -> TracedRun:
    """Return the forward of a training step, of which each operator says what its backward does.

    Raises
    ------
    CountError
        If the model is more than a text decoder, or the forward or the backward does what nothing accounts for.
    """
    others = sorted(traced.runs.keys() - {*list_stages(())})
    if others:
        raise CountError("a training step is traced of text decoders alone", found=f"the stage {others[0]}")
    shapes = learn_cache(build_shallow(depth))
    if any(shape is not None and shape.states for shape in shapes):
        raise CountError(
            "a training step is traced of layers that keep keys and values alone",
            found="states in the cache, which a training step does not write",
        )
    stage = evolve(list_stages(shapes)[PREFILL], prepare=prepare_training)
    parts = split_stage(PREFILL, stage, shapes, traced.windows, traced.longest_context)
    run = TracedRun(stage=STAGE, forwards=trace_parts(depth, parts, trace_training_step))
    check_alike(evolve(traced, runs={STAGE.name: run}))
    return run


def prepare_training(model: nn.Module, sizes: Mapping[str, Any]) -> Forward:
    """Return the forward over a prompt, with logits of all positions.

    It is called with an empty cache, which only hands on the keys and values that it is given: without one, the code
    would read the numbers of positions, to find out where packed sequences begin.
    """
    tokens = torch.empty(sizes["batch_size"], sizes["seq_len"], dtype=torch.int64, device="meta")

    def run() -> object:
        with torch.device("meta"):
            return model(input_ids=tokens, past_key_values=make_cache(model), use_cache=True, logits_to_keep=0).logits

    return Forward(model=model, run=run)


def trace_training_step(
    build: Build, stage: StageForward, condition: Size, assumed: Sequence[Relational]
) -> TracedForward:
    """Trace a training step; see :func:`modelmeter.frontend.tracing.trace_recorded`."""

    def record(forward: Forward) -> TrainingRecording:
        return record_training_step(forward.model, forward.run)

    return trace_recorded(build, stage, condition, assumed, record=record, read=read_training)


def read_training(recording: TrainingRecording, names: Names, condition: Size = 1, at: At = NO_SIZES) -> TracedForward:
    """Return a recording of a training step in our symbols.

    Raises
    ------
    CountError
        If a sum in the backward is none of gradients.
    """
    read = make_reader(names)
    summed, expected = read(recording.summed), read(recording.expected_sums)
    if summed != expected:
        raise CountError("a sum in a backward that is none of gradients", expected=expected, found=summed)
    return TracedForward(
        condition=condition,
        at=at,
        operators=tuple(
            TracedOperator(path=seen.path, operator=convert_operator(seen, read)) for seen in recording.operators
        ),
        lifetimes=(),
        kv_elements={},
        output_shapes={
            path: tuple(tuple(read(size) for size in shape) for shape in shapes)
            for path, shapes in recording.output_shapes.items()
        },
        copies={},
    )
