"""Puts values in for symbols of sizes, operators and forwards, multiplied out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy
from attrs import evolve

from modelmeter.dimensions.functions import Size
from modelmeter.frontend.records import Lifetime, TracedForward
from modelmeter.metrics.cost import Elements, Operator


class Substitution:
    """Puts ``values`` in for symbols; a formula that occurs again is multiplied out once."""

    def __init__(self, values: Mapping[sympy.Symbol, sympy.Expr]) -> None:
        self._values = dict(values)
        self._known: dict[sympy.Expr, Size] = {}

    def change(self, size: Size) -> Size:
        """Return a size with the values, multiplied out; an int where it is one."""
        if isinstance(size, int):
            return size
        known = self._known.get(size)
        if known is None:
            found = sympy.expand(size.xreplace(self._values))
            known = self._known[size] = int(found) if found.is_Integer else found
        return known

    def change_elements(self, elements: Elements) -> Elements:
        """Return elements with the values."""
        return elements.convert(self.change)

    def change_operator(self, operator: Operator) -> Operator:
        """Return an operator with the values."""
        return convert_operator(operator, self.change)

    def change_forward(self, forward: TracedForward) -> TracedForward:
        """Return a forward with the values."""
        uncast = forward.uncast_lifetimes
        return evolve(
            forward,
            condition=self.change(forward.condition),
            region=evolve(forward.region, size=self.change(forward.region.size)),
            operators=tuple(
                evolve(traced, operator=self.change_operator(traced.operator)) for traced in forward.operators
            ),
            lifetimes=self._change_lives(forward.lifetimes),
            uncast_lifetimes=None if uncast is None else self._change_lives(uncast),
            kv_elements={path: self.change(size) for path, size in forward.kv_elements.items()},
            state_elements={path: self.change(size) for path, size in forward.state_elements.items()},
            call_counts={path: tuple(map(self.change, sizes)) for path, sizes in forward.call_counts.items()},
            output_shapes={
                path: tuple(tuple(map(self.change, shape)) for shape in shapes)
                for path, shapes in forward.output_shapes.items()
            },
        )

    def _change_lives(self, lives: tuple[Lifetime, ...]) -> tuple[Lifetime, ...]:
        return tuple(evolve(life, elements=self.change_elements(life.elements)) for life in lives)


def substitute(size: Size, values: Mapping[sympy.Symbol, sympy.Expr]) -> Size:
    """Return a size with ``values`` for symbols, multiplied out; an int where it is one."""
    return Substitution(values).change(size)


def convert_operator(operator: Operator, change: Callable[[Any], Size]) -> Operator:
    """Return an operator of which each number is what ``change`` makes of it."""

    def convert(elements: Elements | None) -> Elements | None:
        return None if elements is None else elements.convert(change)

    return Operator(
        name=operator.name,
        tensor_core_flops=change(operator.tensor_core_flops),
        cuda_core_flops=change(operator.cuda_core_flops),
        reads=operator.reads.convert(change),
        writes=operator.writes.convert(change),
        backward_tensor_core_flops=change(operator.backward_tensor_core_flops),
        backward_cuda_core_flops=change(operator.backward_cuda_core_flops),
        gradients=convert(operator.gradients),
        differentiated=convert(operator.differentiated),
        is_linear=operator.is_linear,
    )
