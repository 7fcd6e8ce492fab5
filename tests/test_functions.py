"""Integer functions: exact on integers, opaque on formulas, and the same as the Python text they print."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import ceil, floor

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.dimensions.functions import (
    INTEGER_FUNCTIONS,
    CeilDiv,
    Differs,
    Equals,
    Exceeds,
    FloorDiv,
    IntegerFunction,
    Size,
    Triangular,
    are_several,
    bounded_routed_reads,
    ceil_div,
    differs,
    divide,
    enough_tokens,
    equals,
    exceeds,
    exists,
    expected_routed_reads,
    floor_div,
    is_always_more,
    routed_reads,
)
from modelmeter.support.errors import FormulaError

x, y = sympy.symbols("x y", integer=True, positive=True)
numbers, divisors = st.integers(0, 10**25), st.integers(1, 10**25)
small = st.integers(1, 9)

BINARY: list[tuple[type[IntegerFunction], Callable[[Size, Size], Size], Callable[[int, int], int]]] = [
    (CeilDiv, ceil_div, lambda a, b: ceil(Fraction(a, b))),
    (FloorDiv, floor_div, lambda a, b: floor(Fraction(a, b))),
    (Differs, differs, lambda a, b: 1 if a != b else 0),
    (Equals, equals, lambda a, b: 1 if a == b else 0),
    (Exceeds, exceeds, lambda a, b: 1 if a > b else 0),
]


@pytest.mark.parametrize(("function", "build", "expected"), BINARY)
@given(a=numbers, b=divisors)
def test_numbers_give_the_number_in_every_way_of_asking(
    function: type[IntegerFunction],
    build: Callable[[Size, Size], Size],
    expected: Callable[[int, int], int],
    a: int,
    b: int,
) -> None:
    """Also beyond what a double holds; ints stay ints, and a formula gives the same once its symbols have values."""
    for first, second in ((a, b), (b, b), (a * b, b), (a * b + 1, b)):
        value = expected(first, second)
        assert build(first, second) == value
        assert type(build(first, second)) is int
        assert build(x, y).subs({x: first, y: second}) == value
        assert function(sympy.Integer(first), sympy.Integer(second)) == value


@given(n=st.integers(0, 10**12))
def test_triangular_numbers(n: int) -> None:
    assert Triangular(sympy.Integer(n)) == Fraction(n * (n + 1), 2)
    assert Triangular(x).subs(x, n) == Fraction(n * (n + 1), 2)


def test_triangular_numbers_are_sums() -> None:
    assert [Triangular.compute(n) for n in range(7)] == [sum(range(n + 1)) for n in range(7)]


@given(a=st.integers(0, 10**6), m=st.integers(1, 50), n=st.integers(1, 50))
def test_nested_roundings_become_one(a: int, m: int, n: int) -> None:
    nested = ceil_div(ceil_div(x, m), n)
    assert nested == CeilDiv(x, m * n)
    assert nested.subs(x, a) == ceil(Fraction(ceil(Fraction(a, m)), n))


def test_what_is_known_without_numbers_is_simplified_and_nothing_else() -> None:
    assert CeilDiv(x, 1) == FloorDiv(x, 1) == x
    assert CeilDiv(x, x) == FloorDiv(x, x) == Equals(x, x) == 1
    assert Differs(x, x) == 0
    for unknown in (CeilDiv(x, y), FloorDiv(2 * x, 2 * y), Differs(x, y), Equals(x, 3), Exceeds(x, y), CeilDiv(x, 3)):
        assert isinstance(unknown, IntegerFunction)


zero_or_more = sympy.Symbol("z", integer=True, nonnegative=True)

# A size, another one, and whether the first is more for every value of their symbols, of which x and y are at least 1.
ALWAYS_MORE = [
    (x + 1, x, True),
    (x + y, x, True),
    (x + y, sympy.Integer(1), True),  # at least 2
    (x * y + 1, sympy.Integer(1), True),
    (x * y, sympy.Integer(1), False),  # 1 at x = y = 1
    (x, sympy.Integer(1), False),
    (x, y, False),
    (2 * x, x, True),
    (x**2 + x, x, True),
    (x**2, x, False),  # equal at x = 1
    (x + zero_or_more, x, False),
    (x + zero_or_more + 1, x, True),
    (zero_or_more, sympy.Integer(0), False),
    (x + CeilDiv(y, 3), x, False),  # a rounded quotient may be 0, as far as is known
    (x + CeilDiv(y, 3) + 1, x, True),
    (x * y, x + y, False),  # 6 is more than 5, but 2 is not more than 3
    (x / 2, x / 3, True),
    (2**x, sympy.Integer(1), False),  # true, but only polynomials are compared
    (sympy.Symbol("anything") + 1, sympy.Integer(0), False),  # of a symbol that may be negative nothing is known
]


@pytest.mark.parametrize(("a", "b", "expected"), ALWAYS_MORE, ids=str)
def test_a_size_is_always_more_only_where_that_is_so_for_every_value(
    a: sympy.Expr, b: sympy.Expr, expected: bool
) -> None:
    assert is_always_more(a, b) is expected
    if expected:  # then it is so at many values, and never the other way round
        sizes = sorted((a - b).free_symbols, key=str)
        for values in product((1, 2, 3, 7, 100), repeat=len(sizes)):
            chosen = dict(zip(sizes, values, strict=True))
            assert (a - b).subs({**chosen, zero_or_more: chosen.get(zero_or_more, 1) - 1}) > 0
        assert not is_always_more(b, a)


def test_brackets_settle_where_a_comparison_has_the_same_answer_for_all_sizes() -> None:
    for more, less in ((x + 1, x), (x + y, sympy.Integer(1)), (x + 3, sympy.Integer(2))):
        assert [Differs(more, less), Differs(less, more)] == [1, 1]
        assert [Equals(more, less), Equals(less, more)] == [0, 0]
        assert [Exceeds(more, less), Exceeds(less, more)] == [1, 0]
    assert [Differs(x, x), Equals(x, x), Exceeds(x, x)] == [0, 1, 0]
    assert [bracket(sympy.Rational(7, 2), 3) for bracket in (Differs, Equals, Exceeds)] == [1, 0, 1]
    for bracket in (Differs, Equals, Exceeds):
        assert isinstance(bracket(x, sympy.Integer(1)), bracket), "open: x may be 1"
        assert isinstance(bracket(x * y, sympy.Integer(1)), bracket)


@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_several_is_more_than_one_of_any(counts: list[int]) -> None:
    assert are_several(*counts) == (1 if max(counts) > 1 else 0)
    symbols = sympy.symbols(f"c:{len(counts)}", integer=True, positive=True)
    assert are_several(*symbols).subs(dict(zip(symbols, counts, strict=True))) == are_several(*counts)


def test_results_are_known_to_be_whole_and_not_negative() -> None:
    for function in INTEGER_FUNCTIONS:
        atom = function(*[x] * function.arity) if function.arity != 2 else function(x, y)
        assert isinstance(atom, function)
        assert atom.is_integer
        assert atom.is_nonnegative


def test_one_or_more_exist_and_none_does_not() -> None:
    assert [exists(count) for count in (0, 1, 2)] == [0, 1, 1]
    assert exists(x) == 1
    steps = sympy.Symbol("steps", integer=True, nonnegative=True)
    assert [exists(steps).subs(steps, count) for count in (0, 1, 2)] == [0, 1, 1]


@pytest.mark.parametrize("build", [ceil_div, floor_div, divide])
def test_a_divisor_that_is_not_positive_is_refused(build: Callable[[Size, Size], Size]) -> None:
    for divisor in (0, -3):
        with pytest.raises(FormulaError, match=f"a divisor must be positive; .*found {divisor}"):
            build(7, divisor)


@given(a=numbers, b=divisors)
def test_an_exact_quotient_is_an_int_where_it_is_one_and_never_a_float(a: int, b: int) -> None:
    assert divide(a * b, b) == a
    assert type(divide(a * b, b)) is int
    assert Fraction(str(divide(a, b))) == Fraction(a, b)
    assert divide(x, 2).subs(x, a) == sympy.Rational(a, 2)


# --- routed experts ----------------------------------------------------------------------------------------


def expected_reads(experts: int, per_token: int, tokens: int, weights: int) -> int:
    """E (1 - (1 - k/E)^N) W in exact fractions, rounded to the nearest integer, halves up."""
    exact = experts * (1 - (1 - Fraction(per_token, experts)) ** tokens) * weights
    return floor(exact + Fraction(1, 2))


@given(experts=small, choice=small, tokens=st.integers(0, 400), weights=st.integers(0, 10**9))
def test_expected_reads_are_exact(experts: int, choice: int, tokens: int, weights: int) -> None:
    """Also past the point from which the powers are not built any more."""
    per_token = min(choice, experts)
    seen = expected_routed_reads(experts, per_token, tokens, weights)
    assert seen == expected_reads(experts, per_token, tokens, weights)
    assert routed_reads(experts, per_token, tokens, weights) == seen
    assert routed_reads(x, per_token, tokens, weights).subs(x, experts) == seen


def test_the_published_experts_at_one_token_at_a_prompt_and_at_a_book() -> None:
    weights = 3 * 1280 * 896
    assert expected_routed_reads(64, 6, 1, weights) == 6 * weights
    # (58/64)^913 is about 10^-39: less than half a parameter of 64 experts is missing.
    assert expected_routed_reads(64, 6, 913, weights) == 64 * weights
    assert expected_routed_reads(64, 6, 10**400, weights) == 64 * weights
    assert expected_routed_reads(64, 6, 29, weights) == expected_reads(64, 6, 29, weights) < 64 * weights


@pytest.mark.parametrize(("experts", "per_token", "weights"), [(64, 6, 10**9), (7, 1, 3), (3, 2, 10**12)])
def test_expected_reads_stay_exact_up_to_the_last_parameter(experts: int, per_token: int, weights: int) -> None:
    """Through the point from which every parameter is read, where the powers stop being built."""
    seen = [expected_routed_reads(experts, per_token, tokens, weights) for tokens in range(400)]
    assert seen == [expected_reads(experts, per_token, tokens, weights) for tokens in range(400)]
    assert seen[-1] == experts * weights


def test_expected_reads_lie_below_the_bound_and_both_below_all_experts() -> None:
    for tokens in range(40):
        expected, bound = (rule(11, 3, tokens, 1009) for rule in (expected_routed_reads, bounded_routed_reads))
        assert expected <= bound <= 11 * 1009
    assert expected_routed_reads(11, 3, 0, 1009) == bounded_routed_reads(11, 3, 0, 1009) == 0
    # Every assignment another expert: 3 tokens of 3, then all 11.
    assert bounded_routed_reads(11, 3, 3, 1009) == 9 * 1009
    assert bounded_routed_reads(11, 3, 4, 1009) == 11 * 1009


@given(experts=small, choice=small, fixed=st.integers(0, 10**6), growth=st.integers(0, 10**6))
def test_more_than_enough_tokens_read_every_expert(experts: int, choice: int, fixed: int, growth: int) -> None:
    """Also where what is read of an expert grows with the tokens, so that what is missed grows first."""
    per_token = min(choice, experts)
    enough = enough_tokens(experts, per_token, fixed, growth)
    for tokens in (*range(enough + 1, enough + 6), 2 * enough + 1):
        weights = fixed + growth * tokens
        assert expected_reads(experts, per_token, tokens, weights) == experts * weights
        assert bounded_routed_reads(experts, per_token, tokens, weights) == experts * weights


def test_no_token_and_no_choice_read_nothing() -> None:
    """400 tokens are more than the 3 * 6 (42 has 6 bits) from which all 3 experts would be read, had they chosen."""
    assert expected_routed_reads(3, 0, 400, 7) == expected_routed_reads(3, 2, 0, 7) == 0


def test_choosing_more_experts_than_there_are_is_refused() -> None:
    with pytest.raises(FormulaError, match="a token cannot choose more experts than there are"):
        expected_routed_reads(5, 6, 1, 7)
