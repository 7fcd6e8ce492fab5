"""What the study of what to optimise answers for each card, as a table and as a few sentences for all cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

from attrs import frozen

from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.studies.asking import Worded
from modelmeter.scaling.studies.card import Card, name_cards
from modelmeter.scaling.studies.memory import StageLimits
from modelmeter.scaling.studies.parts import LAST_LOGITS
from modelmeter.scaling.studies.pictures import values_at
from modelmeter.scaling.studies.records import Cell, Column, IdentifiedStatement, StudyTable
from modelmeter.scaling.studies.what_helps import (
    find_peak_holder,
    write_count,
    write_share,
    write_span,
    write_three_digits,
    write_times,
)  # fmt: skip
from modelmeter.scaling.studies.words import write_size
from modelmeter.scaling.terms import Number

Comparisons: TypeAlias = Mapping[tuple[str, str], IdentifiedStatement]


@frozen(kw_only=True)
class Answer:
    """What to optimise on a card.

    Parameters
    ----------
    slowest
        The id of the statement that says which stage takes most, batch by batch.
    first, share, seconds
        The stage that takes most of the roofline time of a batch of one, its part, and the time of all stages.
    changes
        From which batches on which stages take at least as long, with the statement: the first change first.
    before
        The stage that takes more below an output, that output, and the statement; None where none does.
    fits
        What fits by variant: as it is, and with logits of the last position only.
    rates
        Pages a second at the peak rates: one at a time, and as many at once as fit, by variant.
    """

    card: Card
    slowest: str
    first: str
    share: Fraction
    seconds: Fraction
    changes: tuple[tuple[int, str, str], ...]
    before: tuple[int, str, IdentifiedStatement] | None
    fits: Mapping[str, StageLimits]
    rates: Mapping[str, Fraction]


def make_answer(
    card: Card, slowest: str, times: Mapping[str, Mapping[str, Worded]], at_one: Mapping[str, Number],
    over_batch: Comparisons, over_output: Comparisons, fits: Mapping[str, StageLimits],
) -> Answer:  # fmt: skip
    """Return the answer for a card from the comparisons of its stages; ``times`` are by variant and stage."""
    first = max(at_one, key=at_one.__getitem__)
    whole = sum(map(Fraction, at_one.values()), Fraction(0))
    before = [
        (int(each.value), other, each)
        for (one, other), each in over_output.items()
        if one == first and each.value is not None and int(each.value) > 1
    ]
    rates = {"one": 1 / whole}
    for variant, limits in fits.items():
        if limits.largest > 0:
            rates[variant] = limits.largest / _time_of(times[variant], limits.largest)
    return Answer(
        card=card, slowest=slowest, first=first, share=Fraction(at_one[first]) / whole, seconds=whole, fits=fits,
        rates=rates,
        changes=tuple(
            sorted(
                (int(each.value), one, each.id)
                for (one, other), each in over_batch.items()
                if other == first and each.value is not None and int(each.value) > 1
            )
        ),
        before=max(before, key=lambda each: each[0], default=None),
    )  # fmt: skip


def _time_of(times: Mapping[str, Worded], batch: int) -> Fraction:
    """Return the roofline time of all stages of so many at once, in seconds."""
    return sum((Fraction(values_at(each.quantity, "batch_size", [batch])[0]) for each in times.values()), Fraction(0))


def _say_sizes(model: CompiledFormulas, sizes: Mapping[str, int]) -> str:
    known = model.definition.dimensions.settable
    return " and ".join(write_size(name, value, known) for name, value in sizes.items())


def _name_cards(answers: Sequence[Answer], every: Sequence[Answer]) -> str:
    return name_cards(*([each.card.name for each in listed] for listed in (answers, every)))


def say_time(model: CompiledFormulas, answers: Sequence[Answer], output: Mapping[str, int]) -> Iterator[str]:
    """Yield which stage to optimise, cards of one answer together, and what changes that."""
    groups: dict[tuple[str, tuple[str, ...], str], list[Answer]] = {}
    for each in answers:
        key = (each.first, tuple(stage for _, stage, _ in each.changes[:1]), each.before[1] if each.before else "")
        groups.setdefault(key, []).append(each)
    sizes = model.definition.dimensions.settable
    for (first, then, below), group in groups.items():
        text = (
            f"On {_name_cards(group, answers)}, at {_say_sizes(model, {'batch_size': 1, **output})}, optimise "
            f"**{first}**: it takes {write_span([each.share for each in group], write_share)} of the roofline time of "
            f"{write_span([each.seconds for each in group], write_three_digits)} s. "
        )
        if then:
            text += (
                f"From batch_size = {write_span([each.changes[0][0] for each in group], write_count)} "
                f"{sizes['batch_size'].unit} on it is {then[0]} (`{group[0].changes[0][2]}`)."
            )
        else:
            text += f"That does not change however large the batch is (`{group[0].slowest}`)."
        befores = [each.before for each in group if each.before is not None]
        if befores:
            over = next(iter(befores[0][2].domain.ranges))
            text += (
                f" For a batch of one and below {over} = {write_span([each[0] for each in befores], write_count)} "
                f"{sizes[over].unit} it is {below} (`{befores[0][2].id}`)."
            )
        yield text


def say_memory(model: CompiledFormulas, answers: Sequence[Answer], output: Mapping[str, int]) -> Iterator[str]:
    """Yield how much fits, what binds and holds the peak, and what helps, cards of one answer together."""
    groups: dict[tuple[str, ...], list[Answer]] = {}
    for each in answers:
        if each.fits:
            groups.setdefault(tuple(limits.binds for limits in each.fits.values()), []).append(each)
    unit = model.definition.dimensions.settable["batch_size"].unit
    for group in groups.values():
        text = f"On {_name_cards(group, answers)}{' at' if output else ''} {_say_sizes(model, output)}".rstrip() + ", "
        steps: list[str] = []
        for variant in group[0].fits:
            limits = [each.fits[variant] for each in group]
            fits = write_span([each.largest for each in limits], write_count)
            extra = LAST_LOGITS if variant == "last-logits" else {}
            verb = (
                f"with logits of the last position only (`logits_tokens=1`) {fits} do"
                if extra
                else f"{fits} {unit} fit"
            )
            stage = limits[0].binds.partition(",")[0]
            holder = ""
            if stage in model.peaks and limits[0].largest > 0:
                place, alive = find_peak_holder(model, stage, 1, {**output, **extra})
                holder = f", at `{place}` ({alive:,} bytes of activations for one)"
            steps.append(f"{verb}, where the peak of **{limits[0].binds}** fills the memory first{holder}")
        last = [list(each.fits.values())[-1] for each in group]
        following = [each.next_limit for each in last]
        numbers = [each[1] for each in following if each is not None]
        text += "; ".join(steps) + "."
        if following[0] is not None and numbers:
            fit = write_span(numbers, write_count)
            text += f" Without that peak {fit} would fit, where the peak of {following[0][0]} fills the memory."
        yield text
        best = list(group[0].fits)[-1]
        if all(best in each.rates for each in group):
            gains = [each.rates[best] / each.rates["one"] for each in group]
            rates = [each.rates[best] for each in group]
            at = f"at {_say_sizes(model, output)}, " if output else ""
            yield (
                f"What a larger batch buys: {at}as many {unit} at once as fit "
                f"({write_span([each.fits[best].largest for each in group], write_count)}) are "
                f"{write_span(rates, write_three_digits)} {unit} a second at the peak rates, "
                f"{write_span(gains, write_times)} times as many a second as one at a time."
            )


def tabulate_answers(model: CompiledFormulas, answers: Sequence[Answer], output: Mapping[str, int]) -> StudyTable:
    """Return the answers as a table with a row for each card."""
    variants = list(answers[0].fits) if answers else []
    unit = model.definition.dimensions.settable["batch_size"].unit
    over = next(iter(output), "output")
    rows: list[tuple[Cell, ...]] = []
    for each in answers:
        cells: list[Cell] = [each.card.name, each.first, each.share, each.seconds]
        cells += [each.before[0] if each.before else None, each.before[1] if each.before else None]
        for variant in variants:
            limits = each.fits[variant]
            cells += [limits.largest, limits.binds, each.rates.get(variant)]
        rows.append((*cells, each.rates["one"]))
    columns = [
        Column(name="card"), Column(name="optimise"), Column(name="share"), Column(name="time_of_one", unit="s"),
        Column(name=f"only_from_{over}"), Column(name="below_that"),
    ]  # fmt: skip
    for variant in variants:
        tail = "" if variant == "default" else "_with_last_logits"
        columns += [
            Column(name=f"fits{tail}", unit=unit), Column(name=f"first_to_fill_it{tail}"),
            Column(name=f"rate_when_full{tail}", unit=f"{unit}/s"),
        ]  # fmt: skip
    return StudyTable(
        name="answers", title="What to optimise, and what fits, card by card", rows=tuple(rows), is_summary=True,
        columns=(*columns, Column(name="rate_of_one_at_a_time", unit=f"{unit}/s")),
        where=", ".join(f"{name} = {value:,}" for name, value in output.items()),
    )  # fmt: skip
