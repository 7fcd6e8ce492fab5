"""``modelmeter eval``: the generated evaluators, which need no library at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen
from rich.console import Group, RenderableType
from rich.text import Text

from llm_perf_opt.arguments import Argument, as_json, fill_arguments, parse_arguments, parse_size, write_argument
from llm_perf_opt.commands.page_views import PageViews
from llm_perf_opt.evaluators import (
    CONTEXTS,
    COST,
    FUSED_IO,
    PEAK,
    find_functions,
    find_layer,
    is_general,
    list_defaults,
    list_stages,
    list_whole,
    load_costs,
    take_arguments,
)
from llm_perf_opt.lengths import NOTES, list_length_notes
from llm_perf_opt.terminal import format_integer, format_quantity, make_table, unit_of
from modelmeter.model.registry import DEFAULT
from modelmeter.support.errors import WorkloadError
from modelmeter.support.suggestions import UnknownNameError


@frozen(kw_only=True)
class Evaluation:
    """What was evaluated, with which arguments (but for those that follow from others), and its six metrics.

    ``fused_io_bytes`` is None for a training step and for a server, ``peak_activation_bytes`` also for a layer, and
    where sizes of the architecture are given. ``notes`` are sentences about the sizes.
    """

    name: str
    arguments: Mapping[str, Argument | tuple[int, ...]]
    cost: Mapping[str, int]
    fused_io_bytes: int | None
    peak_activation_bytes: int | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the evaluation as JSON; every number of a cost is an exact integer."""
        arguments = {
            name: value if isinstance(value, tuple) else as_json(value) for name, value in self.arguments.items()
        }
        document = {"name": self.name, "arguments": arguments, COST: dict(self.cost), **self._beside}
        if self.notes:
            document[NOTES] = list(self.notes)
        return json.dumps(document, indent=1)

    def render(self) -> RenderableType:
        """Return what was evaluated, over a table of the metrics."""
        arguments = ", ".join(f"{name}={_write(value)}" for name, value in self.arguments.items())
        table = make_table("metric", "exact", "about")
        for metric, value in self._list_values():
            table.add_row(metric, format_integer(value), format_quantity(value, unit_of(metric)))
        return Group(Text(f"{self.name}({arguments})\n"), table, *(Text(f"\n{note}") for note in self.notes))

    @property
    def _beside(self) -> dict[str, int]:
        """What is known of the metrics that are no part of the cost."""
        found = {FUSED_IO: self.fused_io_bytes, PEAK: self.peak_activation_bytes}
        return {metric: value for metric, value in found.items() if value is not None}

    def _list_values(self) -> Iterator[tuple[str, int]]:
        """Yield all metrics, one reading of the traffic after the other."""
        beside = self._beside
        for metric, value in self.cost.items():
            yield metric, value
            if metric == "io_bytes" and FUSED_IO in beside:
                yield FUSED_IO, beside.pop(FUSED_IO)
        yield from beside.items()


def evaluate(
    name: str, assignments: Iterable[str], views: PageViews | None = None, *, model: str = DEFAULT
) -> Evaluation:
    """Evaluate a stage, a training step, a step or chunk of a server, or a layer.

    Parameters
    ----------
    name
        A stage, ``training_step``, ``step``, ``chunk``, or a layer, also by its torch class.
    assignments
        Its keyword arguments, as ``key=value``; the others have their default values. Those of a stage are those of
        its cost and of its peak, each of which gets its own. A stage or training step takes the sizes of the
        architecture too; then nothing is said of its peak.
    views
        A page that sizes of its views follow from, if there is one.
    model
        The name of a registered model.

    Raises
    ------
    UnknownNameError
        If there is no such stage, layer or argument, or several layers have the class.
    WorkloadError
        If an argument is not written ``key=value``, is given twice, is no number, or is refused.
    """
    costs, name = load_costs(model), find_layer(name, model)
    assignments = list(assignments)
    general = is_general(name, (assignment.partition("=")[0] for assignment in assignments), model)
    functions = find_functions(name, model, general=general)
    defaults = list_defaults(name, model, general=general)
    lists = _parse_contexts(assignments) if CONTEXTS in defaults else {}
    single = (each for each in assignments if not each.startswith(f"{CONTEXTS}=")) if lists else assignments
    known = list_defaults(name, model, general=True)
    try:
        given = parse_arguments(single, defaults, f"argument of {name}", aliases=known)
    except UnknownNameError as error:
        if name in list_whole(model) and known.keys() == list_defaults(name, model).keys():
            error.add_remedy("a folder has sizes of its config as arguments if compile was run with --general")
        raise
    given |= (views or PageViews()).find_sizes(name, given, defaults, model=model)
    try:
        results = {
            result: function(**take_arguments(function, {**given, **lists})) for result, function in functions.items()
        }
    except costs.CostError as error:
        raise WorkloadError(str(error), place=name) from None
    arguments = fill_arguments(defaults, given, costs.DIMENSIONS)
    return Evaluation(
        name=name,
        arguments={**lists, **arguments},
        cost=results[COST]._asdict(),
        fused_io_bytes=results.get(FUSED_IO),
        peak_activation_bytes=results.get(PEAK),
        notes=tuple(list_length_notes(arguments, model)) if name in list_stages(model) else (),
    )


def _parse_contexts(assignments: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the lengths of the sequences of a step, the one argument that is a list: ``contexts=914,1500``."""
    texts = [text for key, _, text in (each.partition("=") for each in assignments) if key == CONTEXTS]
    if len(texts) != 1:
        problem = "an argument is given twice" if texts else "this argument has no default"
        raise WorkloadError(problem, place=CONTEXTS, expected=f"{CONTEXTS}=914,1500,2048")
    return {CONTEXTS: tuple(int(parse_size(CONTEXTS, text)) for text in texts[0].split(","))}


def _write(value: Argument | tuple[int, ...]) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else write_argument(value)
