"""Cards and matrix products: from how many rows on a linear layer is bound by compute, and where it never is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import sympy

from modelmeter.scaling.crossover import Crossover
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.studies.asking import Worded, ask_crossover
from modelmeter.scaling.studies.card import Card, name_cards
from modelmeter.scaling.studies.linear_shapes import OVER, Shape, list_other_products, list_shapes
from modelmeter.scaling.studies.parts import slug
from modelmeter.scaling.studies.pictures import draw, log_range
from modelmeter.scaling.studies.presence import needs_sizes
from modelmeter.scaling.studies.records import (
    Cell,
    ClosedForm,
    Column,
    Finding,
    IdentifiedStatement,
    Mark,
    Picture,
    Study,
    StudyTable,
    Subject,
)  # fmt: skip
from modelmeter.scaling.studies.roofline import compute_time, memory_time

ID: Final = "cards"

_MOST_LINES: Final = 6
"""Layers in a picture: each line has its own colour and dash."""


def _find(subject: Subject) -> Iterator[Finding]:
    shapes = list(list_shapes(subject.model))
    rows: list[tuple[Cell, ...]] = []
    answers: dict[str, dict[Shape, Cell]] = {}
    ratio, channels = sympy.Symbol("r", positive=True), sympy.Symbol("h", positive=True)
    yield ClosedForm(
        words="rows from which a linear layer without a bias of D x F channels at 16 bits is bound by compute, with "
        "r = FLOP/s over byte/s of the card, h = D F / (D + F), and never where h <= r; in float32, r counts twice",
        formula=ratio * channels / (channels - ratio), unit="rows",
    )  # fmt: skip
    for card in subject.cards:
        for shape in shapes:
            found = ask_crossover(
                f"{ID}/{card.id}-{shape.id}",
                Worded(
                    compute_time(card, shape.cost("tensor_core_flops"), "arithmetic"),
                    f"the arithmetic time of {shape.words} on {card.name}",
                ),
                Worded(memory_time(card, shape.cost("io_bytes"), "traffic"), "the time of its memory traffic"), OVER,
            )  # fmt: skip
            yield found
            answer = _read(found)
            answers.setdefault(card.name, {})[shape] = answer
            rows.append(
                (
                    card.name, card.flops_per_byte, ", ".join(shape.modules), shape.in_features, shape.out_features,
                    32 if shape.is_wide else 16, answer,
                )
            )  # fmt: skip
    yield StudyTable(
        name="compute-bound", title="From how many rows on a linear layer is bound by compute",
        columns=(
            Column(name="card"), Column(name="flops_per_byte", unit="FLOP/byte"), Column(name="modules"),
            Column(name="in_features", unit="channels"), Column(name="out_features", unit="channels"),
            Column(name="width", unit="bits"), Column(name="rows", unit="rows"),
        ),
        rows=tuple(rows),
    )  # fmt: skip
    yield from _say_rows(answers)
    others = ", ".join(f"`{name}`" for name in list_other_products(subject.model))
    if others:
        yield (
            f"The other operators that multiply matrices ({others}) have no such number of rows: their channels are "
            "not all that their intensity depends on."
        )
    for card in subject.cards:
        yield _draw(card, answers[card.name])


def _say_rows(answers: Mapping[str, Mapping[Shape, Cell]]) -> Iterator[str]:
    """Yield from how many rows on the layers are bound by compute, and which never are, cards of one answer together.

    Those that never are, are named.
    """
    groups: dict[tuple[Shape, ...], list[str]] = {}
    for card, found in answers.items():
        groups.setdefault(tuple(shape for shape, answer in found.items() if answer == "never"), []).append(card)
    for never, cards in groups.items():
        rows = [answer for card in cards for answer in answers[card].values() if isinstance(answer, int)]
        count = len(answers[cards[0]])
        text = f"On {name_cards(cards, list(answers))}, "
        if rows:
            text += f"{count - len(never)} of {count} linear layers are bound by compute from {min(rows):,} to "
            text += f"{max(rows):,} rows on, by their channels{' and by the card' if len(cards) > 1 else ''}"
        if never:
            listed = "; ".join(
                f"`{', '.join(shape.modules)}` of {shape.in_features:,} x {shape.out_features:,}"
                f"{' in float32' if shape.is_wide else ''}"
                for shape in never
            )
            text += f"{', and ' if rows else ''}{len(never)} of {count} never, however many the rows: {listed}"
        yield f"{text}."


def _draw(card: Card, answers: Mapping[Shape, Cell]) -> Picture:
    """Return the intensity of the layers over the rows, from the narrowest to the widest, with where each reaches r."""
    by_channels = sorted(answers, key=lambda shape: (not shape.is_wide, shape.halved_harmonic_mean))
    last = len(by_channels) - 1
    places = dict.fromkeys(last * step // max(1, _MOST_LINES - 1) for step in range(_MOST_LINES))
    shapes = [by_channels[place] for place in places]
    lines = {
        shape.label: Worded(shape.cost("tensor_core_flops") / shape.cost("io_bytes"), shape.words) for shape in shapes
    }
    points = log_range(16, 2**14)
    rows = {shape: answer for shape in shapes if isinstance(answer := answers[shape], int)}
    return draw(
        f"intensity-{slug(card.id)}", f"FLOPs per byte of linear layers, and what {card.name} needs",
        {**lines, f"r of {card.name}": _ridge(card)}, OVER, "FLOP/byte", points,
        marks=tuple(Mark(label=f"{shape.modules[0]} reaches r", at=each) for shape, each in rows.items()),
    )  # fmt: skip


def _ridge(card: Card) -> Worded:
    return Worded(Quantity(formula=card.flops_per_byte, name="r", unit="FLOPs/bytes"), "")


def _read(found: IdentifiedStatement) -> Cell:
    statement = found.statement
    assert isinstance(statement, Crossover)
    return statement.outcome if statement.value is None else int(statement.value)


def _explain_absence(subject: Subject) -> str | None:
    """Say that no card is given, or that no layer says how many channels it has, as of modules that were traced."""
    if any(True for _ in list_shapes(subject.model)):
        return needs_sizes(cards=True)(subject)
    return "the model has no linear layers with channels of their own"


STUDY: Final = Study(
    id=ID, title="Cards and matrix products",
    question="From how many rows on is each linear layer bound by compute on each card, and which never is?",
    find=_find, explain_absence=_explain_absence,
)  # fmt: skip
