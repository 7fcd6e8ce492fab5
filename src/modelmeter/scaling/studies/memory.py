"""What fits into the memory of a card, and which stage it is that does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from modelmeter.metrics.metric import PEAK
from modelmeter.model.stages import REQUEST
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.inverse import Largest
from modelmeter.scaling.sources import stage
from modelmeter.scaling.studies.asking import Worded, ask_largest, budget
from modelmeter.scaling.studies.card import Card
from modelmeter.scaling.studies.parts import depends_on, find_output_size, name_following, stage_words
from modelmeter.scaling.studies.pictures import write_where
from modelmeter.scaling.studies.records import Cell, Column, Finding, IdentifiedStatement, StudyTable, Subject

NONE_FITS: Final = "none"
NO_END: Final = "no end"


def memory_of(model: CompiledFormulas, name: str, **sizes: int) -> Worded:
    """Return what is held while a stage is at its peak: all weights, the cache as it is at the end, activations."""
    request = stage(model, REQUEST)
    held = request.weight_bytes + request.kv_cache_bytes + stage(model, name).metric(PEAK)
    text = f"the memory (bytes) of all weights, of the cache at the end and of the activations in {stage_words(name)}"
    return Worded(held.at(**sizes), text)


def budget_of(card: Card) -> Worded:
    """Return the memory of a card that a model can have."""
    return budget(card.memory_bytes, "bytes", f"the {card.memory_bytes:,} usable bytes of {card.name}")


def list_largest(
    study: str, subject: Subject, over: str, *, variant: str = "", title: str = "", **sizes: int
) -> Iterator[Finding]:  # fmt: skip
    """Yield the largest size for each card and stage that grows with it, and a table of what binds.

    Parameters
    ----------
    variant, title
        What ids and titles add for sizes that are not the default ones.
    """
    model = subject.model
    stages = [
        name
        for name in model.definition.stage_names
        if depends_on(memory_of(model, name, **sizes).quantity, over)
    ]  # fmt: skip
    needed = {name: memory_of(model, name, **sizes) for name in stages}
    changed = {
        name for name in stages if not sizes or any(depends_on(memory_of(model, name).quantity, each) for each in sizes)
    }
    for name in needed.keys() - changed:  # these are known without the sizes
        needed[name] = memory_of(model, name)
    for name, each in needed.items():
        needed[name] = name_following(each, over)
        if needed[name] is not each:
            title = needed[name].words.removeprefix(each.words)
    rows: list[tuple[Cell, ...]] = []
    for card in subject.cards:
        found = {
            name: ask_largest(f"{study}/{card.id}-memory-in-{name}{variant}", needed[name], budget_of(card), over)
            for name in stages
        }
        yield from (found[name] for name in stages if name in changed)
        if found:
            rows.append((card.name, card.memory_bytes, *map(_read, found.values()), find_binding(found)))
    if rows:
        unit = model.definition.dimensions.describe(over).unit
        columns = (
            Column(name="card"), Column(name="usable_bytes", unit="bytes"),
            *(Column(name=f"largest_{over}_in_{name}", unit=unit) for name in stages), Column(name="first_to_fill_it"),
        )  # fmt: skip
        table = StudyTable(
            name=f"largest-{over.replace('_', '-')}{variant}", rows=tuple(rows), columns=columns,
            where=write_where(needed.values(), over),
            title=f"The largest {over} that fits while each stage is at its peak{title}, and the stage that fills the "
            "memory first",
        )  # fmt: skip
        yield table
        if not variant or over == "seq_len":
            yield from _say_largest(table, over, unit, title + _say_output(model, over))


def _say_output(model: CompiledFormulas, over: str) -> str:
    """Return the default of how much is put out, where it matters and is not what is asked about."""
    output = find_output_size(model)
    return "" if output in (None, over) else f", at {output} = {model.defaults[str(output)]:,}"


def _say_largest(table: StudyTable, over: str, unit: str, output: str) -> Iterator[str]:
    """Yield the range of the largest sizes, cards on which the same stage fills the memory first together."""
    groups: dict[str, list[int]] = {}
    for limits in read_limits(table).values():
        if limits.by_stage:
            groups.setdefault(limits.binds, []).append(limits.largest)
    for binds, largest in groups.items():
        span = f"{min(largest):,}" if min(largest) == max(largest) else f"{min(largest):,} to {max(largest):,}"
        cards = "one card" if len(largest) == 1 else f"{len(largest)} cards"
        at = f" (at {table.where})" if table.where else ""
        yield (
            f"By memory alone{output}, the largest {over} that fits is {span} {unit} on {cards}, where the peak of "
            f"**{binds}** fills the memory first{at}."
        )


def find_binding(found: Mapping[str, IdentifiedStatement]) -> str:
    """Return the stage that lets the least fit, or those that do."""
    limits = {name: _limit(each) for name, each in found.items()}
    bounded = {name: limit for name, limit in limits.items() if limit is not None}
    if not bounded:
        return NONE_FITS
    least = min(bounded.values())
    return ", ".join(name for name, limit in bounded.items() if limit == least)


def _limit(found: IdentifiedStatement) -> int | None:
    statement = found.statement
    assert isinstance(statement, Largest)
    if statement.outcome == "unbounded":
        return None
    return 0 if statement.value is None else int(statement.value)


def _read(found: IdentifiedStatement) -> Cell:
    limit = _limit(found)
    return NO_END if limit is None else limit


@frozen
class StageLimits:
    """How much fits while each stage is at its peak."""

    by_stage: Mapping[str, int]

    @property
    def largest(self) -> int:
        """What fits in all stages."""
        return min(self.by_stage.values(), default=0)

    @property
    def binds(self) -> str:
        """The stages that let no more fit."""
        return ", ".join(name for name, limit in self.by_stage.items() if limit == self.largest)

    @property
    def next_limit(self) -> tuple[str, int] | None:
        """The stage that would bind if those that do did not, and what would fit then; None where none would."""
        others = {name: limit for name, limit in self.by_stage.items() if limit > self.largest}
        return min(others.items(), key=lambda each: each[1], default=None)


def read_limits(table: StudyTable) -> dict[str, StageLimits]:
    """Return the limits by card that a table of :func:`list_largest` has."""
    names = [column.name.rpartition("_in_")[2] for column in table.columns[2:-1]]
    return {
        str(row[0]): StageLimits(
            {name: int(cell) for name, cell in zip(names, row[2:-1], strict=True) if isinstance(cell, int)}
        )
        for row in table.rows
    }
