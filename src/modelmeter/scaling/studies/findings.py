"""What studies found: of one study, and the book of all."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from modelmeter.core.symbols import Dimensions
from modelmeter.scaling.studies.records import (
    ClosedForm,
    IdentifiedStatement,
    Picture,
    Study,
    StudyTable,
    Subject,
)  # fmt: skip
from modelmeter.support.errors import FormulaError


def _freeze(given: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(given))


@frozen(kw_only=True)
class Findings:
    """What a study found of a model."""

    study: Study
    statements: tuple[IdentifiedStatement, ...]
    closed_forms: tuple[ClosedForm, ...]
    tables: tuple[StudyTable, ...]
    pictures: tuple[Picture, ...]
    advice: tuple[str, ...]

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
        )  # fmt: skip


@frozen(kw_only=True)
class Book:
    """All that was found of a model, study by study; and why the others have nothing to find, by name."""

    model: str
    dimensions: Dimensions = field(repr=False)
    findings: tuple[Findings, ...]
    left_out: Mapping[str, str] = field(converter=_freeze, factory=dict)

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
