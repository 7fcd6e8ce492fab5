"""From which output on one model costs fewer dollars than another on full cards: looked for, not proved.

Dollars come from times, which are bounds or estimates, and from batches, which are whole numbers. So there is no
certificate, as there is for work: prices are compared at powers of two, and between two of these whose order differs
at the middle, again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import combinations, pairwise
from typing import Final

from attrs import evolve, frozen

from llm_perf_opt.planning.search import plan_card
from llm_perf_opt.planning.setup import Setup
from modelmeter.support.errors import WorkloadError

OUTPUTS: Final = tuple(2**power for power in range(15))
"""Where prices are compared first: 1 to 16,384 tokens."""

KINDS: Final = ("bound", "estimate")

Price = Callable[[int], float]
"""The dollars of pages, by the tokens written for each."""


@frozen(kw_only=True)
class Span:
    """Outputs at which one model is cheaper, as far as was looked.

    Parameters
    ----------
    first, last
        The fewest and the most tokens.
    cheaper
        The label of the model; empty where both cost the same.
    """

    first: int
    last: int
    cheaper: str


@frozen(kw_only=True)
class DollarFrontier:
    """Which of two models costs fewer dollars on full cards, over the output of a page.

    Parameters
    ----------
    kind
        Whether dollars are those of the bound of the times, or those of their estimate: one of :data:`KINDS`.
    page
        The sides of the page in pixels.
    one, other
        The labels of the models.
    spans
        Which one is cheaper, in order; they leave out no output between the first and the last.
    """

    kind: str
    page: tuple[int, int]
    one: str
    other: str
    spans: tuple[Span, ...]

    @property
    def sentence(self) -> str:
        """The frontier in one sentence."""
        by = "By the bound" if self.kind == "bound" else "As estimated"
        last = self.spans[-1].last
        where = "; ".join(self._describe(span) for span in self.spans)
        return f"{by}, {where} (on full cards, up to {last:,} tokens; looked for, not proved)."

    def _describe(self, span: Span) -> str:
        if not span.cheaper:
            words = f"{self.one} and {self.other} cost the same"
        else:
            dearer = self.other if span.cheaper == self.one else self.one
            words = f"{span.cheaper} costs fewer dollars than {dearer}"
        if len(self.spans) == 1:
            return f"{words} at every output looked at"
        return f"{words} where {_write_range(span, self.spans, 'text tokens ')}"

    def condition(self, label: str) -> str:
        """When one of the two costs less, in few words: ``always``, ``never``, or the text tokens."""
        own = [span for span in self.spans if span.cheaper == label]
        if not own or len(self.spans) == 1:
            return "always" if own else "never"
        return " or ".join(_write_range(span, self.spans, "") for span in own)


def _write_range(span: Span, spans: Sequence[Span], words: str) -> str:
    if span is spans[0]:
        return f"{words}< {span.last + 1:,}"
    if span is spans[-1]:
        return f"{words}> {span.first - 1:,}"
    return f"{words}> {span.first - 1:,} and < {span.last + 1:,}"


def find_dollar_frontiers(page: tuple[int, int], models: Sequence[tuple[str, Setup]]) -> Iterator[DollarFrontier]:
    """Yield which of any two models is cheaper over the output, by the bound, and as estimated where there is one.

    There are none without a price of the card, or where a model has no price even at one token.

    Parameters
    ----------
    page
        Its sides.
    models
        The label of each model, and the card that serves the page.
    """
    prices = {label: _price_outputs(setup) for label, setup in models}
    for (one, setup), (other, _) in combinations(models, 2):
        kinds = KINDS if setup.calibration is not None else KINDS[:1]
        outputs = [tokens for tokens in OUTPUTS if prices[one](tokens) and prices[other](tokens)]
        for kind in kinds if outputs else ():
            left, right = (_take(prices[label], KINDS.index(kind)) for label in (one, other))
            yield DollarFrontier(
                kind=kind, page=page, one=one, other=other, spans=find_spans(one, left, other, right, outputs)
            )


def find_spans(one: str, price: Price, other: str, other_price: Price, outputs: Sequence[int]) -> tuple[Span, ...]:
    """Return where which of two is cheaper, from the first of some outputs to the last.

    Parameters
    ----------
    outputs
        Where prices are compared first, in order.
    """

    @cache
    def choose(tokens: int) -> str:
        left, right = price(tokens), other_price(tokens)
        return one if left < right else other if right < left else ""

    starts = [outputs[0]]
    for first, last in pairwise(outputs):
        while choose(first) != choose(last):
            low, high = first, last  # the order at low is that at first, the one at high is another
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if choose(middle) == choose(first) else (low, middle)
            starts.append(high)
            first = high
    ends = [*(start - 1 for start in starts[1:]), outputs[-1]]
    return tuple(Span(first=start, last=end, cheaper=choose(start)) for start, end in zip(starts, ends, strict=True))


def _price_outputs(setup: Setup) -> Callable[[int], tuple[float, float] | None]:
    """Return what gives the dollars of a million pages by their output, at least and as estimated."""

    @cache
    def price(output_tokens: int) -> tuple[float, float] | None:
        mix = evolve(setup.mix, classes=tuple(evolve(each, output_tokens=output_tokens) for each in setup.mix.classes))
        try:
            mix.check_sizes()
        except WorkloadError:
            return None  # the formulas hold for no output as long
        row = plan_card(evolve(setup, mix=mix)).chosen
        if row is None or row.bound_usd_per_million_pages is None or row.usd_per_million_pages is None:
            return None  # not even one page fits, or the card has no price
        return row.bound_usd_per_million_pages, row.usd_per_million_pages

    return price


def _take(price: Callable[[int], tuple[float, float] | None], place: int) -> Price:
    def take(tokens: int) -> float:
        found = price(tokens)
        if found is None:
            raise WorkloadError("an output between two that are possible is not", place="text tokens", found=tokens)
        return found[place]

    return take
