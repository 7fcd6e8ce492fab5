"""Statements: answers with their formula, their domain, and why they hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Self, TypeVar

import sympy
from attrs import Factory, field, fields, frozen

from modelmeter.backends.latex.printer import print_latex
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.scaling import terms
from modelmeter.scaling.certificate import Certificate, refusing_formulas
from modelmeter.scaling.domain import Domain, Range, number_to_json
from modelmeter.scaling.given_sizes import read_sizes
from modelmeter.scaling.terms import Number, Term
from modelmeter.support.errors import CertificateError, FormulaError

PROVED = "proved"


@frozen
class Interval:
    """The integers of a range from ``first`` to ``last`` (None: without end)."""

    first: int
    last: int | None

    def __contains__(self, value: int) -> bool:
        return value >= self.first and (self.last is None or value <= self.last)

    def __str__(self) -> str:
        if self.first == self.last:
            return f"at {self.first}"
        return f"from {self.first} on" if self.last is None else f"from {self.first} to {self.last}"


@frozen(kw_only=True)
class Statement:
    """An answer.

    Parameters
    ----------
    question
        What was asked, in the names of quantities.
    formula
        The answer in closed form, over the free sizes; None where there is none, as for ``never``.
    value
        What the formula is as a number: None where it has free sizes, or there is no answer.
    domain
        Where it holds.
    sentence
        The answer for people.
    known
        ``proved``, or ``checked on a..b``: then it was evaluated there, and nothing is claimed beyond.
    certificates
        Why it holds: all that was proved together. None where it was checked only.
    digest
        What tells texts, formula, value, domain and certificates from those of any other statement.
    """

    question: str
    formula: sympy.Expr | None
    value: Number | None
    domain: Domain
    sentence: str
    known: str = PROVED
    certificates: tuple[Certificate, ...] = ()
    digest: str = field(default=Factory(lambda statement: statement._take_digest(), takes_self=True), repr=False)

    @property
    def kind(self) -> str:
        """What was asked: the name of the record."""
        return terms.snake_case(type(self).__name__)

    @property
    def is_proved(self) -> bool:
        """Whether it was proved."""
        return self.known == PROVED

    @property
    def certificate(self) -> Certificate | None:
        """The first of the certificates, if it has one."""
        return self.certificates[0] if self.certificates else None

    def check(self) -> None:
        """Replay the certificates, and read the answer from them again.

        Raises
        ------
        CertificateError
            If one does not hold, the answer is another, or the statement says that it is proved and has none.
        """
        if self.digest != self._take_digest():
            raise CertificateError(
                "a statement was changed after it was made", place=self.question, expected=self._take_digest(),
                found=self.digest, remedy="ask again",
            )  # fmt: skip
        if self.is_proved and not self.certificates:
            raise CertificateError("a statement is said to be proved, and has no certificate", place=self.question)
        for certificate in self.certificates:
            certificate.check()
        if self.is_proved:
            with refusing_formulas():
                self._check_answer()

    def _check_answer(self) -> None:
        """Check that every part of the answer is what the certificates say; each kind says how."""

    def remake(self, **changes: Any) -> Self:
        """Return the statement with other fields, as one of its own."""
        kept = {each.name: getattr(self, each.name) for each in fields(type(self)) if each.name != "digest"}
        return type(self)(**{**kept, **changes})

    def _take_digest(self) -> str:
        said = (self.kind, self.question, self.formula, self.value, self.domain, self.sentence, self.known)
        text = json.dumps([*map(str, said), self.fingerprint])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def fingerprint(self) -> str:
        """What tells the formulas that it is about from any others: those of its certificates."""
        return "-".join(certificate.fingerprint for certificate in self.certificates)

    @property
    def latex(self) -> str:
        """The formula as LaTeX."""
        return "" if self.formula is None else print_latex(FormulaReader(has_letters=True).read(self.formula))

    def at(self, **sizes: Number) -> Number | None:
        """Return the answer at numbers for its free sizes; None where there is none, as where nothing fits.

        A symbol of one's own, such as a card's ratio, may be a fraction where the proof does not need integers.

        Raises
        ------
        UnknownNameError
            If there is no such free size.
        WorkloadError
            If a number is not exact, is outside of the domain, or is a fraction where only integers are proved.
        FormulaError
            If a free size has no number, or the formula no exact value.
        """
        condition = getattr(self, "condition", None)
        formulas = [each for each in (self.formula, condition) if each is not None]
        over = getattr(self, "over", None)
        values = read_sizes(
            sizes, self.domain.ranges, formulas, self.certificates, over if isinstance(over, str) else None
        )
        if condition is not None and put_numbers(condition, values) <= 0:
            return self._fit(None)
        return self._fit(None if self.formula is None else put_numbers(self.formula, values))

    def _fit(self, value: Number | None) -> Number | None:
        """Return the answer for what the formula is; None: it has no value. Each kind says how."""
        return value

    def details(self) -> Mapping[str, Any]:
        """Return what this kind of statement has beside the others, as JSON."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Return the statement as JSON: integers of any size, fractions as texts."""
        return {
            "kind": self.kind,
            "question": self.question,
            "formula": None if self.formula is None else str(self.formula),
            "value": None if self.value is None else number_to_json(self.value),
            "domain": self.domain.to_json(),
            "sentence": self.sentence,
            "known": self.known,
            "certificates": [certificate.to_json() for certificate in self.certificates],
            **self.details(),
        }


