"""From which output on one model costs less than another for the same page: exact, with a certificate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from llm_perf_opt.evaluators import load_costs, take_arguments
from modelmeter.support.errors import FormulaError, WorkloadError

if TYPE_CHECKING:  # formulas bring sympy, which exact work does without
    from modelmeter.compiled_model import CompiledModel
    from modelmeter.scaling.crossover import Crossover
    from modelmeter.scaling.domain import Range
    from modelmeter.scaling.quantity import Quantity

OVER: Final = "max_new_tokens"
"""The output of a page."""

METRICS: Final[Mapping[str, str]] = {
    "tensor_core_flops": "takes fewer FLOPs of matrix products",
    "io_bytes": "moves fewer bytes",
    "fused_io_bytes": "moves fewer bytes with its operators fused",
    "kv_cache_bytes": "caches fewer bytes",
}
"""What frontiers are about, and what the cheaper one does."""

Sizes = Mapping[str, Any]

_ENDLESS: Final = 2**63


@frozen(kw_only=True)
class Frontier:
    """Where the first of two models costs less than the second over the output of a page.

    Parameters
    ----------
    metric
        One of :data:`METRICS`.
    page
        The sides of the page in pixels.
    cheaper, other
        The labels of the models.
    intervals
        All numbers of output tokens where the first costs less, as first and last (None: without end).
    first, last
        The outputs that the formulas of both models hold for.
    statement
        Where the first costs at least as much as the second, with its certificate.
    """

    metric: str
    page: tuple[int, int]
    cheaper: str
    other: str
    intervals: tuple[tuple[int, int | None], ...]
    first: int
    last: int | None
    statement: Crossover

    @property
    def sentence(self) -> str:
        """The frontier in one sentence."""
        words = METRICS[self.metric]
        within = "" if self.last is None else f", of outputs up to {self.last:,} tokens, which the formulas hold for"
        if not self.intervals:
            return f"{self.cheaper} never {words} than {self.other}{within}."
        if self.intervals == ((self.first, self.last),):
            return f"{self.cheaper} always {words} than {self.other}{within}."
        where = " or ".join(_describe(first, last, self.first, self.last) for first, last in self.intervals)
        return f"{self.cheaper} {words} than {self.other} if and only if {where}{within}."

    @property
    def condition(self) -> str:
        """When the first costs less, in few words: ``always``, ``never``, or the text tokens."""
        if not self.intervals:
            return "never"
        if self.intervals == ((self.first, self.last),):
            return "always"
        listed = (_describe(first, last, self.first, self.last) for first, last in self.intervals)
        return " or ".join(each.replace("text tokens", "").strip() for each in listed)


def _describe(first: int, last: int | None, least: int, most: int | None) -> str:
    if last == most:
        return f"text tokens > {first - 1:,}"
    if first == least:
        return f"text tokens < {last + 1:,}" if last is not None else ""
    return f"{first - 1:,} < text tokens < {last + 1:,}" if last is not None else ""


def find_frontiers(page: tuple[int, int], models: Sequence[tuple[str, str, Sizes]]) -> Iterator[Frontier]:
    """Yield the frontiers between any two models on a page, from both sides: they may cost the same somewhere.

    Parameters
    ----------
    page
        Its sides.
    models
        The label, the registered name and the sizes of the page, of each model.

    Raises
    ------
    WorkloadError
        If the formulas of a model do not hold for the page.
    """
    from modelmeter.api import load

    for _, name, sizes in models:
        _check_sizes(name, sizes)
    compiled = {name: load(name) for _, name, _ in models}
    for (one, name, sizes), (other, other_name, other_sizes) in combinations(models, 2):
        for metric in METRICS:
            left, left_range = _ask(compiled[name], metric, sizes, one)
            right, right_range = _ask(compiled[other_name], metric, other_sizes, other)
            both = _intersect(left_range, right_range, f"{one}, {other}")
            yield _compare(page, metric, left, right, both)
            yield _compare(page, metric, right, left, both)


def _check_sizes(name: str, sizes: Sizes) -> None:
    """Refuse sizes that the evaluators of a model refuse."""
    costs = load_costs(name)
    try:
        costs.request(**take_arguments(costs.request, {**sizes, OVER: 1}))
    except costs.CostError as error:
        raise WorkloadError(str(error), place=name) from None


def _ask(model: CompiledModel, metric: str, sizes: Sizes, label: str) -> tuple[Quantity, Range]:
    """Return a cost over the output, and the outputs that it holds for."""
    from modelmeter.scaling import stage
    from modelmeter.scaling.substitution import names_in

    values = {name: Fraction(size) if not isinstance(size, int) else size for name, size in sizes.items()}
    asked = getattr(stage(model, "request"), metric)
    known = {name: Fraction(size) for name, size in values.items()}
    ranges, _ = asked.context.ranges_of((OVER,), names_in(asked.formula) | {OVER}, known)
    put = {name: size for name, size in values.items() if asked.has_size(name)}
    return asked.at(**put).settle(OVER).named(label), ranges[OVER]


def _intersect(one: Range, other: Range, place: str) -> Range:
    if max(one.minimum, other.minimum) > min(end for end in (one.last, other.last, _ENDLESS) if end is not None):
        raise WorkloadError("the formulas of two models hold for no output in common", place=place)
    return one.intersect(minimum=other.minimum, maximum=other.last)


def _compare(page: tuple[int, int], metric: str, left: Quantity, right: Quantity, outputs: Range) -> Frontier:
    from modelmeter.scaling import crossover

    statement = crossover(left, right, OVER, bounds={OVER: (outputs.first, outputs.last)})
    statement.check()
    if statement.outcome == "by residue":
        raise FormulaError("a frontier hangs on residues of the output", place=f"{metric} of {left.name}, {right.name}")
    held = [(each.first, each.last) for each in statement.holds]
    return Frontier(
        metric=metric, page=page, cheaper=left.name, other=right.name,
        intervals=tuple(_complement(held, outputs.first, outputs.last)), first=outputs.first, last=outputs.last,
        statement=statement,
    )  # fmt: skip


def _complement(
    intervals: Sequence[tuple[int, int | None]], first: int, last: int | None
) -> Iterator[tuple[int, int | None]]:
    """Yield the integers of a range that are in none of some intervals, which are in order."""
    begin: int | None = first
    for start, end in intervals:
        if begin is not None and start > begin:
            yield begin, start - 1
        begin = None if end is None else end + 1
    if begin is not None and (last is None or begin <= last):
        yield begin, last
