"""Layers that were traced, not written: one for each node of a module graph, with the operators of the trace."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.frontend.records import TracedForward, TracedOperator
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child
from modelmeter.layers.container import ModuleList
from modelmeter.layers.operators import ACTIVATIONS_ARE_CAST, WEIGHTS_ARE_CAST
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Operator
from modelmeter.support.errors import FormulaError


@frozen(kw_only=True)
class PlacedOperator:
    """The place of an operator: the path and the layer of the module that calls it."""

    path: str
    layer: BaseLayer


@frozen(kw_only=True, slots=False)
class TracedLayer(BaseLayer):
    """A module of a traced model, in one run.

    Parameters
    ----------
    shape
        Of its output.
    called
        The operators that its own forward calls.
    below
        The modules below it.
    only_holds
        Whether it is not called in this run, but holds modules that are.
    held_parameters, held_kv, held_states
        Elements of the parameters that it holds itself, of the cache that it keeps, and of states in float32.
    """

    names_groups: ClassVar[bool] = True
    has_own_sizes: ClassVar[bool] = False
    class_name: ClassVar[str] = ""
    evaluator_name: ClassVar[str] = ""

    shape: Shape = ()
    called: tuple[Operator, ...] = ()
    below: Mapping[str, Child] = field(factory=dict)
    only_holds: bool = False
    held_parameters: Size = 0
    held_kv: Size = 0
    held_states: Size = 0

    @classmethod
    def torch_class(cls) -> str:
        return cls.class_name

    @classmethod
    def function_name(cls) -> str:
        return cls.evaluator_name

    @property
    def flags(self) -> dict[str, bool]:
        """None: a trace is of one form."""
        return {}

    @property
    def own_sizes(self) -> dict[str, Size]:
        """None: the sizes of a traced layer are those of the model."""
        return {}

    @property
    def is_called(self) -> bool:  # type: ignore[override]  # it depends on the run
        """Whether it is called in this run, or not at all."""
        return not self.only_holds

    @property
    def output_shape(self) -> Shape:
        return self.shape

    def build_children(self) -> Mapping[str, Child]:
        return self.below

    def operators(self) -> tuple[Operator, ...]:
        return self.called

    @property
    def own_parameters(self) -> Size:
        return self.held_parameters

    @cached_property
    def trained_parameters(self) -> Size:
        """None that add sums of gradients to a backward: a trace has these among its operators."""
        return 0

    @property
    def own_kv_elements(self) -> Size:
        return self.held_kv

    @property
    def own_state_elements(self) -> Size:
        return self.held_states


@frozen(kw_only=True, slots=False)
class TracedRoot(TracedLayer):
    """The outermost module: it replays the forwards of the trace, each where its condition holds."""

    forwards: tuple[TracedForward, ...] = ()
    places: Mapping[str, PlacedOperator] = field(factory=dict)

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        if any(not forward.lifetimes for forward in self.forwards):
            raise FormulaError("a peak is known at the sizes of the config only", place=self.class_name)
        for forward in self.forwards:
            with tape.only_if(forward.condition * forward.region.holds):
                self._replay(tape, forward)
        return inputs

    def _replay(self, tape: Tape, forward: TracedForward) -> None:
        """Record each operator with all that is alive beside it. Where nothing is cast, a cast makes no tensor."""
        skipped = set() if tape.casts else forward.list_casts()
        lives = forward.lifetimes if tape.casts else forward.merge_casts()
        alive: list[list[Buffer]] = [[] for _ in forward.operators]
        for life in lives:
            buffer = Buffer(life.elements)
            for beside in alive[life.first : life.last + 1]:
                beside.append(buffer)
        for place, traced in enumerate(forward.operators):
            if place in skipped:
                continue
            placed = self.places[traced.path]
            with tape.inside(placed.path, placed.layer):
                tape.run_all(traced.operator, (), *alive[place])


@frozen(kw_only=True, slots=False)
class TracedList(ModuleList):
    """A module that only holds others; groups of alike siblings have the names of the module graph."""

    names_groups: ClassVar[bool] = True
    held_class: ClassVar[str] = "ModuleList"
    names: tuple[str, ...] = ()

    @classmethod
    def torch_class(cls) -> str:
        return cls.held_class

    def build_children(self) -> Mapping[str, Child]:
        return MappingProxyType(dict(zip(self.names, self.groups, strict=True)))


def scale_cast(traced: TracedOperator) -> Operator:
    """Return an operator that runs only where something is cast, if it is a cast."""
    if not traced.is_cast:
        return traced.operator
    return traced.operator.scale(WEIGHTS_ARE_CAST if traced.casts_weights else ACTIVATIONS_ARE_CAST)
