"""What to optimise: which stage takes the time on each card, from which size on another does, what holds the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import combinations, permutations
from typing import Final, TypeAlias

from modelmeter.core.metrics import PEAK
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.studies import memory
from modelmeter.scaling.studies.asking import Worded, ask_crossover
from modelmeter.scaling.studies.asking_more import ask_regimes
from modelmeter.scaling.studies.card import Card
from modelmeter.scaling.studies.memory import StageLimits, read_limits
from modelmeter.scaling.studies.parts import find_output_size, stage_metric
from modelmeter.scaling.studies.pictures import draw, log_range, values_at
from modelmeter.scaling.studies.presence import needs_sizes
from modelmeter.scaling.studies.records import Cell, Column, Finding, IdentifiedStatement, Study, StudyTable, Subject
from modelmeter.scaling.studies.roofline import stage_time
from modelmeter.scaling.studies.words import write_size
from modelmeter.scaling.terms import Number

ID: Final = "what-to-optimise"

TYPICAL_OUTPUT: Final = {"max_new_tokens": 1200}
"""What is put out, where that is not the default: a page full of text has so many tokens."""

_Comparisons: TypeAlias = Mapping[tuple[str, str], IdentifiedStatement]

_FAR: Final = 2**20

_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    names, output = model.definition.stage_names, find_output(model)
    said = _say_output(model)
    rows: list[tuple[Cell, ...]] = []
    pictures: list[Finding] = []
    times_of: dict[str, dict[str, Worded]] = {}
    for card in subject.cards:
        times = {name: stage_time(model, card, name, "batch_size", **output) for name in names}
        times_of[card.name] = times
        yield ask_regimes(
            f"{ID}/{card.id}-slowest-stage", times, "batch_size", f"the largest roofline time on {card.name}"
        )
        over_batch = dict(_compare(card, times, "batch_size"))
        over_output: dict[tuple[str, str], IdentifiedStatement] = {}
        for over in output:
            outputs = {name: stage_time(model, card, name, over) for name in names}
            over_output = dict(_compare(card, outputs, over))
            yield ask_regimes(
                f"{ID}/{card.id}-slowest-stage", outputs, over, f"the largest roofline time on {card.name}"
            )
        yield from (*over_batch.values(), *over_output.values())
        by_batch = {name: values_at(worded.quantity, "batch_size", _BATCHES) for name, worded in times.items()}
        for place, batch in enumerate(_BATCHES):
            seconds = {name: values[place] for name, values in by_batch.items()}
            rows.append((card.name, batch, *seconds.values(), max(seconds, key=seconds.__getitem__)))
        at_one = {name: values[0] for name, values in by_batch.items()}
        yield _advise_time(model, card, at_one, over_batch, over_output)
        if not pictures:
            title = f"Roofline times of the stages on {card.name}{said}"
            pictures.append(draw("times", title, times, "batch_size", "s", log_range(1, 1024)))
    yield StudyTable(
        name="times", title=f"Roofline times of the stages{said}, and the one that takes most",
        columns=(
            Column(name="card"),
            Column(name="batch_size", unit=model.definition.dimensions.describe("batch_size").unit),
            *(Column(name=name, unit="s") for name in names), Column(name="optimise"),
        ),
        rows=tuple(rows),
    )  # fmt: skip
    yield from pictures
    yield from _find_memory(subject, times_of)


def _compare(
    card: Card, times: Mapping[str, Worded], over: str
) -> Iterator[tuple[tuple[str, str], IdentifiedStatement]]:
    """Yield from where a stage takes at least as long as another, for each two: which, is decided far out."""
    far = {name: values_at(worded.quantity, over, (_FAR,))[0] for name, worded in times.items()}
    for pair in combinations(times, 2):
        other, one = sorted(pair, key=lambda name: far[name])
        yield (one, other), ask_crossover(f"{ID}/{card.id}-{one}-over-{other}", times[one], times[other], over)


def find_output(model: CompiledFormulas) -> dict[str, int]:
    """Return how much is put out, as a size: a typical output, or the default; nothing where there is no loop."""
    over = find_output_size(model)
    return {} if over is None else {over: TYPICAL_OUTPUT.get(over, model.defaults[over])}


def _say_output(model: CompiledFormulas) -> str:
    sizes = model.definition.dimensions.settable
    return "".join(f" at {write_size(name, value, sizes)}" for name, value in find_output(model).items())


def _advise_time(
    model: CompiledFormulas, card: Card, at_one: Mapping[str, Number], over_batch: _Comparisons,
    over_output: _Comparisons,
) -> str:  # fmt: skip
    """Return which stage to optimise for a batch of one, and what changes that."""
    sizes = model.definition.dimensions.settable
    first = max(at_one, key=at_one.__getitem__)
    share = Fraction(at_one[first]) / sum(map(Fraction, at_one.values()))
    text = (
        f"**{card.name}**: at {write_size('batch_size', 1, sizes)}{_say_output(model).replace(' at ', ' and ')} "
        f"optimise **{first}**, which takes {float(at_one[first]):.3g} s of {float(sum(at_one.values())):.3g} s "
        f"({float(share):.0%}). "
    )
    changes = _list_changes(first, over_batch)
    text += (
        f"From {write_size('batch_size', changes[0][0], sizes)} on it is {changes[0][1]} (`{changes[0][2]}`). "
        if changes else "That does not change however large the batch is "
        f"({', '.join(f'`{each.id}`' for (one, _), each in over_batch.items() if one == first)}). "
    )  # fmt: skip
    before = [
        (int(each.value), other, each)
        for (one, other), each in over_output.items()
        if one == first and each.value is not None and int(each.value) > 1
    ]
    if before:
        value, other, statement = max(before, key=lambda each: each[0])
        over = next(iter(statement.domain.ranges))
        text += f"In a batch of one and below {write_size(over, value, sizes)} it is {other} (`{statement.id}`)."
    return text.rstrip()


def _list_changes(first: str, found: _Comparisons) -> list[tuple[int, str, str]]:
    """Return from which sizes on which other stages take at least as long, the first change first."""
    return sorted(
        (int(each.value), one, each.id)
        for (one, other), each in found.items()
        if other == first and each.value is not None and int(each.value) > 1
    )


def _find_memory(subject: Subject, times_of: Mapping[str, Mapping[str, Worded]]) -> Iterator[Finding]:
    """Yield which stage is at the largest peak, and what makes it smaller."""
    model = subject.model
    peaks = {name: stage_metric(model, name, PEAK) for name in model.definition.stage_names}
    for one, other in permutations(peaks, 2):
        larger = ask_crossover(f"{ID}/peak-{one}-over-{other}", peaks[one], peaks[other], "batch_size")
        if getattr(larger.statement, "outcome", "") != "never":
            yield larger
    output = find_output(model)
    variants: dict[str, dict[str, int]] = {"default": output}
    if "logits_tokens" in model.defaults:
        variants["last-logits"] = {**output, "logits_tokens": 1}
    limits: dict[str, dict[str, StageLimits]] = {}
    for variant, sizes in variants.items():
        title = ", ".join(f"{name} = {value:,}" for name, value in sizes.items())
        for found in memory.list_largest(
            ID, subject, "batch_size", variant=f"-{variant}", title=f" ({title})" * bool(sizes), **sizes
        ):
            yield found
            if isinstance(found, StudyTable):
                for name, each in read_limits(found).items():
                    limits.setdefault(name, {})[variant] = each
    for card in subject.cards:
        if card.name in limits:
            yield _advise_memory(model, card, times_of[card.name], limits[card.name])


def _advise_memory(
    model: CompiledFormulas, card: Card, times: Mapping[str, Worded], limits: Mapping[str, StageLimits]
) -> str:
    """Return how many pages fit, which stage binds, and what helps against it."""
    sizes = model.definition.dimensions.settable
    unit = sizes["batch_size"].unit
    default = limits["default"]
    text = (
        f"**{card.name}**: {write_size('batch_size', default.largest, sizes)} fits{_say_output(model)}; "
        f"**{default.binds}** binds. {default.say_next()}"
    )
    last = limits.get("last-logits")
    if last is not None and last.largest > default.largest:
        text += (
            f" Logits of the last position only (`logits_tokens=1`) make it {last.largest:,}, where {last.binds} "
            f"binds. {last.say_next()}"
        )
    best = max(each.largest for each in limits.values())
    if best > 1:
        seconds = [_time_of_pages(times, pages) for pages in (1, best)]
        text += (
            f" At the peak rates, {best:,} {unit} at once are {float(best / seconds[1]):.3g} a second, one at a time "
            f"{float(1 / seconds[0]):.3g}."
        )
    return text


def _time_of_pages(times: Mapping[str, Worded], pages: int) -> Fraction:
    """Return the roofline time of all stages of so many pages at once, in seconds."""
    return sum((Fraction(values_at(each.quantity, "batch_size", [pages])[0]) for each in times.values()), Fraction(0))


STUDY: Final = Study(
    id=ID, title="What to optimise",
    question="Which stage takes the time and which holds the memory, from which batch on does that change, and what "
    "helps?",
    find=_find, explain_absence=needs_sizes("batch_size", cards=True),
)  # fmt: skip
