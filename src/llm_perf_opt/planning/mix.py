"""The exact work of a mix of pages: classes of pages that cost the same, their sums, and percentiles."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, partial
from itertools import accumulate
from typing import Final, TypeVar

from attrs import field, frozen

from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.evaluation import ServedModel, simplify
from llm_perf_opt.planning.mix_steps import MixSteps, extend_costs
from llm_perf_opt.planning.page_classes import PageClass, Prompt, PromptGroup
from llm_perf_opt.planning.pages import PageClasses, ViewSizes
from llm_perf_opt.planning.parallel import BITS_PER_BYTE
from llm_perf_opt.planning.step_work import list_mean_work
from llm_perf_opt.planning.work import StageWork
from modelmeter.support.errors import WorkloadError

PERCENTILES: Final = (50, 90, 95, 99, 100)
"""The last one is the largest."""

FLOWS: Final = ("tensor_core_flops", "cuda_core_flops", "io_bytes", "fused_io_bytes")
"""What adds up over pages."""

_Value = TypeVar("_Value", int, float)


@frozen(kw_only=True, eq=False)
class PageMix:
    """Pages by class.

    Parameters
    ----------
    model
        The evaluators and the widths.
    classes
        At least one class.
    """

    model: ServedModel
    classes: tuple[PageClass, ...] = field()
    _steps: dict[int, StageWork] = field(factory=dict, init=False, repr=False)

    @classes.validator
    def _check(self, _: object, classes: tuple[PageClass, ...]) -> None:
        if not classes:
            raise RecordError("there are no pages", place="pages", expected="at least one")

    @cached_property
    def num_pages(self) -> int:
        """How many pages there are."""
        return sum(each.count for each in self.classes)

    @cached_property
    def num_steps(self) -> int:
        """The steps of all pages together, one sequence a step."""
        return sum(each.count * each.num_steps for each in self.classes)

    @property
    def mean_steps(self) -> Fraction:
        """Steps of a page."""
        return Fraction(self.num_steps, self.num_pages)

    @cached_property
    def mean_context(self) -> Fraction:
        """Cached positions of a sequence in a step, over all steps of all pages; the prompt where there are none."""
        if not self.num_steps:
            return Fraction(sum(each.count * each.seq_len for each in self.classes), self.num_pages)
        return Fraction(sum(each.count * each.step_contexts for each in self.classes), self.num_steps)

    @property
    def mean_image_tokens(self) -> Fraction:
        """Tokens of the image of a page."""
        return Fraction(sum(each.count * each.image_tokens for each in self.classes), self.num_pages)

    @cached_property
    def shortest_prompt(self) -> int:
        """The fewest positions of a prompt."""
        return min(each.seq_len for each in self.classes)

    @cached_property
    def longest_prompt(self) -> int:
        """The most positions of a prompt."""
        return max(each.seq_len for each in self.classes)

    @cached_property
    def most_cached_tokens(self) -> int:
        """The most positions that a page has in the cache."""
        return max(each.cached_tokens for each in self.classes)

    @cached_property
    def most_logits_tokens(self) -> int:
        """The most positions of a prompt that get logits."""
        return max(each.logits_tokens for each in self.classes)

    @cached_property
    def prompts(self) -> tuple[PromptGroup, ...]:
        """The pages by what they are before their first token."""
        alike: dict[Prompt, dict[int, int]] = {}
        pages: dict[Prompt, PageClass] = {}
        for each in self.classes:
            pages.setdefault(each.prompt, each)
            counts = alike.setdefault(each.prompt, {})
            counts[each.num_steps] = counts.get(each.num_steps, 0) + each.count
        return tuple(
            PromptGroup(
                page=pages[prompt],
                steps=tuple(sorted(counts)),
                cumulative=tuple(accumulate(counts[steps] for steps in sorted(counts))),
            )
            for prompt, counts in alike.items()
        )

    def check_sizes(self, find_place: Callable[[ViewSizes], str] | None = None) -> None:
        """Refuse what the evaluators refuse: of items with the same sizes before their first token, the longest one.

        Parameters
        ----------
        find_place
            From the sizes of an item to where they were given, for the error.

        Raises
        ------
        WorkloadError
            If sizes contradict each other, or steps are not on lines.
        """
        for group in self.prompts:
            try:
                self._evaluate(group.page, group.steps[-1])
            except WorkloadError as error:
                if find_place is not None:
                    error.name_place(find_place(group.page.views))
                raise
        _ = self.steps.runs

    @cached_property
    def steps(self) -> MixSteps:
        """The steps of all pages by line."""
        return MixSteps(lines=self.model.step_lines, prompts=self.prompts)

    @cached_property
    def views(self) -> Mapping[ViewSizes, int]:
        """The most tokens of a prompt by the sizes of its views."""
        longest: dict[ViewSizes, int] = {}
        for each in self.classes:
            longest[each.views] = max(longest.get(each.views, 0), each.seq_len)
        return longest

    def list_step_work(self, batch_size: int) -> StageWork:
        """Return the exact work of the mean step of so many sequences; cards share what was counted before."""
        if batch_size not in self._steps:
            self._steps[batch_size] = list_mean_work(self.model, batch_size, self.steps.sums)
        return self._steps[batch_size]

    @cached_property
    def _costs(self) -> tuple[Mapping[str, int], ...]:
        """What a page of each class costs alone."""
        alike: dict[Prompt, list[int]] = {}
        for place, each in enumerate(self.classes):
            alike.setdefault(each.prompt, []).append(place)
        costs: list[Mapping[str, int]] = [{}] * len(self.classes)
        for places in alike.values():
            pages = [self.classes[place] for place in places]
            for place, cost in zip(places, self._evaluate_alike(pages), strict=True):
                costs[place] = cost
        return tuple(costs)

    def _evaluate_alike(self, pages: Sequence[PageClass]) -> Iterator[Mapping[str, int]]:
        """Yield what pages cost that differ in their output only."""
        counts = [page.num_steps for page in pages]
        # Below, some widths are rounded to whole bytes in each sum.
        if any(bits % BITS_PER_BYTE for bits in self.model.bits.values()):
            yield from (self._evaluate(pages[0], count) for count in counts)
            return
        runs = self.model.step_lines.find(pages[0].seq_len, max(counts))
        yield from extend_costs(runs, partial(self._evaluate, pages[0]), counts)

    def _evaluate(self, page: PageClass, num_steps: int) -> Mapping[str, int]:
        names = self.model.serving
        named = names.name_sizes(seq_len=page.seq_len, logits_tokens=page.logits_tokens, steps=num_steps)
        sizes = {**dict(page.views), **named}
        cost = self.model.evaluate("request", **sizes)
        fused = self.model.evaluate("request_fused_io_bytes", **sizes)
        return {**{name: getattr(cost, name) for name in FLOWS[:-1]}, FLOWS[-1]: fused}

    @cached_property
    def totals(self) -> Mapping[str, int]:
        """The flows of all pages, each as it costs alone."""
        return {
            name: sum(each.count * cost[name] for each, cost in zip(self.classes, self._costs, strict=True))
            for name in FLOWS
        }

    def list_amounts(self) -> Mapping[str, Mapping[str, int | Fraction]]:
        """Return mean and percentiles, by what is counted of a page: its tokens and its flows."""
        counted: dict[str, list[int]] = {}
        if self.model.serving.image_tokens is not None:
            counted[self.model.serving.image_tokens] = [each.image_tokens for each in self.classes]
        if self.model.serving.prompt_stage is not None:
            counted["prompt_tokens"] = [each.seq_len for each in self.classes]
        counted["output_tokens"] = [each.output_tokens for each in self.classes]
        if self.model.serving.prompt_stage is not None:
            counted["cached_tokens"] = [self.steps.count_cached(each) for each in self.classes]
        counted |= {name: [cost[name] for cost in self._costs] for name in FLOWS}
        counts = [each.count for each in self.classes]
        return {
            name: {"mean": _mean(values, counts), **rank_values(zip(values, counts, strict=True))}
            for name, values in counted.items()
        }


def make_mix(
    model: ServedModel, classes: PageClasses, *, prompt_tokens: int | None = None, all_logits: bool = False
) -> PageMix:
    """Return the mix of pages that were grouped by their views and output.

    Parameters
    ----------
    model
        The evaluators and the widths.
    classes
        How many pages there are by views and output tokens.
    prompt_tokens
        The tokens of the prompt beside the image; as the model's published workloads have it, if left out.
    all_logits
        Whether all positions of a prompt get logits, as in the vendor's own code; engines take the last one.
    """
    serving = model.serving
    has_prompt = serving.prompt_stage is not None
    beside = serving.prompt_tokens[1] if serving.prompt_tokens and prompt_tokens is None else prompt_tokens or 0
    tokens: dict[ViewSizes, int] = {}
    found = []
    for (views, output_tokens), count in sorted(classes.items()):
        if views not in tokens:
            tokens[views] = count_image_tokens(model, views)
        # An item that is a prompt says itself how long it is.
        seq_len = dict(views).get(serving.seq_len or "", tokens[views] + beside) if has_prompt else 0
        found.append(
            PageClass(
                views=views,
                image_tokens=tokens[views],
                seq_len=seq_len,
                logits_tokens=seq_len if all_logits else 1,
                output_tokens=output_tokens,
                count=count,
                has_prompt=has_prompt,
            )
        )
    return PageMix(model=model, classes=tuple(found))


def count_image_tokens(model: ServedModel, views: ViewSizes) -> int:
    """Return the tokens of an item with these views: 0 where it is text."""
    name = model.serving.image_tokens
    tokens: int = 0 if name is None else model.evaluate(name, **dict(views))
    return tokens


def rank_values(values: Iterable[tuple[_Value, int]]) -> dict[str, _Value]:
    """Return, for each of :data:`PERCENTILES`, the least value that so many of the pages do not exceed.

    Parameters
    ----------
    values
        At least one, each with how many pages have it.
    """
    ordered = sorted(values)
    cumulative = list(accumulate(count for _, count in ordered))
    return {
        name_percentile(percent): ordered[bisect_left(cumulative, -(-percent * cumulative[-1] // 100))][0]
        for percent in PERCENTILES
    }


def _mean(values: list[int], counts: list[int]) -> int | Fraction:
    return simplify(Fraction(sum(value * count for value, count in zip(values, counts, strict=True)), sum(counts)))


def name_percentile(percent: int) -> str:
    """Return what a percentile is called: ``p95``, and ``max`` for the last one."""
    return "max" if percent == 100 else f"p{percent}"
