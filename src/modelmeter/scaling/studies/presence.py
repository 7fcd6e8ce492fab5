"""Whether a model has what a study is about."""

from __future__ import annotations

from collections.abc import Callable

from modelmeter.scaling.studies.records import Subject


def needs_sizes(*names: str, cards: bool = False) -> Callable[[Subject], str | None]:
    """Return what says which of these sizes a model lacks, or that no card is given."""

    def explain(subject: Subject) -> str | None:
        missing = [name for name in names if name not in subject.model.defaults]
        if missing:
            return f"the model has no {' and no '.join(missing)}"
        return "no card is given" if cards and not subject.cards else None

    return explain
