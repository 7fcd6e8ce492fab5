"""Whether a model has what a study is about."""

from __future__ import annotations

from collections.abc import Callable

from modelmeter.scaling.studies.records import Subject


def say_why(subject: Subject, convention: str, lack: str) -> str:
    """Return what a model lacks, and what its conventions say of why, if they do."""
    said = subject.model.definition.conventions.get(convention, "").replace("``", "").rstrip(".")
    return f"{lack}: {said[0].lower()}{said[1:]}" if said else lack


def needs_sizes(*names: str, cards: bool = False) -> Callable[[Subject], str | None]:
    """Return what says which of these sizes a model lacks, or that no card is given."""

    def explain(subject: Subject) -> str | None:
        missing = [name for name in names if name not in subject.model.defaults]
        if missing:
            return f"the model has no {' and no '.join(missing)}"
        return "no card is given" if cards and not subject.cards else None

    return explain
