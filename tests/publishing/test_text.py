"""Words and numbers on the pages."""

from __future__ import annotations

from fractions import Fraction

import pytest

from modelmeter.publishing.text import (
    describe,
    escape_latex,
    format_magnitude,
    format_number,
    format_share,
    to_latex,
    to_markdown,
    to_plain,
)
from modelmeter.support.errors import FormulaError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (999, "999"), (1000, "1\u202f000"), (1139967033344, "1\u202f139\u202f967\u202f033\u202f344"),
        (Fraction(2739, 32), "85 19/32"), (Fraction(3, 32), "3/32"), (Fraction(12, 4), "3"),
        (10**40, "10" + "\u202f000" * 13),
    ],
)  # fmt: skip
def test_numbers_are_exact_with_digits_in_threes(value: int | Fraction, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, ""), (999, ""), (1000, "1.00 kB"), (1234, "1.23 kB"), (12345, "12.3 kB"), (123456, "123 kB"),
        (999_499, "999 kB"), (999_500, "1.00 MB"), (1_139_967_033_344, "1.14 TB"), (10**24, "1.00 YB"),
        (2**53 * 10**6 + 1, "9.01 ZB"),
    ],
)  # fmt: skip
def test_magnitudes_have_three_digits(value: int, text: str) -> None:
    assert format_magnitude(value, "B") == text


def test_a_number_beyond_all_prefixes_still_has_a_magnitude() -> None:
    assert format_magnitude(10**30, "FLOP") == "1.00e+6 YFLOP"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (1, 3, "33.33 %"), (2, 3, "66.67 %"), (3, 3, "100.00 %"), (0, 3, "0 %"), (0, 0, "\u2013"),
        (1, 10**6, "< 0.01 %"), (Fraction(1, 8), Fraction(5, 4), "10.00 %"), (10**400, 4 * 10**400, "25.00 %"),
    ],
)  # fmt: skip
def test_shares_are_rounded_to_a_hundredth_of_a_percent(part: int | Fraction, whole: int | Fraction, text: str) -> None:
    assert format_share(part, whole) == text


HOSTILE = r"a|b <i> *x* _y_ `z` [l](u) #1 $m$ {c} back\slash ~ ^ % &"


def test_latex_is_escaped_so_that_it_shows_as_it_is() -> None:
    assert escape_latex(HOSTILE) == (
        r"a\textbar{}b \textless{}i\textgreater{} *x* \_y\_ `z` [l](u) \#1 \$m\$ \{c\} back\textbackslash{}slash "
        r"\textasciitilde{} \textasciicircum{} \% \&"
    )


def test_code_formulas_and_arxiv_numbers_are_set_as_such() -> None:
    text = "``y = x_1 W^T`` and $a_b < c$ (arXiv:2104.09864) *"
    assert to_markdown(text) == (
        r"`y = x_1 W^T` and $`a_b < c`$ ([arXiv:2104.09864](https://arxiv.org/abs/2104.09864)) \*"
    )
    assert to_latex(text) == (
        r"\texttt{y = x\_1 W\textasciicircum{}T} and $a_b < c$ "
        r"(\href{https://arxiv.org/abs/2104.09864}{arXiv:2104.09864}) *"
    )


def test_plain_text_has_no_markup_left() -> None:
    text = r"``y_1`` and $\lfloor x \rceil$ or $[a \ne b]$, $E \left(1 - k\right)$ (arXiv:2104.09864)"
    assert to_plain(text) == "y_1 and \u230ax\u2309 or [a \u2260 b], E (1 - k) (arXiv:2104.09864)"


class Documented:
    """First line,
    and second.

    Another paragraph.

    Parameters
    ----------
    hidden
        Not part of the description.
    """


class Undocumented:
    pass


def test_a_description_is_the_prose_of_the_docstring() -> None:
    assert describe(Documented) == ["First line, and second.", "Another paragraph."]


def test_a_class_without_a_docstring_is_refused() -> None:
    with pytest.raises(FormulaError, match="Undocumented"):
        describe(Undocumented)
