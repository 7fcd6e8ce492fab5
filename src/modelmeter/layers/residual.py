"""Blocks of transformers: modules behind norms, whose outputs are added to what went into the norms."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from modelmeter.layers.base import BaseLayer, multiply
from modelmeter.layers.operators import add_residual
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator


@frozen(kw_only=True, slots=False)
class ResidualBlock(BaseLayer):
    """Branches in turn: ``x + module(norm(x))`` for each, all of one shape."""

    branches: ClassVar[tuple[tuple[str, str], ...]]
    """The names of the norm and of the module behind it, for each branch."""

    @property
    def own_accumulated(self) -> Elements:
        # What goes into a norm is added too, so it is used twice.
        return Elements(activation=len(self.branches) * multiply(self.output_shape))

    def operators(self) -> tuple[Operator, ...]:
        return (add_residual(multiply(self.output_shape)),) * len(self.branches)

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (hidden_states,) = inputs
        for (norm, module), add in zip(self.branches, self.own_operators, strict=True):
            branch = tape.call(self, module, tape.call(self, norm, hidden_states))
            hidden_states = tape.run(add, hidden_states, branch)
        return (hidden_states,)
