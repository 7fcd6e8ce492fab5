"""Lines of steps: where the work of a step, and what it caches, are linear in the step; borders are full windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from attrs import define, field

from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.planning.step_records import COUNTED, CachePart, LineRun, StepLine
from modelmeter.support.errors import WorkloadError

_Numbers = tuple[Rational, ...]


@define(kw_only=True, slots=False)
class StepLines:
    """The lines of the steps of one sequence.

    Windows of attention are over the positions before a step, or over what is generated. Borders of the first kind are
    the same for every prompt, so that prompts share lines; those of the second kind are looked for prompt by prompt.

    Parameters
    ----------
    model
        What errors name.
    fewest
        The fewest positions before a step.
    list_rows
        Returns the rows of the breakdown of some steps after so many positions, summed over the steps.
    measure_cache
        Returns what is cached after some steps after so many positions, in units without rounding.
    """

    model: str
    fewest: int
    list_rows: Callable[[int, int], Sequence[Any]]
    measure_cache: Callable[[int, int], int]
    _starts: list[int] = field(factory=list, init=False)
    _seen: int = field(default=-1, init=False)
    _known: dict[tuple[int, int], tuple[LineRun, ...]] = field(factory=dict, init=False)
    _parts: dict[tuple[int, int], tuple[CachePart, ...]] = field(factory=dict, init=False)
    _counted: dict[tuple[int, int], _Numbers] = field(factory=dict, init=False)

    def find(self, prompt: int, steps: int) -> tuple[LineRun, ...]:
        """Return the steps after a prompt, in order, as runs on lines; together they are the exact sum of all steps.

        Raises
        ------
        WorkloadError
            If they are not.
        """
        if (prompt, steps) not in self._known:
            self._known[prompt, steps] = self._find(prompt, steps)
        return self._known[prompt, steps]

    def check_step(self, cached: int) -> None:
        """Refuse a step after more positions than there are before a window is full.

        Raises
        ------
        WorkloadError
            If there are more.
        """
        if cached <= self.fewest + 1:
            return
        starts = self._list_starts_up_to(cached)
        if len(starts) > 1:
            raise WorkloadError(
                "a window of attention is full in a step, and the sum of what sequences have cached does not tell in "
                "which of them",
                place=self.model,
                expected=f"at most {starts[1] - 1} positions before a step",
                found=cached,
            )

    def list_cache(self, prompt: int, steps: int) -> tuple[CachePart, ...]:
        """Return what is cached after some steps, those layers first that keep fewest positions.

        Raises
        ------
        WorkloadError
            If it is not a number of positions of each layer.
        """
        if (prompt, steps) not in self._parts:
            self._parts[prompt, steps] = self._list_cache(prompt, steps)
        return self._parts[prompt, steps]

    def _list_cache(self, prompt: int, steps: int) -> tuple[CachePart, ...]:
        found = self.measure_cache(prompt, steps)
        for path in (self._follow_contexts(prompt + steps), self._follow_steps(prompt, steps)):
            parts = tuple(self._list_parts(path))
            if sum(part.tokens * part.token_bytes for part in parts) == found and all(
                part.token_bytes > 0 for part in parts
            ):
                return parts
        raise WorkloadError(
            "what layers cache is not a number of positions each", place=self.model, found=f"{prompt} + {steps}"
        )

    def _find(self, prompt: int, steps: int) -> tuple[LineRun, ...]:
        if not steps:
            return ()
        # The steps of most models hang on the positions before them, of whichever prompt.
        total = self._sum_steps(prompt, steps)
        for list_runs in (self._list_context_runs, self._list_step_runs):
            runs = tuple(list_runs(prompt, steps))
            if tuple(map(sum, zip(*map(self._add_up, runs), strict=True))) == total:
                return runs
        raise WorkloadError(
            "steps of this model are not linear between full windows of attention", place=f"{self.model}: seq_len",
            expected="as much more work and cache in each step as in the one before", found=f"{prompt}, {steps} steps",
            remedy="eval and sweep have the exact numbers of such requests",
        )  # fmt: skip

    def _list_context_runs(self, prompt: int, steps: int) -> Iterator[LineRun]:
        last = prompt + steps - 1
        for start, end in pairwise((*self._list_starts_up_to(last), last + 1)):
            if end > prompt:
                line = StepLine(prompt=start, is_shared=True)
                yield LineRun(line=line, first=max(prompt, start) - start, last=end - 1 - start)

    def _list_step_runs(self, prompt: int, steps: int) -> Iterator[LineRun]:
        starts = _list_starts(partial(self._count_step, prompt), 1, steps) if steps else ()
        for start, end in pairwise((*starts, steps + 1)):
            yield LineRun(line=StepLine(prompt=prompt, step=start), first=0, last=end - 1 - start)

    def _list_starts_up_to(self, last: int) -> list[int]:
        """Return the positions before the first step of each line, of steps after at most so many positions."""
        if last > self._seen:
            known = self._starts or [self.fewest]
            self._starts = [*known[:-1], *_list_starts(lambda cached: self._count_step(cached, 1), known[-1], last)]
            self._seen = last
        return self._starts[: max(1, bisect_right(self._starts, last))]

    def _count_step(self, prompt: int, step: int) -> _Numbers:
        """Return the work of one step, and what it adds to the cache."""
        if step == 1:
            return self._sum_steps(prompt, 1)
        after, before = self._sum_steps(prompt, step), self._sum_steps(prompt, step - 1)
        return tuple(more - less for more, less in zip(after, before, strict=True))

    def _sum_steps(self, prompt: int, steps: int) -> _Numbers:
        if (prompt, steps) not in self._counted:
            rows = self.list_rows(prompt, steps)
            cached = self.measure_cache(prompt, steps) - self.measure_cache(prompt, 0)
            self._counted[prompt, steps] = (*(getattr(row, name) for row in rows for name in COUNTED), cached)
        return self._counted[prompt, steps]

    def _add_up(self, run: LineRun) -> _Numbers:
        low, high = (self._count_step(*run.line.find_step(place)) for place in (0, min(1, run.last)))
        return tuple(run.count * one + run.places * (two - one) for one, two in zip(low, high, strict=True))

    def _follow_contexts(self, tokens: int) -> Iterator[tuple[int, Rational]]:
        """Yield the positions up to which each adds as much to the cache as the one before, and how much."""
        starts = self._list_starts_up_to(max(self.fewest, tokens - 1))
        for start, end in pairwise((*starts, tokens)):
            yield end, self._count_step(start, 1)[-1]

    def _follow_steps(self, prompt: int, steps: int) -> Iterator[tuple[int, Rational]]:
        yield prompt, self._count_step(prompt, 1)[-1]
        for run in self._list_step_runs(prompt, steps):
            yield prompt + run.line.step + run.last, self._count_step(prompt, run.line.step)[-1]

    @staticmethod
    def _list_parts(path: Iterator[tuple[int, Rational]]) -> Iterator[CachePart]:
        ends = [*path]
        for (tokens, before), (_, after) in pairwise((*ends, (0, 0))):
            if before != after:
                yield CachePart(tokens=tokens, token_bytes=before - after, dropped=ends[-1][0] - tokens)


def _list_starts(count: Callable[[int], _Numbers], first: int, last: int) -> Iterator[int]:
    """Yield the first step of every line among some steps: two steps give a line, and the first that is off it ends it.

    Where windows fill, numbers bend away from a line and stay away, so that the end is found by halving. Two steps side
    by side are looked at, as one may be where a jump and a bend meet the line again.
    """
    start = first
    while True:
        yield start
        if start + 1 >= last:
            return
        low, high = count(start), count(start + 1)

        def is_on(place: int, start: int = start, low: _Numbers = low, high: _Numbers = high) -> bool:
            numbers = zip(low, high, count(place), strict=True)
            return all(one + (place - start) * (two - one) == found for one, two, found in numbers)

        places = range(start + 2, last + 1)
        at = bisect_left(places, True, key=lambda place: not (is_on(place) and is_on(place - 1)))
        if at == len(places):
            return
        start = places[at]
