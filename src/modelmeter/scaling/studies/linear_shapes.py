"""The distinct linear layers of a model: their channels, what stores their numbers, and what they cost by rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sympy
from attrs import evolve, field, fields_dict, frozen, has

from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import ANY_LAYER, symbol
from modelmeter.metrics.cost import Operator, Precision
from modelmeter.metrics.metric import MetricName
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.context import Context
from modelmeter.scaling.quantity import Quantity

OVER: Final = "num_tokens"
"""The rows of a product."""

_PRODUCTS: Final = frozenset({"mm", "addmm"})
"""The operators that multiply an input by a weight; the second adds a bias."""

_ROWS: Final = symbol(OVER)


@frozen
class Shape:
    """A linear layer of so many channels, and the modules that have it.

    ``operator`` is its product for ``num_tokens`` rows, with numbers for its channels.
    """

    in_features: int
    out_features: int
    operator: Operator = field(repr=False)
    modules: tuple[str, ...]

    @property
    def is_wide(self) -> bool:
        """Whether it multiplies in float32 whatever the activations are, as routers do."""
        return self.operator.reads.float32 != 0

    @property
    def id(self) -> str:
        """In ids of statements."""
        ends = ("-bias" if self.operator.name == "addmm" else "") + ("-float32" if self.is_wide else "")
        return f"{self.in_features}x{self.out_features}{ends}"

    @property
    def words(self) -> str:
        """For people: the channels, and a few of the modules."""
        listed = ", ".join(self.modules[:3]) + (" and others" if len(self.modules) > 3 else "")
        wide = " in float32" if self.is_wide else ""
        return f"a linear layer of {self.in_features:,} x {self.out_features:,}{wide} ({listed})"

    @property
    def label(self) -> str:
        """For legends: the first of the modules, and the channels."""
        return f"{self.modules[0]} ({self.in_features:,} x {self.out_features:,})"

    @property
    def halved_harmonic_mean(self) -> sympy.Rational:
        """Half the harmonic mean of its channels, h: what its FLOPs per byte of 16-bit numbers tend to."""
        return sympy.Rational(self.in_features * self.out_features, self.in_features + self.out_features)

    def cost(self, metric: MetricName) -> Quantity:
        """Return its FLOPs or its traffic over the rows."""
        bits = {"weight_bits": 16, "activation_bits": 16}
        sizes = {name: ANY_LAYER.describe(name) for name in (OVER, *bits)}
        context = Context(defaults={OVER: 1, **bits}, dimensions=sizes)
        operator = self.operator
        if metric == "tensor_core_flops":
            formula, unit = operator.tensor_core_flops, "FLOPs"
        else:
            formula, unit = (operator.reads + operator.writes).to_bytes(Precision()), "bytes"
        return Quantity(formula=sympy.sympify(formula), name=f"linear({self.id}).{metric}", unit=unit, context=context)


def list_shapes(model: CompiledFormulas) -> Iterator[Shape]:
    """Yield the distinct linear layers of a model in the order of its modules; one turned round costs the same.

    Products of an input and a weight inside other modules, as of a router, are linear layers too.
    """
    known = model.definition.dimensions
    sizes = {known.symbol(name): sympy.Integer(value) for name, value in model.architecture.dimension_values().items()}
    found: dict[object, list[tuple[int, int, Operator, str]]] = {}
    for module in model.model.walk():
        layer = module.layer
        if not module.calls or not has(type(layer)) or "leading_shape" not in fields_dict(type(layer)):
            continue
        changes: dict[str, Any] = {"leading_shape": (_ROWS,)}  # a field of some layers, which their base has not
        for operator in evolve(layer, **changes).operators():
            if operator.name not in _PRODUCTS:
                continue
            written = operator.writes.activation + operator.writes.float32
            outputs = _settle(written / _ROWS, sizes)
            inputs = _settle(operator.tensor_core_flops / (2 * written), sizes)
            numbers = _put(operator, sizes)
            name = ".".join(part for part in module.node.path.split(".") if not part[0].isdigit())
            # A bias has as many elements as there are output channels: one turned round costs something else.
            sides = (inputs, outputs) if operator.name == "addmm" else tuple(sorted((inputs, outputs)))
            key = (sides, operator.name, operator.reads.float32 != 0)
            found.setdefault(key, []).append((inputs, outputs, numbers, ".".join(name.split(".")[-2:])))
    for alike in found.values():
        inputs, outputs, operator, _ = alike[0]
        yield Shape(inputs, outputs, operator, tuple(dict.fromkeys(name for *_, name in alike)))


def list_other_products(model: CompiledFormulas) -> tuple[str, ...]:
    """Return the operators that multiply matrices and are no linear layers, as attention and convolutions."""
    found = (
        row.operator
        for name in model.definition.stage_names
        for row in model.operators(name)
        if row.cost.tensor_core_flops != 0 and row.operator not in _PRODUCTS
    )
    return tuple(dict.fromkeys(found))


def _settle(size: Size, sizes: dict[sympy.Symbol, sympy.Integer]) -> int:
    return int(sympy.cancel(sympy.sympify(size)).xreplace(sizes))


def _put(operator: Operator, sizes: dict[sympy.Symbol, sympy.Integer]) -> Operator:
    """Return an operator with numbers for the sizes of the architecture."""

    def put(size: Size) -> Size:
        return sympy.sympify(size).xreplace(sizes)

    reads, writes = (
        evolve(each, activation=put(each.activation), weight=put(each.weight), float32=put(each.float32))
        for each in (operator.reads, operator.writes)
    )
    return Operator(
        name=operator.name, tensor_core_flops=put(operator.tensor_core_flops), reads=reads, writes=writes
    )  # fmt: skip