def expect_answer(statement: Statement, **found: object) -> None:
    """Refuse an answer any field of which is not what was found, by name.

    Raises
    ------
    CertificateError
        If one is not.
    """
    for name, value in found.items():
        claimed = getattr(statement, name)
        if claimed != value:
            raise CertificateError(
                "an answer does not follow", place=f"{name} of {statement.question}", expected=value, found=claimed
            )


def expect_range(statement: Statement, name: str, range_: Range) -> None:
    """Refuse a domain that has another range of a size than a certificate.

    Raises
    ------
    CertificateError
        If it has.
    """
    if statement.domain.ranges.get(name) != range_:
        raise CertificateError(
            "an answer does not follow", place=f"domain of {statement.question}", expected=f"{name} {range_}",
            found=statement.domain,
        )  # fmt: skip


def expect_tail(statement: Statement, name: str, range_: Range) -> None:
    """Refuse a certificate whose range is no end of that of a size.

    Raises
    ------
    CertificateError
        If it is none.
    """
    whole = statement.domain.ranges.get(name)
    if whole is None or whole.maximum is not None or whole.intersect(minimum=range_.minimum) != range_:
        raise CertificateError(
            "an answer does not follow", place=f"domain of {statement.question}", expected=f"an end of {whole}",
            found=range_,
        )  # fmt: skip


CertificateKind = TypeVar("CertificateKind", bound=Certificate)


def expect_only(statement: Statement, kind: type[CertificateKind], count: int | None = None) -> list[CertificateKind]:
    """Return the certificates of a statement that must all be of one kind, and so many.

    Raises
    ------
    CertificateError
        If they are not.
    """
    found = [each for each in statement.certificates if isinstance(each, kind)]
    if len(found) != len(statement.certificates) or (count is not None and len(found) != count):
        raise CertificateError(
            "a statement has other certificates", place=statement.question,
            expected=f"{'some' if count is None else count} of the kind {kind.__name__}",
            found=", ".join(each.kind for each in statement.certificates) or "none",
        )  # fmt: skip
    return found


def expect_formula(statement: Statement, certificate: Certificate, formula: Term) -> None:
    """Refuse a certificate of another formula than the answer is about.

    Raises
    ------
    CertificateError
        If it is.
    """
    if certificate.formula != formula:
        raise CertificateError(
            "a certificate is of another formula than the answer", place=statement.question,
            expected=terms.fingerprint(formula), found=certificate.fingerprint,
        )  # fmt: skip


def symbols_of(names: Iterable[str], *formulas: sympy.Expr | None) -> dict[str, sympy.Symbol]:
    """Return the symbols of sizes, as formulas have them."""
    known = {str(each.name): each for formula in formulas if formula is not None for each in formula.free_symbols}
    return {name: known.get(name, sympy.Symbol(name, integer=True, positive=True)) for name in names}


def hedge(sentence: str, known: str) -> str:
    """Return a sentence that says where it was checked, if it was not proved."""
    return sentence if known == PROVED else f"This was {known}, and nothing is known beyond: {sentence}"


def put_numbers(formula: sympy.Expr, values: Mapping[str, sympy.Expr]) -> Number:
    """Return the exact value of a formula of roots and roundings.

    Raises
    ------
    FormulaError
        If it has none.
    """
    found = formula.xreplace({each: values[each.name] for each in formula.free_symbols if each.name in values})
    found = found.doit()
    if not found.is_Rational:
        raise FormulaError("a formula has no exact value", found=found, remedy="give every free size a number")
    return terms.simplest(Fraction(int(found.p), int(found.q)))
