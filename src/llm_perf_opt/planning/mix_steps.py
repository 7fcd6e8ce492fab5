"""The steps of a mix of pages by line, and what pages cost that differ in the number of their steps only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from attrs import frozen

from llm_perf_opt.planning.page_classes import PageClass, Prompt, PromptGroup
from llm_perf_opt.planning.step_lines import StepLines
from llm_perf_opt.planning.step_records import CachePart, LineRun, LineSum, StepLine

Cost = Mapping[str, int]


@frozen(kw_only=True, eq=False)
class MixSteps:
    """The steps of some pages, one sequence each.

    Parameters
    ----------
    lines
        Where steps of the model are linear.
    prompts
        The pages by what they are before their first token.
    """

    lines: StepLines
    prompts: tuple[PromptGroup, ...]

    @cached_property
    def runs(self) -> Mapping[Prompt, tuple[LineRun, ...]]:
        """The steps of the longest page with each prompt.

        Raises
        ------
        WorkloadError
            If they are not on lines.
        """
        find = self.lines.find
        return {group.page.prompt: find(group.page.seq_len, group.steps[-1]) for group in self._longest_first}

    @cached_property
    def sums(self) -> tuple[LineSum, ...]:
        """All steps of all pages, by line; where there are none, a first step of each page."""
        counts: dict[StepLine, int] = {}
        places: dict[StepLine, int] = {}
        for run, pages in self._list_runs_of_pages():
            counts[run.line] = counts.get(run.line, 0) + pages * run.count
            places[run.line] = places.get(run.line, 0) + pages * run.places
        return tuple(LineSum(line=line, count=count, places=places[line]) for line, count in counts.items())

    @cached_property
    def ends(self) -> Mapping[StepLine, tuple[int, int]]:
        """The first and the last step of any page on each line: how many steps of the line are before them."""
        found: dict[StepLine, tuple[int, int]] = {}
        for run, _ in self._list_runs_of_pages():
            first, last = found.get(run.line, (run.first, run.last))
            found[run.line] = min(first, run.first), max(last, run.last)
        return found

    @cached_property
    def caches(self) -> Mapping[Prompt, tuple[CachePart, ...]]:
        """What the longest page with each prompt has in the cache after its last step."""
        find = self.lines.list_cache
        return {group.page.prompt: find(group.page.seq_len, group.steps[-1]) for group in self._longest_first}

    @property
    def _longest_first(self) -> Sequence[PromptGroup]:
        """The prompts, the one with most positions first, so that borders of windows are looked for once."""
        return sorted(self.prompts, key=lambda group: group.page.seq_len + group.steps[-1], reverse=True)

    @cached_property
    def largest_caches(self) -> tuple[tuple[CachePart, ...], ...]:
        """What pages have in the cache, less what is no more than that of another one, layer by layer."""
        kept: dict[tuple[object, ...], dict[tuple[int, ...], tuple[CachePart, ...]]] = {}
        for parts in self.caches.values():
            kind = tuple(part.token_bytes for part in parts)
            tokens = tuple(count for part in parts for count in (part.tokens, part.tokens + part.dropped))
            kept.setdefault(kind, {})[tokens] = parts
        found: list[tuple[CachePart, ...]] = []
        for alike in kept.values():
            most = tuple(map(max, zip(*alike, strict=True)))
            found += [alike[most]] if most in alike else alike.values()
        return tuple(found)

    def count_cached(self, page: PageClass) -> int:
        """Return the positions that a page has in the cache after its last step, in the layers that keep most."""
        parts = self.caches[page.prompt]
        is_full = parts and parts[-1].dropped
        return min(page.cached_tokens, parts[-1].tokens) if is_full else page.cached_tokens

    def _list_runs_of_pages(self) -> Iterator[tuple[LineRun, int]]:
        """Yield runs of steps, with how many pages have them."""
        has_steps = any(group.steps[-1] for group in self.prompts)
        for group in self.prompts:
            if not has_steps:
                yield self.lines.find(group.page.seq_len, 1)[0], group.count
                continue
            before = 0
            for run in self.runs[group.page.prompt]:
                below = 0
                for steps, cumulative in zip(group.steps, group.cumulative, strict=True):
                    part = run.cut(steps - before)
                    if part is not None:
                        yield part, cumulative - below
                    below = cumulative
                before += run.count


def extend_costs(runs: Sequence[LineRun], evaluate: Callable[[int], Cost], steps: Sequence[int]) -> Iterator[Cost]:
    """Yield what pages cost that are alike up to their first token, from few of them.

    A step is linear in those before it on its line, so that flows are quadratic in the number of steps. Where nothing
    is rounded, three values on a line give all others there; a fourth one is held against them, and where it differs
    pages are evaluated one by one.

    Parameters
    ----------
    runs
        The steps of the longest page.
    evaluate
        Returns what a page with so many steps costs.
    steps
        How many steps each page has.
    """
    extended = dict(_list_extended(runs, evaluate, frozenset(steps)))
    for count in steps:
        yield extended[count] if count in extended else evaluate(count)


def _list_extended(
    runs: Sequence[LineRun], evaluate: Callable[[int], Cost], steps: frozenset[int]
) -> Iterator[tuple[int, Cost]]:
    before = 0
    for run in runs:
        # Without steps there is nothing that grows with them, so that the first line has its values from one step on.
        start, last = max(1, before), before + run.count
        before = last
        inside = [count for count in steps if start < count <= last]
        if len(inside) <= _FEW or last < start + _FEW - 1:
            continue
        first, second, third = (evaluate(start + more) for more in range(3))

        def extend(
            count: int, start: int = start, first: Cost = first, second: Cost = second, third: Cost = third
        ) -> Cost:
            more = count - start
            return {
                name: value
                + more * (second[name] - value)
                + more * (more - 1) // 2 * (third[name] - 2 * second[name] + value)
                for name, value in first.items()
            }

        if extend(last) == evaluate(last):
            yield from ((count, extend(count)) for count in inside)


_FEW = 4
"""So many values are evaluated one by one: three give a line, and a fourth one is held against it."""
