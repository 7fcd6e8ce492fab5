"""What studies are made of: statements with permanent names, closed forms, tables and pictures, all as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Final, TypeAlias, TypeVar

import sympy
from attrs import evolve, field, frozen

from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.domain import Domain
from modelmeter.scaling.statement import Interval, Statement
from modelmeter.scaling.studies.card import Card
from modelmeter.scaling.terms import Number
from modelmeter.support.errors import FormulaError

_ID: Final = re.compile(r"[a-z0-9_.-]+(/[a-z0-9_.-]+){2,}")

AnyStatement = TypeVar("AnyStatement", bound=Statement)

Cell: TypeAlias = int | Fraction | str | None
"""Of a table: an exact number, a word, or nothing."""


@frozen
class Subject:
    """What is studied: a compiled model, and the cards that it may run on."""

    model: CompiledFormulas = field(repr=False)
    cards: tuple[Card, ...] = ()


@frozen(kw_only=True)
class Claim:
    """A statement as two formulas of one size: ``left >= right`` at the integers of some intervals, at no others.

    It is what a check evaluates, point by point, without anything that the proof was made with.

    Parameters
    ----------
    left, right
        Formulas whose only symbol is ``over``.
    over
        The size.
    intervals
        Where it holds; None where the answer leaves that open, as by residue classes.
    known_from, known_to
        What is smaller, or larger, is left open.
    """

    left: sympy.Expr
    right: sympy.Expr
    over: str
    intervals: tuple[Interval, ...] | None
    known_from: int = 0
    known_to: int | None = None


@frozen(kw_only=True)
class IdentifiedStatement:
    """A statement with a permanent name.

    Parameters
    ----------
    id
        ``study/subject/kind/over``.
    statement
        The answer, with its certificates.
    sentence
        The answer for people, with units and the exact domain.
    where
        The domain in words.
    claim
        What a check evaluates.
    """

    id: str = field()
    statement: Statement
    sentence: str
    where: str
    claim: Claim = field(repr=False)

    @id.validator
    def _check_id(self, _: object, value: str) -> None:
        if not _ID.fullmatch(value):
            raise FormulaError("the id of a statement is not well formed", found=value, expected="study/subject/kind")

    @property
    def kind(self) -> str:
        """What was asked."""
        return self.statement.kind

    @property
    def value(self) -> Number | None:
        """The answer as a number."""
        return self.statement.value

    @property
    def domain(self) -> Domain:
        """Where it holds."""
        return self.statement.domain

    def check(self) -> None:
        """Replay the certificates.

        Raises
        ------
        CertificateError
            If one does not hold.
        """
        self.statement.check()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON: the statement with its id, and the sentence of the study."""
        return {"id": self.id, **self.statement.to_json(), "sentence": self.sentence}


@frozen(kw_only=True)
class ClosedForm:
    """A formula that a page shows: what it is of, in words, its unit, and the numbers that were put into it."""

    words: str
    formula: sympy.Expr
    unit: str
    where: str = ""


@frozen(kw_only=True)
class Column:
    """A column of a table: a name in snake case, and the unit; empty for words and pure numbers."""

    name: str
    unit: str = ""


@frozen(kw_only=True)
class StudyTable:
    """Exact numbers.

    Parameters
    ----------
    name
        Of the files, in the study.
    title
        For people.
    columns, rows
        As many cells in a row as there are columns.
    where
        The sizes that all of it is at, in words; empty where its columns have them.
    is_summary
        Whether it answers the question of its study in short, and belongs to the index.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...] = field()
    where: str = ""
    is_summary: bool = False

    @property
    def caption(self) -> str:
        """The title, with the sizes that the numbers are at."""
        return f"{self.title} (at {self.where})" if self.where else self.title

    @rows.validator
    def _check_rows(self, _: object, rows: tuple[tuple[Cell, ...], ...]) -> None:
        if any(len(row) != len(self.columns) for row in rows):
            raise FormulaError("a row of a table has not as many cells as there are columns", place=self.name)


@frozen(kw_only=True)
class Line:
    """Points of a picture that belong together, exact."""

    label: str
    points: tuple[tuple[int, Number], ...]


@frozen(kw_only=True)
class Mark:
    """A place on the horizontal axis of a picture, such as a threshold."""

    label: str
    at: Number


@frozen(kw_only=True)
class Picture:
    """Lines over a size.

    Parameters
    ----------
    name, title
        Of the file, in the study; and for people.
    x_label, y_label
        The axes, with units.
    lines, marks
        What is drawn.
    is_log_x, is_log_y
        Whether an axis is logarithmic.
    where
        The sizes that all lines are at, in words.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = ()
    is_log_x: bool = True
    is_log_y: bool = True
    where: str = ""

    @property
    def caption(self) -> str:
        """The title, with the sizes that the lines are at."""
        return f"{self.title} (at {self.where})" if self.where else self.title


Finding: TypeAlias = IdentifiedStatement | ClosedForm | StudyTable | Picture | str
"""What a study yields; a text is an advice, as Markdown."""


@frozen(kw_only=True)
class Study:
    """A subject that questions are asked about.

    Parameters
    ----------
    id, title
        In ids of statements and names of files; and for people.
    question
        What it answers, in a sentence.
    find
        Yields what is found of a model.
    answers
        Patterns of the ids of the statements that answer the question in short, where the model has them.
    explain_absence
        Says why a model has nothing to find, or returns None: then it has.
    """

    id: str
    title: str
    question: str
    find: Callable[[Subject], Iterable[Finding]] = field(repr=False)
    answers: tuple[str, ...] = ()
    explain_absence: Callable[[Subject], str | None] = field(repr=False, default=lambda _: None)


def with_domain(statement: AnyStatement, fixed: Mapping[str, Number]) -> AnyStatement:
    """Return a statement whose domain also names numbers that were put in before it was asked."""
    return statement.remake(domain=evolve(statement.domain, fixed={**fixed, **statement.domain.fixed}))


def without_sizes(statement: AnyStatement, names: frozenset[str]) -> AnyStatement:
    """Return a statement whose domain does not name sizes that its two sides have at different numbers."""
    fixed = {name: value for name, value in statement.domain.fixed.items() if name not in names}
    return statement.remake(domain=evolve(statement.domain, fixed=fixed))
