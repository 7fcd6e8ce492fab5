"""Packed polynomials: their values against those of the terms that they are made of, and what they say of exponents."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.algebra.packed import (
    Multiples,
    Packed,
    add,
    clear_divisors,
    find_used,
    invert,
    multiply,
    pack,
    pack_number,
    pack_unknown,
    raise_to,
    split_powers,
    substitute,
    unpack,
)
from modelmeter.algebra.samples import Samples
from modelmeter.dimensions.functions import floor_div
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import FormulaError

COUNT = 3
POINT = (2, 3, 5)

numbers = st.integers(-20, 20)
powers = st.tuples(*[st.integers(0, 3)] * COUNT)
any_powers = st.tuples(*[st.integers(-3, 3)] * COUNT)
polynomials = st.builds(
    lambda terms, denominator: Packed({pack(each): n for each, n in terms.items() if n}, denominator, 3),
    st.dictionaries(powers, numbers, max_size=5),
    st.integers(1, 6),
)


def value(polynomial: Packed, point: tuple[int, ...] = POINT) -> Fraction:
    terms = (
        number * prod(Fraction(size) ** power for size, power in zip(point, unpack(monomial, COUNT), strict=True))
        for monomial, number in polynomial.terms.items()
    )
    return Fraction(sum(terms)) / polynomial.denominator


@given(exponents=any_powers)
def test_exponents_of_either_sign_come_back(exponents: tuple[int, ...]) -> None:
    assert unpack(pack(exponents), COUNT) == exponents


@given(one=polynomials, other=polynomials, power=st.integers(0, 3))
def test_sums_products_and_powers_have_the_values_of_their_parts(one: Packed, other: Packed, power: int) -> None:
    assert value(add((one, other))) == value(one) + value(other)
    assert value(multiply((one, other))) == value(one) * value(other)
    assert value(raise_to(one, power)) == value(one) ** power


@given(one=polynomials, other=polynomials, place=st.integers(0, COUNT - 1))
def test_a_value_for_an_unknown(one: Packed, other: Packed, place: int) -> None:
    point = tuple(value(other) if number == place else size for number, size in enumerate(POINT))
    assert value(substitute(one, place, COUNT, other)) == value(one, point)  # type: ignore[arg-type]


@given(one=polynomials)
def test_no_term_is_zero(one: Packed) -> None:
    assert add((one, multiply((one, pack_number(-1, 1))))).terms == {}
    assert all(multiply((one, add((one, pack_number(1, 1))))).terms.values())


def test_powers_of_an_unknown_and_what_stands_beside_them() -> None:
    x, y = pack_unknown(0), pack_unknown(1)
    # 3 x^2 y + 4 y
    polynomial = add((multiply((x, x, y, pack_number(3, 1))), multiply((y, pack_number(4, 1)))))
    beside = split_powers(polynomial, 0, COUNT)
    assert {power: others.terms for power, others in beside.items()} == {2: {pack((0, 1)): 3}, 0: {pack((0, 1)): 4}}
    assert find_used([polynomial], COUNT) == {0, 1}


def test_what_divides_by_a_sum_or_by_zero_has_no_inverse() -> None:
    x = pack_unknown(0)
    assert invert(add((x, pack_number(1, 1)))) is None
    assert invert(pack_number(0, 1)) is None
    inverse = invert(multiply((x, pack_number(-2, 3))))
    assert inverse is not None
    assert value(inverse) == Fraction(-3, 4)  # at x = 2, -3 / (2 x)
    assert value(multiply((x, inverse))) == Fraction(-3, 2)


def test_what_is_divided_by_is_multiplied_away_and_nothing_else_is() -> None:
    # 1 / x^2 + y / x, times x^2: 1 + x y
    polynomial = Packed({pack((-2, 0)): 1, pack((-1, 1)): 1}, 1, 2)
    assert clear_divisors(polynomial, COUNT).terms == {0: 1, pack((1, 1)): 1}
    whole = pack_unknown(1)
    assert clear_divisors(whole, COUNT) is whole


@given(one=any_powers, of=any_powers)
def test_multiples(one: tuple[int, ...], of: tuple[int, ...]) -> None:
    """By the first unknown, whatever the exponent of the second is; the third must be the same."""
    found = Multiples(COUNT, by={0}, ignored={1}).holds(pack(one), pack(of))
    assert found == (one[0] >= of[0] and one[2] == of[2])
    # What is ignored stays so where it may be multiplied by, too.
    assert Multiples(COUNT, by={0, 1}, ignored={1}).holds(pack(one), pack(of)) == found


def test_an_exponent_that_has_no_room_is_refused() -> None:
    half = raise_to(pack_unknown(0), 2**30)
    assert unpack(next(iter(half.terms)), 1) == (2**30,)
    with pytest.raises(FormulaError, match="exponent"):
        raise_to(half, 2)
    with pytest.raises(FormulaError, match="exponent"):
        multiply((half, half))


def test_samples_are_values_of_sizes_and_of_calls_on_them() -> None:
    height, stride = symbol("height"), symbol("stride")
    quotient = floor_div(height, stride)
    samples = Samples((height, stride, quotient), {quotient})
    columns = [samples.evaluate(pack_unknown(place)) for place in range(3)]
    for tall, step, whole in zip(*columns, strict=True):
        assert whole == tall // step >= 1
    # 2 height / stride, which is no integer at some
    ratios = samples.evaluate(Packed({pack((1, -1)): 2}, 1, 1))
    assert ratios == [Fraction(2 * tall, step) for tall, step in zip(columns[0], columns[1], strict=True)]
    assert any(ratio != int(ratio) for ratio in ratios)
