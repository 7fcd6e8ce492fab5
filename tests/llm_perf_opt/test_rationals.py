"""Numbers of bits: exact, as they are typed and as files hold them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_perf_opt.data.rationals import amount, as_rational, parse_bits
from llm_perf_opt.errors import RecordError
from modelmeter.support.errors import WorkloadError


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("8", 8), ("5.5", Fraction(11, 2)), ("11/2", Fraction(11, 2)), ("22/4", Fraction(11, 2)), ("16/2", 8),
        ("5.0", 5), ("4.85", Fraction(97, 20)), ("0.1", Fraction(1, 10)), ("008", 8),
    ],
)  # fmt: skip
def test_bits_are_read_exactly(text: str, bits: int | Fraction) -> None:
    """4.85 and 0.1 are no floats: the nearest of those are a little more and a little more."""
    read = parse_bits("weight_bits", text)
    assert (read, type(read)) == (bits, type(bits))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0.0",
        "0/7",
        "-8",
        "+8",
        "8/0",
        "1e3",
        "nan",
        "inf",
        "fp8",
        "5,5",
        "5.",
        ".5",
        "1/2/3",
        "1_0",
        "٣",
        " 8",
        "9" * 41,
    ],
)
def test_what_is_no_number_of_bits_is_refused(text: str) -> None:
    with pytest.raises(WorkloadError, match=r"^weight_bits: this is no number of bits; expected .* 8, 5\.5 or 11/2"):
        parse_bits("weight_bits", text)


@given(st.fractions(min_value=0, max_value=2**40, max_denominator=2**20))
def test_a_fraction_survives_a_file(value: Fraction) -> None:
    number = as_rational(value)
    assert number == value
    assert (type(number) is int) == (value.denominator == 1)
    assert as_rational(str(number) if type(number) is Fraction else number) == value  # type: ignore[arg-type] # as read
    amount().check(number, "here")


@pytest.mark.parametrize(
    "value", ["11/2", Fraction(4, 2), Fraction(-1, 2), Fraction(1, 2**63), 5.5, True, -1, 2**63, None]
)
def test_a_field_holds_numbers_only(value: object) -> None:
    with pytest.raises(RecordError, match=r"^here: wrong value"):
        amount().check(value, "here")
    with pytest.raises(RecordError, match=r"^here: wrong value"):
        amount(1).check(Fraction(1, 2), "here")
