"""The work of a step of a batch: the exact mean of steps on lines, and the least that any of some steps takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from attrs import evolve

from llm_perf_opt.data.rationals import Rational, as_rational
from llm_perf_opt.evaluators import SERVER_STEPS
from llm_perf_opt.planning.parallel import BITS_PER_BYTE
from llm_perf_opt.planning.step_records import COUNTED, WORK, LineSum, StepLine
from llm_perf_opt.planning.work import OperatorWork, StageWork

if TYPE_CHECKING:
    from llm_perf_opt.planning.evaluation import ServedModel

_Numbers = tuple[Rational, Rational, Rational]


def list_mean_work(served: ServedModel, batch_size: int, sums: Iterable[LineSum], *, modules: str = "*") -> StageWork:
    """Return the mean work of some steps, exactly, each with so many sequences that are all alike.

    An operator that only some of the steps launch counts as launched in each.

    Parameters
    ----------
    sums
        The steps, by line; there is at least one.
    modules
        Only the work of modules whose path fits this pattern, with ``*`` for anything.
    """
    sums = list(sums)
    steps = sum(each.count for each in sums)
    ends = [[list_line_rows(served, batch_size, each.line, place) for place in (0, 1)] for each in sums]
    kept = [place for place, row in enumerate(ends[0][0]) if fnmatchcase(row.path, modules)]

    def find_mean(place: int, name: str) -> Rational:
        pairs = [(getattr(low[place], name), getattr(high[place], name)) for low, high in ends]
        first: Rational = pairs[0][0]
        if all(low == high == first for low, high in pairs):
            return first  # as of most operators, which see the new token alone
        found = zip(sums, pairs, strict=True)
        total = sum(each.count * low + each.places * (high - low) for each, (low, high) in found)
        return as_rational(Fraction(total) / steps)

    numbers = [(find_mean(place, WORK[0]), find_mean(place, WORK[1]), find_mean(place, WORK[2])) for place in kept]
    return _make_work(served, batch_size, [ends[0][0][place] for place in kept], numbers, is_whole=modules == "*")


def list_least_work(served: ServedModel, batch_size: int, steps: Iterable[tuple[StepLine, int]]) -> StageWork:
    """Return what each of some steps takes at least, operator by operator, with so many sequences that are all alike.

    Parameters
    ----------
    steps
        The first and the last ones on each line, between which no step takes less.
    """
    listed = [list_line_rows(served, batch_size, line, place) for line, place in steps]
    numbers = []
    for alike in zip(*listed, strict=True):
        tensor, vector, io_bits = (min(getattr(row, name) for row in alike) for name in WORK)
        numbers.append((tensor, vector, io_bits))
    return _make_work(served, batch_size, listed[0], numbers)


def list_line_rows(served: ServedModel, batch_size: int, line: StepLine, place: int) -> Sequence[Any]:
    """Return the rows of the step of a line that has so many of the line before it."""
    prompt, step = line.find_step(place)
    rows = served.list_step_rows(batch_size, prompt, step)
    if step == 1:
        return rows
    return [
        row._replace(**{name: getattr(row, name) - getattr(less, name) for name in COUNTED})
        for row, less in zip(rows, served.list_step_rows(batch_size, prompt, step - 1), strict=True)
    ]


def _make_work(
    served: ServedModel, batch_size: int, rows: Sequence[Any], numbers: Iterable[_Numbers], *, is_whole: bool = True
) -> StageWork:
    work = StageWork(
        stage=served.serving.step_stage, operators=served.describe_rows(rows, numbers, batch_size),
        sequences=batch_size, sent_bytes=served.count_sent(batch_size, batch_size),
    )  # fmt: skip
    if not is_whole or SERVER_STEPS[0] not in served.costs.__all__:
        return work
    # Sequences of one length share what sequences of different lengths have each: positions, as indices.
    first = served.list_step_rows(batch_size, served.step_lines.fewest)
    alike = -(-sum(row.io_bits for row in first) // BITS_PER_BYTE)
    apart = served.evaluate(SERVER_STEPS[0], contexts=(1,) * batch_size).io_bytes - alike
    if not apart:
        return work
    positions = OperatorWork(
        kind="other", tensor_core_flops=0, cuda_core_flops=0, io_bytes=apart, fused_io_bytes=0, launches=0
    )
    return evolve(work, operators=(*work.operators, positions))
