"""``modelmeter show training_step --modules``: what each module costs in a training step."""

from __future__ import annotations

from math import ceil

from rich.console import RenderableType

from llm_perf_opt.terminal import format_integer, make_table
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import Evaluator
from modelmeter.frontend.training.step import find_refusal
from modelmeter.metrics.metric import METRICS
from modelmeter.model.refused_stages import refuse_stage
from modelmeter.model.stages import TRAINING_STEP
from modelmeter.support.errors import QuestionError
from modelmeter.support.suggestions import UnknownNameError, unknown_name


def draw_training_modules(compiled: CompiledModel, name: str, metric: str | None, *, is_latex: bool) -> RenderableType:
    """Return a table of all modules that do anything, each with everything below it, at the default sizes.

    Raises
    ------
    UnknownNameError
        If the model has no training step, something else is asked for, or there is no such metric.
    QuestionError
        If LaTeX is asked for.
    """
    modules = compiled.training_modules
    if not modules:
        refuse_stage(TRAINING_STEP, compiled.definition.refused, compiled.stages)
        refused = find_refusal(compiled.definition.conventions)
        raise UnknownNameError(
            "the model has no training step", place=compiled.definition.name, found=refused or None,
            remedy="" if refused else "compile a text decoder with --training",
        )  # fmt: skip
    if name != TRAINING_STEP:
        raise unknown_name("step whose modules are told apart", name, (TRAINING_STEP,))
    if is_latex:
        raise QuestionError("a table of modules is no LaTeX", place="--latex", remedy="leave out --latex or --modules")
    if metric is not None and metric not in METRICS:
        raise unknown_name(f"metric of {TRAINING_STEP}", metric, METRICS)
    shown = METRICS if metric is None else (metric,)
    evaluate = Evaluator(compiled.defaults)
    table = make_table("module", *shown)
    for path, cost in modules.items():
        values = [ceil(evaluate(cost[each])) for each in shown]
        if any(values):
            table.add_row(path or "the model", *map(format_integer, values))
    return table
