"""What ``modelmeter report --model`` asks for: a request to a compiled model, from the options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from llm_perf_opt.commands.page_views import PageViews
from modelmeter.support.errors import WorkloadError

if TYPE_CHECKING:  # commands that print no report do without
    from llm_perf_opt.reporting.compiled_build import CompiledReportRequest


def make_request(
    model: str, assignments: Iterable[str], views: PageViews, *, hardware: str, engine: str | None, **fields: Any
) -> CompiledReportRequest:
    """Return the request for a report of a compiled model, from what the options say.

    Parameters
    ----------
    model
        The name of a registered model.
    assignments
        Sizes of the request, as ``key=value``.
    views
        The page that sizes follow from, if there is one.
    hardware, engine
        The id or the file of a GPU, and of an engine, if one is asked for.
    fields
        As of the request.

    Raises
    ------
    ModelMeterError
        If a size or the page cannot be understood, or there is no such GPU or engine.
    """
    from llm_perf_opt.arguments import parse_arguments
    from llm_perf_opt.hardware import find_hardware
    from llm_perf_opt.planning.time import choose_calibration
    from llm_perf_opt.reporting.compiled_build import CompiledReportRequest
    from llm_perf_opt.reporting.compiled_evaluation import REQUEST, list_request_sizes

    known = list_request_sizes(model)
    given = parse_arguments(assignments, known, f"argument of {REQUEST}")
    given |= views.find_sizes(REQUEST, given, known, model=model)
    card = find_hardware(hardware)
    return CompiledReportRequest(
        model=model,
        sizes=given,
        page=None if views.page is None else views.sides,
        hardware=card,
        calibration=None if engine is None else choose_calibration(card, engine),
        **fields,
    )


def refuse_options(context: typer.Context, names: Iterable[str], problem: str, remedy: str) -> None:
    """Refuse options and arguments that were given.

    Raises
    ------
    WorkloadError
        At the first of them.
    """
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and context.params[name]:
            place = " ".join(context.params[name]) if name == "sizes" else options[name]
            raise WorkloadError(problem, place=place, remedy=remedy)
