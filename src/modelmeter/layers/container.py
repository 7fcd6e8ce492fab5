"""Modules that only hold others: ``torch.nn.Sequential`` and ``torch.nn.ModuleList``."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.dimensions.functions import exceeds, exists
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.tape import Buffer, Tape


@frozen(kw_only=True, slots=False)
class Sequential(BaseLayer):
    """Layers that run in turn, each on the output of the one before (``torch.nn.Sequential``)."""

    layers: tuple[BaseLayer, ...]

    @property
    def output_shape(self) -> Shape:
        return self.layers[-1].output_shape

    def build_children(self) -> Mapping[str, Child]:
        return {str(index): once(layer) for index, layer in enumerate(self.layers)}

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return tape.call_in_turn(self, self.children, *inputs)


@frozen(kw_only=True, slots=False)
class ModuleList(BaseLayer):
    """Groups of alike siblings (``torch.nn.ModuleList``). It is never called itself.

    The children's names are the numbers of the groups, not of the siblings.
    """

    is_called = False

    groups: tuple[Child, ...]

    @property
    def output_shape(self) -> Shape:
        return self.groups[-1].layer.output_shape

    def build_children(self) -> Mapping[str, Child]:
        return {str(index): group for index, group in enumerate(self.groups)}

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        """Record the first sibling of each group, on the output of the group before, and one of the others.

        Alike siblings do alike, but for what the first is given: the caller may still hold that beside the others.
        """
        for name, group in self.children.items():
            for condition in (exists(group.count), exceeds(group.count, 1)):
                if condition != 0:
                    with tape.only_if(condition):
                        inputs = tape.call_all(self, name, *inputs)
        return inputs


@frozen(kw_only=True, slots=False)
class Absent(BaseLayer):
    """Nothing: stands where a part of the model takes no part in a run."""

    @property
    def output_shape(self) -> Shape:
        return ()

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return inputs
