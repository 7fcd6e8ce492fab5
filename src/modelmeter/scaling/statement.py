"""Statements: answers with their formula, their domain, and why they hold."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy
from attrs import frozen

from modelmeter.backends.latex.printer import print_latex
from modelmeter.backends.presentation.reader import FormulaReader
from modelmeter.scaling import terms
from modelmeter.scaling.certificate import Certificate
from modelmeter.scaling.domain import Domain, number_to_json
from modelmeter.scaling.terms import Number
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
    """

    question: str
    formula: sympy.Expr | None
    value: Number | None
    domain: Domain
    sentence: str
    known: str = PROVED
    certificates: tuple[Certificate, ...] = ()

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
        """Replay the certificates.

        Raises
        ------
        CertificateError
            If one does not hold, or the statement says that it is proved and has none.
        """
        if self.is_proved and not self.certificates:
            raise CertificateError("a statement is said to be proved, and has no certificate", place=self.question)
        for certificate in self.certificates:
            certificate.check()
        self._check_answer()

    def _check_answer(self) -> None:
        """Check that the answer follows from the certificates; each kind says how."""

    @property
    def fingerprint(self) -> str:
        """What tells the formulas that it is about from any others: those of its certificates."""
        return "-".join(certificate.fingerprint for certificate in self.certificates)

    @property
    def latex(self) -> str:
        """The formula as LaTeX."""
        return "" if self.formula is None else print_latex(FormulaReader(has_letters=True).read(self.formula))

    def at(self, **sizes: int) -> Number | None:
        """Return what the formula is at numbers for its free sizes; None where there is no answer.

        Raises
        ------
        FormulaError
            If a free size has no number, or the formula no exact value.
        """
        if self.formula is None:
            return None
        condition = getattr(self, "condition", None)
        values = {name: sympy.Integer(value) for name, value in sizes.items()}
        if condition is not None and put_numbers(condition, values) <= 0:
            return None
        return put_numbers(self.formula, values)

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


def expect_answer(statement: Statement, found: object, claimed: object) -> None:
    """Refuse an answer that does not follow from a certificate.

    Raises
    ------
    CertificateError
        If it does not.
    """
    if found != claimed:
        raise CertificateError("an answer does not follow", place=statement.question, expected=found, found=claimed)


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
