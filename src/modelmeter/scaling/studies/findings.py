"""What studies found: of one study, and the book of all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from modelmeter.dimensions.symbols import Dimensions
from modelmeter.scaling.order import Order
from modelmeter.scaling.studies.records import (
    ClosedForm,
    IdentifiedStatement,
    Picture,
    Study,
    StudyTable,
    Subject,
)  # fmt: skip
from modelmeter.support.errors import FormulaError
from modelmeter.support.frozen_mapping import freeze_mapping


@frozen(kw_only=True)
class Findings:
    """What a study found of a model."""

    study: Study
    statements: tuple[IdentifiedStatement, ...]
    closed_forms: tuple[ClosedForm, ...]
    tables: tuple[StudyTable, ...]
    pictures: tuple[Picture, ...]
    advice: tuple[str, ...]
    defaults: Mapping[str, int] = field(converter=freeze_mapping, factory=dict, repr=False)

    @property
    def short(self) -> tuple[str, ...]:
        """What answers the question of the study in a few sentences: its statements for that, and its advice."""
        return (*(f"{each.sentence} (`{each.id}`)" for each in choose_statements(self)), *self.advice)

    @classmethod
    def collect(cls, study: Study, subject: Subject) -> Findings:
        """Return what a study finds.

        Raises
        ------
        FormulaError
            If two statements have one id, or one is not of this study.
        """
        found = list(study.find(subject))
        statements = tuple(each for each in found if isinstance(each, IdentifiedStatement))
        dimensions = subject.model.definition.dimensions
        names = [each.id for each in statements]
        for name in names:
            if names.count(name) > 1 or not name.startswith(f"{study.id}/"):
                raise FormulaError("an id is not of one statement of its study", place=study.id, found=name)
        return cls(
            study=study, statements=statements,
            closed_forms=tuple(each for each in found if isinstance(each, ClosedForm)),
            tables=tuple(each for each in found if isinstance(each, StudyTable)),
            pictures=tuple(each for each in found if isinstance(each, Picture)),
            advice=tuple(each for each in found if isinstance(each, str)),
            defaults={
                name: value
                for name, value in subject.model.defaults.items()
                if name in dimensions.ranks and dimensions.describe(name).kind != "workload"
            },
        )  # fmt: skip


_TELLING: Final = ("crossover", "largest", "regimes", "order", "rule_of_thumb", "limit", "monotone", "steps")
"""Kinds of statements in the order in which they answer a question by themselves."""

_MOST: Final = 4
"""Sentences that are said in short."""


def choose_statements(found: Findings) -> tuple[IdentifiedStatement, ...]:
    """Return the statements that answer the question of a study: those it names, or one of each kind with a number.

    Only as many as leave room for the advice.
    """
    room = max(0, _MOST - len(found.advice))
    named = [
        each
        for pattern in found.study.answers
        for each in found.statements
        if re.fullmatch(pattern, each.id) is not None and not _is_far(each, found.defaults)
    ]
    if not named and not found.advice:
        for kind in _TELLING:
            telling = (each for each in found.statements if each.kind == kind and _says_more(each))
            named += [each for each in [next(telling, None)] if each is not None]
    return tuple({each.id: each for each in named[:room]}.values())


_FAR: Final = 16
"""Times the model's own size: what begins beyond is true, and of no model like this one."""


def _is_far(each: IdentifiedStatement, defaults: Mapping[str, int]) -> bool:
    """Tell whether a leading term is most of the whole only far from any size of the architecture or of storage."""
    over = next(iter(each.domain.ranges))
    return (
        isinstance(each.statement, Order)
        and over in defaults
        and (each.statement.degree or 0) > 0
        and each.statement.from_size is not None
        and each.statement.from_size > _FAR * defaults[over]
    )


def _says_more(each: IdentifiedStatement) -> bool:
    """Tell whether an answer has a number, and one that is not where its range begins anyway."""
    return each.value is None if each.kind in ("regimes", "rule_of_thumb") else each.value not in (None, 0, 1)


@frozen(kw_only=True)
class Book:
    """All that was found of a model, study by study; and why the others have nothing to find, by name."""

    model: str
    dimensions: Dimensions = field(repr=False)
    findings: tuple[Findings, ...]
    left_out: Mapping[str, str] = field(converter=freeze_mapping, factory=dict)

    @property
    def statements(self) -> tuple[IdentifiedStatement, ...]:
        """Of all studies."""
        return tuple(each for found in self.findings for each in found.statements)

    def find(self, name: str) -> IdentifiedStatement:
        """Return the statement of an id.

        Raises
        ------
        FormulaError
            If there is none.
        """
        for each in self.statements:
            if each.id == name:
                return each
        raise FormulaError("there is no statement of this id", found=name)

    def to_json(self) -> dict[str, Any]:
        """Return the statements as JSON."""
        return {
            "model": self.model,
            "studies": [
                {"id": each.study.id, "title": each.study.title, "question": each.study.question}
                for each in self.findings
            ],
            "left_out": dict(self.left_out),
            "statements": [each.to_json() for each in self.statements],
        }
