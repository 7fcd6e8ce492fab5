"""Adds its training step to a traced model, with evidence, or the reason why it has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from attrs import evolve
from transformers import PreTrainedConfig

from modelmeter.frontend.assemble import Begin
from modelmeter.frontend.evidence import Checked
from modelmeter.frontend.modules import Depth, build_modules, count_layers
from modelmeter.frontend.records import TracedModel, describe_sizes
from modelmeter.frontend.refusals import make_plain, name_line
from modelmeter.frontend.tracing import DTYPE
from modelmeter.frontend.training.evidence import check_training, describe_training_checks
from modelmeter.frontend.training.step import STAGE
from modelmeter.frontend.training.tracing import trace_training
from modelmeter.frontend.tree import LayerTrees
from modelmeter.support.errors import CountError, ModelMeterError

WITH_GENERAL = "sizes of the config are symbols in the other formulas, and numbers in those of a training step"


def add_training(
    traced: TracedModel, depth: Depth, config: PreTrainedConfig, points: Sequence[Mapping[str, int]], begin: Begin
) -> tuple[TracedModel, list[Checked]]:
    """Return a traced model with its training step, and what was checked; or with the reason why it has none.

    Parameters
    ----------
    traced
        The model.
    depth
        Which of its layers were traced.
    config
        Of the model.
    points
        The sizes at which it is counted without symbols.
    begin
        Is called with the name of each step as it begins.
    """
    begin(f"trace {STAGE.name}")
    try:
        if traced.general is not None:
            raise CountError(WITH_GENERAL, remedy="compile the model without --general")
        added = evolve(traced, training=trace_training(traced, depth))
        with name_line("a count of a training step"):
            checked = list(_check(added, depth, config, points, begin)) if points else []
    except ModelMeterError as error:
        return evolve(traced, training_refused=make_plain(error)), []
    return evolve(added, training_checks=describe_training_checks(checked)), checked


def _check(
    traced: TracedModel, depth: Depth, config: PreTrainedConfig, points: Sequence[Mapping[str, int]], begin: Begin
) -> Iterator[Checked]:
    """Count models of the traced depth at all points, one that computes in float32, and the whole model at one."""
    trees = LayerTrees(model=traced)
    for dtype, chosen in ((DTYPE, points), (torch.float32, points[-1:])):
        shallow = build_modules(depth.config, dtype=dtype, class_name=depth.class_name)
        for sizes in chosen:
            begin(f"count {STAGE.name} at {describe_sizes(sizes)}")
            yield check_training(
                shallow, traced.graph, trees.build_training, sizes, layers=count_layers(depth.config),
                traced=traced.traced_paths,
            )  # fmt: skip
    whole = build_modules(config, dtype=DTYPE, class_name=depth.class_name)
    yield check_training(whole, traced.graph, trees.build_training, points[-1], layers=count_layers(config))
