"""Cards and matrix products: from how many rows on a linear layer is bound by compute, and where it never is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sympy
from attrs import frozen

from modelmeter.core.metrics import MetricName
from modelmeter.core.symbols import ANY_LAYER, symbol
from modelmeter.layers.linear import Linear
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.context import Context
from modelmeter.scaling.crossover import Crossover
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.studies.asking import Worded, ask_crossover
from modelmeter.scaling.studies.parts import slug
from modelmeter.scaling.studies.pictures import draw, log_range
from modelmeter.scaling.studies.presence import needs_sizes
from modelmeter.scaling.studies.records import (
    Cell,
    ClosedForm,
    Column,
    Finding,
    IdentifiedStatement,
    Study,
    StudyTable,
    Subject,
)  # fmt: skip
from modelmeter.scaling.studies.roofline import compute_time, memory_time

ID: Final = "cards"
_OVER: Final = "num_tokens"


@frozen
class Shape:
    """A linear layer of so many channels, and the modules that have it."""

    in_features: int
    out_features: int
    bias: bool
    modules: tuple[str, ...]

    @property
    def id(self) -> str:
        """In ids of statements."""
        return f"{self.in_features}x{self.out_features}" + ("-bias" if self.bias else "")

    @property
    def words(self) -> str:
        """For people: the channels, and a few of the modules."""
        listed = ", ".join(self.modules[:3]) + (" and others" if len(self.modules) > 3 else "")
        return f"a linear layer of {self.in_features:,} x {self.out_features:,} ({listed})"


def list_shapes(model: CompiledFormulas) -> Iterator[Shape]:
    """Yield the distinct linear layers of a model in the order of its modules; one turned round costs the same."""
    sizes = {name: sympy.Integer(value) for name, value in model.architecture.dimension_values().items()}
    found: dict[tuple[int, int, bool], list[tuple[int, int, str]]] = {}
    for module in model.model.walk():
        layer = module.layer
        if not isinstance(layer, Linear) or not module.calls:
            continue
        sides = [
            int(sympy.sympify(side).xreplace({each: sizes[each.name] for each in sympy.sympify(side).free_symbols}))
            for side in (layer.in_features, layer.out_features)
        ]
        name = ".".join(part for part in module.node.path.split(".") if not part[0].isdigit())
        # A bias has as many elements as there are output channels: with one, a layer turned round costs something else.
        key = (sides[0], sides[1], True) if layer.bias else (min(sides), max(sides), False)
        found.setdefault(key, []).append((sides[0], sides[1], ".".join(name.split(".")[-2:])))
    for (_, _, bias), modules in found.items():
        first = modules[0]
        yield Shape(first[0], first[1], bias, tuple(dict.fromkeys(name for *_, name in modules)))


def _cost(shape: Shape, metric: MetricName) -> Quantity:
    rows = symbol(_OVER)
    layer = Linear(
        leading_shape=(rows,), in_features=shape.in_features, out_features=shape.out_features, bias=shape.bias
    )
    bits = {"weight_bits": 16, "activation_bits": 16}
    sizes = {name: ANY_LAYER.describe(name) for name in (_OVER, *bits)}
    context = Context(defaults={_OVER: 1, **bits}, dimensions=sizes)
    return Quantity(
        formula=sympy.sympify(layer.cost[metric]), name=f"linear({shape.id}).{metric}",
        unit="FLOPs" if metric == "tensor_core_flops" else "bytes", context=context,
    )  # fmt: skip


def _find(subject: Subject) -> Iterator[Finding]:
    shapes = list(list_shapes(subject.model))
    rows: list[tuple[Cell, ...]] = []
    ratio, channels = sympy.Symbol("r", positive=True), sympy.Symbol("h", positive=True)
    yield ClosedForm(
        words="rows from which a linear layer without a bias of D x F channels at 16 bits is bound by compute, with "
        "r = FLOP/s over byte/s of the card, h = D F / (D + F), and never where h <= r",
        formula=ratio * channels / (channels - ratio), unit="rows",
    )  # fmt: skip
    for card in subject.cards:
        for shape in shapes:
            flops, moved = _cost(shape, "tensor_core_flops"), _cost(shape, "io_bytes")
            found = ask_crossover(
                f"{ID}/{card.id}-{shape.id}",
                Worded(compute_time(card, flops, "arithmetic"), f"the arithmetic time of {shape.words} on {card.name}"),
                Worded(memory_time(card, moved, "traffic"), "the time of its memory traffic"), _OVER,
            )  # fmt: skip
            yield found
            rows.append((card.name, card.flops_per_byte, shape.in_features, shape.out_features, _read(found)))
    yield StudyTable(
        name="compute-bound", title="From how many rows on a linear layer is bound by compute, at 16 bits",
        columns=(
            Column(name="card"), Column(name="flops_per_byte", unit="FLOP/byte"),
            Column(name="in_features", unit="channels"), Column(name="out_features", unit="channels"),
            Column(name="rows", unit="rows"),
        ),
        rows=tuple(rows),
    )  # fmt: skip
    yield from _say_rows(rows)
    for card in subject.cards:
        lines = {
            shape.id: Worded(_cost(shape, "tensor_core_flops") / _cost(shape, "io_bytes"), shape.words)
            for shape in shapes[:6]
        }
        ridge = Quantity(formula=card.flops_per_byte, name="r", unit="FLOPs/bytes")
        yield draw(
            f"intensity-{slug(card.id)}", f"FLOPs per byte of linear layers, and what {card.name} needs",
            {**lines, f"r of {card.name}": Worded(ridge, "")}, _OVER, "FLOP/byte", log_range(16, 2**14),
        )  # fmt: skip


def _say_rows(rows: Sequence[tuple[Cell, ...]]) -> Iterator[str]:
    """Yield the range of the table, and how many layers never are bound by compute, cards of one answer together."""
    groups: dict[tuple[int, int], list[tuple[str, list[int]]]] = {}
    for card in dict.fromkeys(str(row[0]) for row in rows):
        found = [row[-1] for row in rows if row[0] == card]
        numbers = [each for each in found if isinstance(each, int)]
        key = (len(found), sum(each == "never" for each in found))
        groups.setdefault(key, []).append((card, numbers))
    for (count, never), group in groups.items():
        numbers = [each for _, listed in group for each in listed]
        cards = ", ".join(card for card, _ in group) if len(groups) > 1 else f"each of the {len(group)} cards"
        if numbers:
            text = f"On {cards}, {count - never} of {count} linear layers are bound by compute, from {min(numbers):,} "
            text += f"to {max(numbers):,} rows on, by their channels and by the card"
            yield text + (f"; {never} never are." if never else ".")


def _read(found: IdentifiedStatement) -> Cell:
    statement = found.statement
    assert isinstance(statement, Crossover)
    return statement.outcome if statement.value is None else int(statement.value)


STUDY: Final = Study(
    id=ID, title="Cards and matrix products",
    question="From how many rows on is each linear layer bound by compute on each card, and which never is?",
    find=_find, explain_absence=needs_sizes(cards=True),
)  # fmt: skip
