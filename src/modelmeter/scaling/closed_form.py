"""Closed forms where several sizes stay free: a comparison of degree 1 or 2 in one of them, solved with conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import sympy
from attrs import frozen

from modelmeter.scaling import box, normal_form, terms
from modelmeter.scaling.box_sign import BoxSign
from modelmeter.scaling.certificate import Certificate
from modelmeter.scaling.domain import Domain
from modelmeter.scaling.identity import Identity
from modelmeter.scaling.normal_form import NormalForm
from modelmeter.scaling.settle import leave_brackets, settle_brackets, settle_choices
from modelmeter.scaling.statement import Statement, symbols_of
from modelmeter.support.errors import CertificateError, FormulaError

Side = Literal["from", "up to", "always", "never"]


@frozen
class ClosedForm:
    """Where ``f(n) >= 0``, with other sizes free.

    Parameters
    ----------
    side
        ``from`` the root on, ``up to`` it, always, or never.
    root
        The real number at which ``f`` is 0.
    condition
        What must be more than 0 for it; elsewhere it is never so (``from``) or always (``up to``). None: nothing.
    certificates
        Why.
    """

    side: Side
    root: sympy.Expr | None
    condition: sympy.Expr | None
    certificates: tuple[Certificate, ...]


@frozen
class LeadingTerm:
    """The leading term of a formula in one of its sizes, with what it was read from.

    Parameters
    ----------
    degree, coefficient
        Of the size.
    domain
        Where it holds.
    certificates
        Why.
    """

    degree: int
    coefficient: NormalForm
    domain: Domain
    certificates: tuple[Certificate, ...]


def read_leading(form: NormalForm, over: str, domain: Domain) -> LeadingTerm:
    """Return the leading term of a formula with several free sizes.

    Raises
    ------
    FormulaError
        If a rounding or the like holds the size.
    """
    domain = leave_brackets(form, over, domain)
    form, brackets = settle_brackets(form, domain)
    form, choices = settle_choices(form, domain)
    _check_calls(form, over)
    powers = box.split_powers(form, over)
    split = _split_identity(form, powers, over)
    degree = max(powers, default=0)
    return LeadingTerm(degree, powers.get(degree, {}), domain, (*brackets, *choices, split))


def _split_identity(form: NormalForm, powers: Mapping[int, NormalForm], over: str) -> Identity:
    """Return the certificate that a formula is the sum of powers of a size with their coefficients."""
    return Identity(
        normal_form.to_normal_term(form),
        ("+", *(("*", normal_form.to_normal_term(powers[n]), ("^", over, n)) for n in sorted(powers))),
    )


def solve_at_least_zero(form: NormalForm, over: str, domain: Domain, symbols: Mapping[str, sympy.Symbol]) -> ClosedForm:
    """Return where a formula is at least 0 over one of its sizes.

    Raises
    ------
    FormulaError
        If it is no polynomial of degree 1 or 2 in the size, or signs that decide are not proved.
    """
    form, brackets = settle_brackets(form, domain)
    form, choices = settle_choices(form, domain)
    powers = box.split_powers(form, over)
    _check_degree(form, powers, over)
    parts = [powers.get(degree, {}) for degree in range(max(powers, default=0) + 1)]
    expressions = [terms.to_sympy(normal_form.to_normal_term(part), symbols) for part in parts]
    signs = [_Sign(part, domain, over) for part in parts]
    split = _split_identity(form, powers, over)
    known = (*brackets, *choices, split)
    if len(parts) == 1:
        return _without_size(signs[0], known, over)
    if len(parts) == 2:
        return _linear(expressions, signs, known, over)
    return _quadratic(expressions, signs, known, over)


def replay_closed_form(statement: Statement, over: str, *shown: sympy.Expr | None) -> ClosedForm:
    """Return what the certificates of an answer with several free sizes say, from its multiplied out formula.

    Parameters
    ----------
    statement
        With the certificates, and the domain.
    over
        The size that is asked over.
    shown
        Formulas that have the symbols of sizes.

    Raises
    ------
    CertificateError
        If they are others than those of that formula.
    FormulaError
        If they prove nothing.
    """
    identities = [each for each in statement.certificates if isinstance(each, Identity)]
    if len(identities) != 1 or over not in statement.domain.ranges:
        raise CertificateError("a statement has other certificates", place=statement.question, expected="an identity")
    form = normal_form.read(identities[0].formula)
    found = solve_at_least_zero(form, over, statement.domain, symbols_of(statement.domain.ranges, *shown))
    if statement.certificates[-len(found.certificates) :] != found.certificates:
        raise CertificateError("a statement has other certificates", place=statement.question)
    return found


def replay_leading(statement: Statement, over: str, count: int) -> list[LeadingTerm]:
    """Return the leading terms that the identities of an answer with several free sizes say.

    Raises
    ------
    CertificateError
        If there are not so many, or a certificate is of another formula.
    FormulaError
        If a formula has no leading term.
    """
    found: list[LeadingTerm] = []
    for each in statement.certificates:
        if isinstance(each, Identity) and over in statement.domain.ranges:
            leading = read_leading(normal_form.read(each.formula), over, statement.domain)
            if leading.certificates != (each,) or leading.domain != statement.domain:
                raise CertificateError("a statement has other certificates", place=statement.question)
            found.append(leading)
    if len(found) != count:
        raise CertificateError("a statement has other certificates", place=statement.question, expected=count)
    return found


class _Sign:
    """What is proved of the sign of a coefficient."""

    def __init__(self, form: NormalForm, domain: Domain, over: str) -> None:
        self.is_zero = not form
        ranges = {name: each for name, each in domain.ranges.items() if name != over}
        self._ranges = ranges
        self._forms = {1: form, -1: normal_form.scale(form, -1)}

    def proof(self, sign: int, *, strict: bool) -> tuple[Certificate, ...] | None:
        """Return why the coefficient has this sign, or None."""
        form = self._forms[sign]
        if not box.proves(form, self._ranges, strict=strict):
            return None
        return (BoxSign(normal_form.to_normal_term(form), self._ranges, strict),)


def _check_calls(form: NormalForm, over: str) -> None:
    inside = [
        each for each in normal_form.generators_of([form]) if terms.is_call(each) and over in terms.names_of(each)
    ]
    if inside:
        raise FormulaError(
            "there is no closed form with several free sizes", place=over, expected="a polynomial",
            found=", ".join(map(terms.to_text, inside)), remedy="give the other sizes numbers",
        )  # fmt: skip


def _check_degree(form: NormalForm, powers: Mapping[int, NormalForm], over: str) -> None:
    _check_calls(form, over)
    if not set(powers) <= {0, 1, 2}:
        raise FormulaError(
            "there is no closed form with several free sizes", place=over, expected="a polynomial of degree 1 or 2",
            found=f"degree {max(powers)}", remedy="give the other sizes numbers",
        )  # fmt: skip


def _without_size(sign: _Sign, known: tuple[Certificate, ...], over: str) -> ClosedForm:
    always = sign.proof(1, strict=False)
    if always is not None:
        return ClosedForm("always", None, None, (*known, *always))
    never = sign.proof(-1, strict=True)
    if never is None:
        raise FormulaError("which side is larger depends on the other sizes, not on this", place=over)
    return ClosedForm("never", None, None, (*known, *never))


def _linear(parts: list[sympy.Expr], signs: list[_Sign], known: tuple[Certificate, ...], over: str) -> ClosedForm:
    """``a n + c >= 0`` is ``n >= -c / a`` for positive ``a``, and ``n <= -c / a`` for negative."""
    constant, slope = parts
    root = sympy.cancel(-constant / slope)
    rises, falls = signs[1].proof(1, strict=True), signs[1].proof(-1, strict=True)
    if rises is not None:
        always = signs[0].proof(1, strict=False)
        return ClosedForm("from" if always is None else "always", root, None, (*known, *rises, *(always or ())))
    if falls is not None:
        never = signs[0].proof(-1, strict=True)
        return ClosedForm("up to" if never is None else "never", root, None, (*known, *falls, *(never or ())))
    below, above = signs[0].proof(-1, strict=True), signs[0].proof(1, strict=False)
    if below is not None:
        return ClosedForm("from", root, sympy.factor(slope), (*known, *below))
    if above is not None:
        return ClosedForm("up to", root, sympy.factor(-slope), (*known, *above))
    raise FormulaError(
        "two signs decide, and neither is proved", place=over, found=f"{slope} and {constant}",
        remedy="bound the free sizes",
    )  # fmt: skip


def _quadratic(parts: list[sympy.Expr], signs: list[_Sign], known: tuple[Certificate, ...], over: str) -> ClosedForm:
    """``a n^2 + b n + c`` with ``a > 0 >= c`` is negative before its one root that is not negative, and not after."""
    constant, slope, square = parts
    under_root = sympy.factor(slope**2 - 4 * square * constant)
    for turn, side in ((1, "from"), (-1, "up to")):
        leading, last = signs[2].proof(turn, strict=True), signs[0].proof(-turn, strict=False)
        if leading is not None and last is not None:
            root = (-turn * slope + sympy.sqrt(under_root)) / (2 * turn * square)
            return ClosedForm("from" if side == "from" else "up to", root, None, (*known, *leading, *last))
    raise FormulaError(
        "a comparison of degree 2 has no closed form that is proved", place=over,
        expected="a leading coefficient and a constant of opposite signs", remedy="give the other sizes numbers",
    )  # fmt: skip
