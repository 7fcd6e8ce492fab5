"""The answer for one card in a few sentences: what to optimise, what bounds it, and what to do about that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.studies.answer import Answer
from modelmeter.scaling.studies.asking import ask_crossover
from modelmeter.scaling.studies.card import Card
from modelmeter.scaling.studies.parts import slug, stage_metric
from modelmeter.scaling.studies.records import Finding, IdentifiedStatement
from modelmeter.scaling.studies.what_helps import (
    OperatorCost,
    find_changes,
    list_costs,
    write_share,
    write_times,
)  # fmt: skip
from modelmeter.scaling.studies.words import write_fixed, write_size

SHOWN_CARD: Final = "h100-sxm"
"""The card that is shown where only one can be; without it, the first."""

_HALF: Final = Fraction(1, 2)

_METRICS: Final = {"io_bytes": "memory traffic", "tensor_core_flops": "FLOPs of matrix products"}


def choose_card(cards: Sequence[Card]) -> Card:
    """Return the card that is shown where only one can be."""
    return next((card for card in cards if card.id == SHOWN_CARD), cards[0])


def say_lead(model: CompiledFormulas, each: Answer, output: Mapping[str, int], also: str) -> Iterator[str]:
    """Yield what to optimise on a card, from which batch on that changes, what bounds it, and what to do about it."""
    sizes = model.definition.dimensions.settable
    at_one = list_costs(model, each.first, 1, output)
    waiting = share_of_traffic(at_one, each.card)
    at = write_fixed({"batch_size": 1, **output}, sizes)
    if each.changes:
        change = f"until batch_size = {each.changes[0][0]:,}, from where {each.changes[0][1]} takes as long"
    else:
        change = "at every batch: that does not change however large the batch is"
    bound = "memory traffic, so by the bandwidth of the card" if waiting >= _HALF else "arithmetic"
    text = (
        f"On {each.card.name}, at {at} ({also}): optimise **{each.first}**, {change} (`{each.slowest}`). It "
        f"is bound by {bound}: operators whose traffic takes at least as long as their arithmetic hold "
        f"{_write_part(waiting)} of its roofline time for a batch of one"
    )
    variant, limits = list(each.fits.items())[-1] if each.fits else ("", None)
    if limits is None or limits.largest <= 1 or variant not in each.rates:
        yield f"{text}. {_say_gains('For a batch of one', find_gains(model, each, 1, output, at_one))}"
        return
    fits = limits.largest
    when_full = list_costs(model, each.first, fits, output)
    last = " with `logits_tokens=1`" if variant == "last-logits" else ""
    held = write_size("batch_size", fits, sizes)
    text += f", and {_write_part(share_of_traffic(when_full, each.card))} at {held}, all that fit{last}. "
    times = write_times(each.rates[variant] / each.rates["one"])
    unit = sizes["batch_size"].unit
    text += f"What to do: a larger batch ({held} at once: {times} times as many {unit} a second as one at a time). "
    text += _say_gains("For a batch of one", find_gains(model, each, 1, output, at_one)) + " "
    yield text + _say_gains(f"At {held}", find_gains(model, each, fits, output, when_full))


def share_of_traffic(costs: Iterable[OperatorCost], card: Card) -> Fraction:
    """Return the part of the roofline time that operators hold whose traffic takes at least as long as the rest."""
    times = [(each.time_on(card), each.io_bytes / card.memory_bytes_per_second) for each in costs]
    whole = sum((time for time, _ in times), Fraction(0))
    return sum((time for time, traffic in times if time == traffic), Fraction(0)) / whole


def _write_part(share: Fraction) -> str:
    """Return a share in whole per cent that says 100 only of all."""
    written = write_share(share)
    return "more than 99 %" if written == "100 %" and share < 1 else written


def find_gains(
    model: CompiledFormulas, each: Answer, batch: int, output: Mapping[str, int], before: Iterable[OperatorCost]
) -> dict[str, Fraction]:
    """Return how many times as fast fewer bits in storage make the slowest stage at a batch."""
    whole = sum((cost.time_on(each.card) for cost in before), Fraction(0))
    found: dict[str, Fraction] = {}
    for said, sizes in find_changes(model).items():
        after = list_costs(model, each.first, batch, {**output, **sizes})
        found[said] = whole / sum((cost.time_on(each.card) for cost in after), Fraction(0))
    return dict(sorted(found.items(), key=lambda gain: gain[1], reverse=True))


def _say_gains(at: str, gains: Mapping[str, Fraction]) -> str:
    listed = ", ".join(f"{said} makes it {write_times(gain)} times as fast" for said, gain in gains.items())
    return f"{at}, {listed}." if listed else ""


def reconcile(study: str, model: CompiledFormulas, each: Answer) -> Iterator[Finding]:
    """Yield from which output on the slowest stage overtakes the other by time, by traffic and by FLOPs, and why."""
    if each.before is None:
        return
    value, other, by_time = each.before
    over = next(iter(by_time.domain.ranges))
    found: dict[str, IdentifiedStatement] = {}
    for metric, said in _METRICS.items():
        one, two = (stage_metric(model, name, metric) for name in (each.first, other))
        found[said] = ask_crossover(f"{study}/{each.first}-over-{other}-{slug(metric)}", one, two, over)
    yield from found.values()
    borders = [f"{over} = {value:,} by roofline time on {each.card.name} (`{by_time.id}`)"]
    borders += [
        f"{int(statement.value):,} by {said} (`{statement.id}`)"
        for said, statement in found.items()
        if statement.value is not None
    ]
    if len(borders) > 1:
        yield (
            f"For a batch of one, **{each.first}** costs at least as much as {other} from "
            f"{', from '.join(borders)}: only the time says what to optimise, and a stage that is bound by memory "
            "traffic takes time by its bytes, not by its FLOPs."
        )
