"""Numbers that are put into an answer: exact, in its domain, and such that its certificates hold there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from numbers import Integral

import sympy

from modelmeter.scaling import box, normal_form, terms
from modelmeter.scaling.box_sign import BoxSign
from modelmeter.scaling.certificate import Certificate
from modelmeter.scaling.domain import Range
from modelmeter.scaling.identity import Identity
from modelmeter.scaling.terms import CHOICES, Number, Term
from modelmeter.support.errors import FormulaError, WorkloadError
from modelmeter.support.suggestions import unknown_name


def read_number(name: str, value: object) -> Number:
    """Return an exact number for a size.

    Raises
    ------
    WorkloadError
        If it is none: floats and texts are not read, whatever they hold.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Fraction):
        return terms.simplest(value)
    if isinstance(value, sympy.Rational):
        return terms.simplest(Fraction(int(value.p), int(value.q)))
    raise WorkloadError("a size is not exact", place=name, expected="an integer or a fraction", found=value)


def read_sizes(
    sizes: Mapping[str, object],
    ranges: Mapping[str, Range],
    formulas: Iterable[sympy.Expr],
    certificates: Iterable[Certificate],
    over: str | None,
) -> dict[str, sympy.Rational]:
    """Return numbers for the free sizes of an answer.

    A fraction is one only for a symbol of one's own, such as a card's ratio, and only where the proof of the answer
    does not need integers.

    Parameters
    ----------
    sizes
        What was given.
    ranges
        What the free sizes may be.
    formulas
        Of the answer.
    certificates
        Why the answer holds.
    over
        The size that is asked over: where no formula has it, it is the answer and no number can be given for it.

    Raises
    ------
    UnknownNameError
        If there is no such free size.
    WorkloadError
        If a number is not exact, or is outside of the domain.
    FormulaError
        If a free size of the formulas has no number.
    """
    symbols = {str(symbol.name): symbol for formula in formulas for symbol in formula.free_symbols}
    known = [*dict.fromkeys((*symbols, *(name for name in ranges if name != over)))]
    listed = tuple(certificates)
    found: dict[str, sympy.Rational] = {}
    for name, value in sizes.items():
        if name not in known:
            raise unknown_name("free size of this answer", name, known)
        number = read_number(name, value)
        _check_range(name, number, ranges.get(name, Range()))
        if number.denominator != 1:
            _check_fraction(name, number, symbols.get(name), listed)
        found[name] = sympy.Rational(number.numerator, number.denominator)
    missing = sorted(symbols.keys() - found.keys())
    if missing:
        raise FormulaError("a free size has no number", place=", ".join(missing), remedy=f"at({missing[0]}=...)")
    return found


def _check_range(name: str, number: Number, range_: Range) -> None:
    is_above = range_.maximum is not None and number > range_.maximum
    is_between = range_.multiple_of > 1 and number % range_.multiple_of != 0
    if number < range_.minimum or is_above or is_between:
        raise WorkloadError("a size is outside of the domain of the answer", place=name, expected=range_, found=number)


def _check_fraction(
    name: str, number: Number, symbol: sympy.Symbol | None, certificates: tuple[Certificate, ...]
) -> None:
    if symbol is None or symbol.is_integer:
        raise WorkloadError("this size is an integer", place=name, expected="an integer", found=number)
    if not certificates or not all(holds_between_integers(each, name) for each in certificates):
        raise WorkloadError(
            "the answer is proved at integers only", place=name, expected="an integer", found=number,
            remedy=f"ask again with the number in the question: at({name}=...) of the quantity",
        )  # fmt: skip


def holds_between_integers(certificate: Certificate, name: str) -> bool:
    """Tell whether what a certificate proves also holds at fractions of a symbol, of its range and not beyond.

    An identity multiplies out, and a shift to the corner of a box reads signs of coefficients: both hold at all real
    numbers. What is proved of the halves of a box, or point by point, says nothing of what is between; roundings,
    brackets and experts of a fraction are not defined.
    """
    if isinstance(certificate, Identity):
        return not _rounds(certificate.formula, name) and not _rounds(certificate.other, name)
    if not isinstance(certificate, BoxSign) or _rounds(certificate.formula, name):
        return False
    if name not in terms.names_of(certificate.formula):
        return True
    form = normal_form.read(certificate.formula)
    return box.proves_undivided(form, certificate.ranges, strict=certificate.is_strict)


def _rounds(term: Term, name: str) -> bool:
    """Tell whether a function of integers has a symbol in it."""
    if not isinstance(term, tuple) or term[0] == "/":
        return False
    if terms.is_call(term) and term[0] not in CHOICES and name in terms.names_of(term):
        return True
    return any(_rounds(part, name) for part in term[1:])
