"""Formulas that are bilinear in tokens and in experts, solved from counts on a grid of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.support.errors import CountError


@frozen(kw_only=True)
class Bilinear:
    """``constant + tokens N + experts D + both N D``."""

    constant: int
    tokens: int
    experts: int
    both: int

    def at(self, tokens: int, experts: int) -> int:
        """Return the value at numbers."""
        return self.constant + self.tokens * tokens + self.experts * experts + self.both * tokens * experts

    def expect(self, tokens: Size, choose: Callable[[Size], Size]) -> Size:
        """Return the expected value; ``choose`` multiplies with the expected number of distinct experts."""
        total = self.constant + self.tokens * tokens
        if (self.experts, self.both) == (0, 0):
            return total
        return total + choose(self.experts + self.both * tokens)


def fit_sums(values: Sequence[int], grid: Sequence[tuple[int, int]], place: str) -> Bilinear:
    """Return the formula with these values at four points of tokens and distinct experts.

    The first two points are of one number of experts and the others of one, which may be the same.

    Raises
    ------
    CountError
        If none with whole coefficients has them; it names the ``place``.
    """
    (few, least), (many, _), (few_of_most, most), (many_of_most, _) = grid
    first, second, third, fourth = values
    of_least = _divide(second - first, many - few, place)
    if most == least:
        return Bilinear(constant=first - of_least * few, tokens=of_least, experts=0, both=0)
    of_most = _divide(fourth - third, many_of_most - few_of_most, place)
    both = _divide(of_most - of_least, most - least, place)
    without_tokens = first - of_least * few
    experts = _divide(third - of_most * few_of_most - without_tokens, most - least, place)
    return Bilinear(
        constant=without_tokens - experts * least, tokens=of_least - both * least, experts=experts, both=both
    )


def fit_alive(values: Sequence[int], distinct: Sequence[int], per_token: int, place: str) -> Bilinear:
    """Return the formula in tokens, in the tokens of one expert, and in distinct experts, for even shares.

    The values are, for each number of ``distinct`` experts, those at as many tokens and at twice as many. There are
    two such numbers, or one where tokens choose all experts.

    Raises
    ------
    CountError
        If none with whole coefficients has them; it names the ``place``.
    """
    first, second, *others = values
    few = distinct[0]
    if not others:
        slope = _divide(second - first, few, place)
        return Bilinear(constant=first - slope * few, tokens=slope, experts=0, both=0)
    third, fourth = others
    more = distinct[1] - few
    tokens = _divide(fourth - third - second + first, more, place)
    share = _divide(second - first - tokens * few, per_token, place)
    each = _divide(third - first, more, place) - tokens
    constant = first - tokens * few - share * per_token - each * few
    return Bilinear(constant=constant, tokens=tokens, experts=share, both=each)


def _divide(number: int, divisor: int, place: str) -> int:
    quotient, rest = divmod(number, divisor)
    if rest:
        raise CountError("the loop over experts is not bilinear in tokens and distinct experts", place=place)
    return quotient
