"""A case of a proof: a forward to trace, and what it is in our formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Literal, cast

import sympy
import torch
from attrs import evolve, field, frozen
from sympy.core.relational import Relational

from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import STORAGE
from modelmeter.metrics.cost import FLOAT32_BITS
from modelmeter.support.errors import CountError
from modelmeter.verify.guards import LEAST_SIZE
from modelmeter.verify.integer_facts import Domain
from modelmeter.verify.symbolic_trace import Forward, SymbolicTrace, TorchSize, TorchSizes, Trace

Kind = Literal["identity", "polynomial identity test", "exact at n points"]
"""``identity``: the difference of two formulas is 0. The others compare numbers: at random points, where a wrong
polynomial is 0 with a bounded probability; or at the points that the domains list, one for each."""


@frozen(kw_only=True)
class Case:
    """A forward to trace, and what it is in our formulas.

    Parameters
    ----------
    name
        For people.
    trace
        How its costs are counted.
    inputs
        The sizes that it is built from, by name: numbers, or polynomials in the symbols of the trace.
    build
        Makes the forward from ``inputs``, as sizes of torch.
    sizes
        Dimensions of our formulas, in the same symbols.
    stages
        The stages that it is all of.
    root
        The path of the module that it runs.
    least
        Symbols whose least value is below 2.
    assumed
        Relations that its domain is limited to: the guards that are expected.
    kind
        The kind of its verdicts.
    casts
        Whether the model computes with another type than float32, to which it casts some numbers.
    """

    name: str
    trace: Trace
    inputs: Mapping[str, Size]
    build: Callable[[TorchSizes], Forward]
    sizes: Mapping[str, Size]
    stages: tuple[str, ...]
    root: str = ""
    least: Mapping[sympy.Symbol, int] = field(factory=dict)
    assumed: tuple[Relational, ...] = ()
    kind: Kind = "identity"
    casts: bool = True

    @property
    def widths(self) -> dict[str, int]:
        """Storage widths that are numbers in the case."""
        return {} if self.casts else dict.fromkeys(STORAGE, FLOAT32_BITS)

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of the trace."""
        found = {free for size in self.inputs.values() for free in sympy.sympify(size).free_symbols}
        return tuple(sorted(found, key=str))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions of our formulas that are not numbers."""
        return tuple(name for name, size in self.sizes.items() if sympy.sympify(size).free_symbols)

    def at(self, chosen: sympy.Symbol, value: int) -> Case:
        """Return the case at one value of a symbol."""
        values = {chosen: sympy.Integer(value)}

        def substitute(size: Size) -> sympy.Expr:
            return sympy.expand(sympy.sympify(size).xreplace(values))

        relations = [relation.xreplace(values) for relation in self.assumed]
        return evolve(
            self,
            name=f"{self.name}, {chosen} = {value}",
            inputs={name: substitute(size) for name, size in self.inputs.items()},
            sizes={name: substitute(size) for name, size in self.sizes.items()},
            least={symbol: least for symbol, least in self.least.items() if symbol != chosen},
            assumed=tuple(relation for relation in relations if relation != sympy.true),
        )

    def corners(self) -> Iterator[Case]:
        """Yield the case itself, and with each set of symbols at values that are too small to be symbols."""
        if not self.least:
            yield self
            return
        symbol, least = next(iter(self.least.items()))
        rest = evolve(self, least={other: value for other, value in self.least.items() if other != symbol})
        yield from rest.corners()
        for value in range(least, LEAST_SIZE):
            yield from rest.at(symbol, value).corners()

    def run(self) -> SymbolicTrace:
        """Trace the forward."""

        def prepare(sizes: TorchSizes) -> Forward:
            return self.build({name: _to_torch(size, sizes) for name, size in self.inputs.items()})

        return self.trace(prepare, self.symbols, self.assumed, torch.bfloat16 if self.casts else torch.float32)

    def describe(self, domain: Domain) -> str:
        """Return the sizes that a trace of the case with this domain holds for, as one line."""
        fixed = [f"{name} = {size}" for name, size in self.sizes.items() if str(size) != name]
        ranges = [f"{symbol.name} >= {domain.least_of(symbol)}" for symbol in self.symbols]
        gaps = [f"{symbol.name} != {point}" for symbol, points in domain.excluded.items() for point in sorted(points)]
        relations = map(_describe_relation, self.assumed)
        return "; ".join([*fixed, *ranges, *gaps, *relations, _CAST if self.casts else _NOT_CAST])


_CAST = "activation_bits and weight_bits other than 32; kv_bits as activation_bits"
_NOT_CAST = "activation_bits, weight_bits and kv_bits = 32"


def _describe_relation(relation: Relational) -> str:
    return f"{relation.lhs} {relation.rel_op} {relation.rhs}"


def _to_torch(size: Size, sizes: TorchSizes) -> TorchSize:
    """Return the value of a polynomial at sizes of torch."""
    expression = sympy.sympify(size)
    if expression.is_Integer:
        return int(expression)
    if expression.is_Symbol:
        return sizes[expression.name]
    values = [_to_torch(argument, sizes) for argument in expression.args]
    if expression.is_Add:
        return sum(values)
    if expression.is_Mul:
        return prod(values)
    if expression.is_Pow and expression.exp.is_Integer:
        return cast(TorchSize, values[0] ** values[1])
    raise CountError("a size to trace is not a polynomial", found=expression)
