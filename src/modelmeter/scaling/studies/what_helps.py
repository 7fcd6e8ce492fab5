"""What helps: the modules that hold the time of a stage, what fewer bits buy, and what holds the peak of the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Final

import sympy
from attrs import frozen

from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.sources import stage
from modelmeter.scaling.studies.asking import Worded, ask_limit
from modelmeter.scaling.studies.card import Card
from modelmeter.scaling.studies.parts import module_of, slug, stage_metric, stage_words
from modelmeter.scaling.studies.pictures import values_at
from modelmeter.scaling.studies.records import Cell, Column, Finding, IdentifiedStatement, StudyTable
from modelmeter.scaling.terms import Number

CHANGES: Final[Mapping[str, Mapping[str, int]]] = {
    "weight_bits = 8": {"weight_bits": 8}, "weight_bits = 4": {"weight_bits": 4}, "kv_bits = 8": {"kv_bits": 8},
}  # fmt: skip
"""Fewer bits in storage; the arithmetic stays at the rate of the card for 16 bits."""

_NOTHING: Final = Fraction(1, 100)
"""A gain that is as good as none."""

_MOST: Final = 3
"""Modules that a sentence names."""


@frozen
class OperatorCost:
    """What an operator of a module costs in a stage, at numbers."""

    module: str
    matrix_flops: Fraction
    other_flops: Fraction
    io_bytes: Fraction

    def time_on(self, card: Card) -> Fraction:
        """Return the larger of its arithmetic and its traffic at the peak rates, in seconds."""
        arithmetic = self.matrix_flops / card.tensor_flops_per_second + self.other_flops / card.vector_flops_per_second
        return max(arithmetic, self.io_bytes / card.memory_bytes_per_second)


def list_costs(model: CompiledFormulas, name: str, batch: int, sizes: Mapping[str, int]) -> tuple[OperatorCost, ...]:
    """Return the costs of the operators of a stage at a batch and sizes, all others at their defaults."""
    context = stage(model, name).metric("tensor_core_flops").context

    def settle(formula: object, metric: str) -> Fraction:
        quantity = Quantity(formula=sympy.sympify(formula), name=metric, unit="", context=context).at(**sizes)
        return Fraction(values_at(quantity, "batch_size", [batch])[0])

    return tuple(
        OperatorCost(
            module_of(row),
            *(
                settle(getattr(row.cost, metric), metric)
                for metric in ("tensor_core_flops", "cuda_core_flops", "io_bytes")
            ),
        )
        for row in model.operators(name)
    )


def find_changes(model: CompiledFormulas) -> dict[str, Mapping[str, int]]:
    """Return the changes whose sizes a model has, and that are fewer bits than it has."""
    return {
        said: sizes
        for said, sizes in CHANGES.items()
        if all(value < model.defaults.get(name, value) for name, value in sizes.items())
    }


def list_helps(
    study: str, model: CompiledFormulas, cards: Iterable[Card], name: str, output: Mapping[str, int]
) -> Iterator[Finding]:
    """Yield which modules hold the time of a stage in a batch of one, and what fewer bits make of it."""
    chosen = tuple(cards)
    costs = list_costs(model, name, 1, output)
    changed = {said: list_costs(model, name, 1, {**output, **sizes}) for said, sizes in find_changes(model).items()}
    modules = list(dict.fromkeys(each.module for each in costs))
    moved = {module: sum(each.io_bytes for each in costs if each.module == module) for module in modules}
    parts: list[tuple[Cell, ...]] = []
    helps: list[tuple[Cell, ...]] = []
    shares: dict[str, list[Fraction]] = {}
    gains: dict[str, list[Fraction]] = {}
    for card in chosen:
        whole = sum((each.time_on(card) for each in costs), Fraction(0))
        times = {
            module: sum((each.time_on(card) for each in costs if each.module == module), Fraction(0))
            for module in modules
        }
        for module in sorted(modules, key=times.__getitem__, reverse=True):
            share = times[module] / whole
            shares.setdefault(module, []).append(share)
            parts.append((card.name, module, moved[module], times[module], share))
        for said, others in changed.items():
            time = sum((each.time_on(card) for each in others), Fraction(0))
            gains.setdefault(said, []).append(whole / time)
            helps.append((card.name, said, whole, time, whole - time, whole / time))
    where = ", ".join(f"{size} = {value:,}" for size, value in {"batch_size": 1, **output}.items())
    yield StudyTable(
        name=f"modules-of-{name.replace('_', '-')}", title=f"What holds the roofline time of {stage_words(name)}",
        columns=(
            Column(name="card"), Column(name="module"), Column(name="io_bytes", unit="bytes"),
            Column(name="time", unit="s"), Column(name="share"),
        ),
        rows=tuple(parts), where=where,
    )  # fmt: skip
    if helps:
        yield StudyTable(
            name=f"fewer-bits-in-{name.replace('_', '-')}", where=where,
            title=f"What fewer bits in storage make of the roofline time of {stage_words(name)}, at the arithmetic of "
            "16 bits",
            columns=(
                Column(name="card"), Column(name="change"), Column(name="time_before", unit="s"),
                Column(name="time_after", unit="s"), Column(name="saved", unit="s"), Column(name="times_as_fast"),
            ),
            rows=tuple(helps),
        )  # fmt: skip
    largest = sorted(modules, key=lambda module: max(shares[module]), reverse=True)[:_MOST]
    listed = "; ".join(
        f"`{module}` {write_span(shares[module], write_share)} ({int(moved[module]):,} bytes)" for module in largest
    )
    yield f"Of the time of **{name}** for a batch of one, these modules hold most (with their traffic): {listed}."
    limits = list(_ask_limits(study, model, name, output))
    if gains:
        bought = "; ".join(
            f"{said} makes it {write_span(each, write_times)} times as fast" for said, each in gains.items()
        )
        text = f"Fewer bits in storage, for a batch of one in **{name}**: {bought}."
        yield f"{text} {_say_limits(limits)}".rstrip()
    yield from (each for _, each in limits)


def _say_limits(limits: Iterable[tuple[str, IdentifiedStatement]]) -> str:
    """Return what fewer bits come to as the batch grows: what divides the traffic by 1 stops helping."""
    parts: list[str] = []
    for said, each in limits:
        if each.value is not None and abs(Fraction(each.value) - 1) < _NOTHING:
            parts.append(f"{said} stops helping: it saves less than {write_share(_NOTHING)} (`{each.id}`)")
        elif each.value is not None:
            parts.append(f"{said} divides the memory traffic by {write_times(Fraction(each.value))} (`{each.id}`)")
    return f"In the end, as the batch grows, {', '.join(parts)}." if parts else ""


def _ask_limits(
    study: str, model: CompiledFormulas, name: str, output: Mapping[str, int]
) -> Iterator[tuple[str, IdentifiedStatement]]:
    """Yield by what fewer bits divide the memory traffic of a stage as the batch grows."""
    for said, sizes in find_changes(model).items():
        before, after = (
            stage_metric(model, name, "io_bytes", **output, **each) for each in (_own(model, sizes), sizes)
        )
        ratio = Worded(
            before.quantity / after.quantity,
            f"the memory traffic (bytes) of {stage_words(name)} over what it is at {said}",
        )
        bits = said.replace("_", "-").replace(" = ", "-")
        yield said, ask_limit(f"{study}/{slug(name)}-io-bytes-over-{bits}", ratio, "batch_size")


def _own(model: CompiledFormulas, sizes: Mapping[str, int]) -> dict[str, int]:
    return {name: model.defaults[name] for name in sizes}


def find_peak_holder(model: CompiledFormulas, name: str, batch: int, sizes: Mapping[str, int]) -> tuple[str, int]:
    """Return the module at whose operator a stage is at its peak, and the bytes that are alive then."""
    context = stage(model, name).metric("tensor_core_flops").context
    found: dict[str, Number] = {}
    peak = model.peaks[name]
    for operator, formula in zip(peak.operators, peak.candidates, strict=True):
        quantity = Quantity(formula=sympy.sympify(formula), name="alive", unit="bytes", context=context).at(**sizes)
        alive = values_at(quantity, "batch_size", [batch])[0]
        place = ".".join(part for part in operator.path.split(".") if not part[:1].isdigit()) or operator.layer
        found[place] = max(alive, found.get(place, 0))
    place = max(found, key=found.__getitem__)
    return place, -(-found[place].numerator // found[place].denominator)


def write_span(values: Iterable[Fraction | int], write: Callable[[Fraction], str]) -> str:
    """Return the least and the largest of some numbers, or the one that they all are."""
    listed = sorted(map(Fraction, values))
    least, most = write(listed[0]), write(listed[-1])
    return least if least == most else f"{least} to {most}"


def write_share(value: Fraction) -> str:
    """Return a share in whole per cent."""
    return f"{float(100 * value):.0f} %"


def write_times(value: Fraction) -> str:
    """Return a factor to three digits."""
    return f"{float(value):.3g}"


def write_count(value: Fraction) -> str:
    """Return a whole number."""
    return f"{int(value):,}"


def write_three_digits(value: Fraction) -> str:
    """Return a number to three digits."""
    return f"{float(value):,.3g}"
