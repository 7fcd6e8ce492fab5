"""What to optimise: which stage takes the time on each card, from which size on another does, what holds the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, permutations
from typing import Final, TypeAlias

from modelmeter.metrics.metric import PEAK
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.studies import answer, lead, memory, what_helps
from modelmeter.scaling.studies.answer import Answer, make_answer
from modelmeter.scaling.studies.asking import Worded, ask_crossover
from modelmeter.scaling.studies.asking_choices import ask_regimes
from modelmeter.scaling.studies.card import Card
from modelmeter.scaling.studies.memory import StageLimits, read_limits
from modelmeter.scaling.studies.parts import LAST_LOGITS, find_output_size, stage_metric
from modelmeter.scaling.studies.pictures import draw, log_range, values_at
from modelmeter.scaling.studies.presence import needs_sizes
from modelmeter.scaling.studies.records import (
    Cell,
    Column,
    Finding,
    IdentifiedStatement,
    Mark,
    Study,
    StudyTable,
    Subject,
)  # fmt: skip
from modelmeter.scaling.studies.roofline import read_work, stage_time
from modelmeter.scaling.studies.words import write_fixed

ID: Final = "what-to-optimise"

TYPICAL_OUTPUT: Final = {"max_new_tokens": 1200}
"""What is put out, where that is not the default: a page full of text has so many tokens."""

_Comparisons: TypeAlias = Mapping[tuple[str, str], IdentifiedStatement]

_FAR: Final = 2**20

_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    names, output = model.definition.stage_names, find_output(model)
    fitting = list(_find_memory(subject))
    limits = {
        variant: read_limits(table)
        for variant in ("default", "last-logits")
        for table in fitting
        if isinstance(table, StudyTable) and table.name.endswith(f"-{variant}")
    }
    rows: list[tuple[Cell, ...]] = []
    answers: list[Answer] = []
    shown = lead.choose_card(subject.cards)
    pictures: list[Finding] = []
    last = {**output, **LAST_LOGITS}
    work = {name: read_work(model, name, "batch_size", **output) for name in names}
    work_of_last = {name: read_work(model, name, "batch_size", **last) for name in names} if len(limits) > 1 else {}
    work_over_output = {over: {name: read_work(model, name, over) for name in names} for over in output}
    for card in subject.cards:
        times = {name: stage_time(each, card) for name, each in work.items()}
        said = f"the largest roofline time on {card.name} is that of these stages, by"
        regimes = ask_regimes(f"{ID}/{card.id}-slowest-stage", times, "batch_size", f"{said} batch_size")
        yield regimes
        over_batch = dict(_compare(card, times, "batch_size"))
        over_output: dict[tuple[str, str], IdentifiedStatement] = {}
        for over in output:
            outputs = {name: stage_time(each, card) for name, each in work_over_output[over].items()}
            over_output = dict(_compare(card, outputs, over))
            yield ask_regimes(f"{ID}/{card.id}-slowest-stage", outputs, over, f"{said} {over}")
        yield from (*over_batch.values(), *over_output.values())
        by_batch = {name: values_at(worded.quantity, "batch_size", _BATCHES) for name, worded in times.items()}
        fits = {variant: each[card.name] for variant, each in limits.items() if card.name in each}
        for place, batch in enumerate(_BATCHES):
            seconds = {name: values[place] for name, values in by_batch.items()}
            slowest = max(seconds, key=seconds.__getitem__)
            rows.append((card.name, batch, *seconds.values(), slowest, _say_fits(batch, fits)))
        at_one = {name: values[0] for name, values in by_batch.items()}
        by_variant = {
            variant: times
            if variant == "default"
            else {name: stage_time(each, card) for name, each in work_of_last.items()}
            for variant in fits
        }
        answers.append(make_answer(card, regimes.id, by_variant, at_one, over_batch, over_output, fits))
        if card is shown:
            pictures.append(_draw(card, times, fits))
    fixed = {size: value for each in work.values() for size, value in each.fixed.items() if size not in output}
    also = write_fixed(fixed, model.definition.dimensions.settable)
    leading = next(each for each in answers if each.card is shown)
    yield from lead.say_lead(model, leading, output, also)
    yield from lead.reconcile(ID, model, leading)
    yield from answer.say_time(model, answers, output)
    for name in dict.fromkeys(each.first for each in answers):
        yield from what_helps.list_helps(ID, model, subject.cards, name, output)
    yield from answer.say_memory(model, answers, output)
    yield answer.tabulate_answers(model, answers, output)
    yield StudyTable(
        name="times", title="Roofline times of the stages, the one that takes most, and whether so many fit",
        columns=(
            Column(name="card"),
            Column(name="batch_size", unit=model.definition.dimensions.describe("batch_size").unit),
            *(Column(name=name, unit="s") for name in names), Column(name="optimise"), Column(name="fits"),
        ),
        rows=tuple(rows), where=", ".join(f"{name} = {value:,}" for name, value in output.items()),
    )  # fmt: skip
    yield from pictures
    yield from fitting


def _draw(card: Card, times: Mapping[str, Worded], fits: Mapping[str, StageLimits]) -> Finding:
    """Return the times of the stages over the batch, with what fits into the memory of the card."""
    said = {"default": "the largest that fits", "last-logits": "the largest that fits with logits_tokens = 1"}
    largest = {variant: limits.largest for variant, limits in fits.items() if limits.largest > 0}
    return draw(
        "times", f"Roofline times of the stages on {card.name}, and the largest batch that fits", times, "batch_size",
        "s", log_range(1, 2 * max(largest.values(), default=1)),
        marks=tuple(Mark(label=said[variant], at=each) for variant, each in largest.items()),
    )  # fmt: skip


def _say_fits(batch: int, limits: Mapping[str, StageLimits]) -> str:
    """Return whether a batch fits into the memory of a card, and with which variant."""
    if batch <= limits["default"].largest:
        return "yes"
    if "last-logits" in limits and batch <= limits["last-logits"].largest:
        return "with logits_tokens = 1"
    return "no"


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


def _find_memory(subject: Subject) -> Iterator[Finding]:
    """Yield which stage is at the largest peak, and how much fits, also with fewer logits."""
    model = subject.model
    peaks = {name: stage_metric(model, name, PEAK) for name in model.definition.stage_names}
    for one, other in permutations(peaks, 2):
        larger = ask_crossover(f"{ID}/peak-{one}-over-{other}", peaks[one], peaks[other], "batch_size")
        if getattr(larger.statement, "outcome", "") != "never":
            yield larger
    output = find_output(model)
    variants: dict[str, dict[str, int]] = {"default": output}
    if LAST_LOGITS.keys() <= model.defaults.keys():
        variants["last-logits"] = {**output, **LAST_LOGITS}
    for variant, sizes in variants.items():
        yield from memory.list_largest(ID, subject, "batch_size", variant=f"-{variant}", title="", **sizes)


STUDY: Final = Study(
    id=ID, title="What to optimise",
    question="Which stage takes the time and which holds the memory, from which batch on does that change, and what "
    "helps?",
    find=_find, explain_absence=needs_sizes("batch_size", cards=True),
)  # fmt: skip
