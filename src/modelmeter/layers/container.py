"""Modules that only hold others: ``torch.nn.Sequential`` and ``torch.nn.ModuleList``."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.layers.base import BaseLayer, Child, Shape, once


@frozen(kw_only=True, slots=False)
class Sequential(BaseLayer):
    """Layers that run in turn, each on the output of the one before (``torch.nn.Sequential``)."""

    layers: tuple[BaseLayer, ...]

    @property
    def output_shape(self) -> Shape:
        return self.layers[-1].output_shape

    def build_children(self) -> Mapping[str, Child]:
        return {str(index): once(layer) for index, layer in enumerate(self.layers)}


@frozen(kw_only=True, slots=False)
class ModuleList(BaseLayer):
    """Groups of alike siblings (``torch.nn.ModuleList``). It is never called itself.

    The children's names are the numbers of the groups, not of the siblings.
    """

    groups: tuple[Child, ...]

    @property
    def output_shape(self) -> Shape:
        return self.groups[-1].layer.output_shape

    def build_children(self) -> Mapping[str, Child]:
        return {str(index): group for index, group in enumerate(self.groups)}


@frozen(kw_only=True, slots=False)
class Idle(BaseLayer):
    """Nothing: stands where a part of the model takes no part in a run."""

    @property
    def output_shape(self) -> Shape:
        return ()
