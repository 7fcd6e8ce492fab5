"""The theorem book of a model: all statements of all studies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from modelmeter.model.refused_stages import RefusedStageError, explain_refusal
from modelmeter.model.stages import REQUEST
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.studies import (
    architecture_sizes,
    batch_and_experts,
    cards,
    chunked_prefill,
    output_length,
    precision,
    prompt_length,
    rules_of_thumb,
    training,
    what_to_optimise,
)  # fmt: skip
from modelmeter.scaling.studies.card import Card
from modelmeter.scaling.studies.findings import Book, Findings
from modelmeter.scaling.studies.records import Study, Subject
from modelmeter.support.suggestions import unknown_name

GENERAL: Final[tuple[Study, ...]] = (
    what_to_optimise.STUDY, prompt_length.STUDY, chunked_prefill.STUDY, output_length.STUDY, batch_and_experts.STUDY,
    precision.STUDY, cards.STUDY, training.STUDY, rules_of_thumb.STUDY, architecture_sizes.STUDY,
)  # fmt: skip
"""The studies of any model, in the order of a book."""


def list_studies(model: CompiledFormulas) -> tuple[Study, ...]:
    """Return the studies of any model, and those that this one has of its own."""
    return (*GENERAL, *model.definition.list_studies())


def find_study(model: CompiledFormulas, name: str) -> Study:
    """Return the study of an id.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    studies = {each.id: each for each in list_studies(model)}
    if name not in studies:
        raise unknown_name("study", name, studies)
    return studies[name]


def write_book(
    model: CompiledFormulas, cards: Iterable[Card] = (), *, names: Iterable[str] = (),
    begin: Callable[[str], object] = lambda _: None,
) -> Book:  # fmt: skip
    """Return what the studies find of a model.

    Parameters
    ----------
    cards
        The cards that it may run on.
    names
        Ids of studies; without any, all.
    begin
        Is told the title of each study before it begins.

    Raises
    ------
    UnknownNameError
        If there is no study of a name.
    RefusedStageError
        If the model has no request, since it lacks a stage: then there is nothing to study.
    """
    chosen = [find_study(model, name) for name in dict.fromkeys(names)] or list_studies(model)
    refusal = explain_refusal(REQUEST, model.definition.refused, model.stages)
    if refusal:  # a study speaks of requests: what it says of single stages stands beside that
        needing = f"{chosen[0].id} needs" if len(chosen) == 1 else f"{len(chosen)} studies need"
        raise RefusedStageError(f"{needing} a request: {refusal}")
    subject = Subject(model, tuple(cards))
    findings: list[Findings] = []
    left_out: dict[str, str] = {}
    for study in chosen:
        reason = study.explain_absence(subject)
        if reason is not None:
            left_out[study.id] = reason
            continue
        begin(study.title)
        findings.append(Findings.collect(study, subject))
    return Book(model=model.name, dimensions=model.definition.dimensions, findings=tuple(findings), left_out=left_out)
