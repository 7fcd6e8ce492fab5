"""The base class of every layer: what a layer states, and the one place where costs add up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Self

from attrs import NOTHING, evolve, field, fields, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.sums import add_sizes
from modelmeter.dimensions.symbols import ANY_LAYER, Dimensions, symbol
from modelmeter.layers.child import (
    Child,
    Direction,
    Routing,
    add_gradients,
    backward,
    forward,
    forward_without_cache,
    is_backward_only,
    train,
)
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Cost, Elements, Operator, Precision, Work
from modelmeter.metrics.fusion import keep_unfused
from modelmeter.support.errors import FormulaError

Shape = tuple[Size, ...]


# slots=False: cached properties live in the instance's dictionary.
@frozen(kw_only=True, slots=False)
class BaseLayer(ABC):
    """A layer at given sizes, which are formulas or numbers.

    A layer states its output shape, its children, the operators that its own forward calls, its own
    parameters and what it caches. All metrics follow from these, here and nowhere else.

    Parameters
    ----------
    precision
        Bits per element; used by the layer whose metrics are asked for, for everything below it.
    """

    precision: Precision = field(factory=Precision)

    is_called: ClassVar[bool] = True
    """Whether the module has a forward, or only holds those that do."""

    names_groups: ClassVar[bool] = False
    """Whether children that are groups of alike siblings have the names of the module graph: ``0-4,6``."""

    has_own_sizes: ClassVar[bool] = True
    """Whether the sizes of its formulas are its own, or those of the model that it is in."""

    @classmethod
    def torch_class(cls) -> str:
        """Return the class name of the torch module that this layer models."""
        return cls.__name__

    @classmethod
    def function_name(cls) -> str:
        """Return the name of the layer's evaluator and page: that of its module."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def canonical(cls, dimensions: Dimensions = ANY_LAYER) -> Self:
        """Return the layer with a symbol for each size, named like the field; ``dimensions`` are its model's.

        Raises
        ------
        FormulaError
            If a field is none of the dimensions.
        """
        sizes = {}
        for size in fields(cls):
            if "canonical" in size.metadata:
                sizes[size.name] = size.metadata["canonical"]()
            elif size.default is NOTHING:
                sizes[size.name] = dimensions.describe_in_layer(size.name).symbol
        return cls(**sizes)

    @property
    def flags(self) -> dict[str, bool]:
        """The fields that say which of two forms the forward has, such as ``bias``."""
        values = {size.name: getattr(self, size.name) for size in fields(type(self)) if not is_backward_only(size)}
        return {name: value for name, value in values.items() if isinstance(value, bool)}

    @property
    def own_sizes(self) -> dict[str, Size]:
        """The sizes by their symbols in the canonical layer; of a shape, the first stands for all leading sizes."""
        sizes: dict[str, Size] = {}
        for size in fields(type(self)):
            value = getattr(self, size.name)
            if "canonical" in size.metadata:
                names = [own.name for own in size.metadata["canonical"]()]
                split = len(value) - len(names) + 1
                sizes.update(zip(names, (multiply(value[:split]), *value[split:]), strict=True))
            elif size.name != "precision" and not isinstance(value, bool | BaseLayer):
                sizes[size.name] = value
        return sizes

    @property
    def holds_layers(self) -> bool:
        """Whether the layer is made of given layers: then it has no sizes of its own."""
        return any(isinstance(getattr(self, size.name), BaseLayer) for size in fields(type(self)))

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of the first output tensor."""

    def build_children(self) -> Mapping[str, Child]:
        """Return the modules below this one by attribute name, in the order of their registration."""
        return {}

    def operators(self) -> tuple[Operator, ...]:
        """Return the operators of this module's own forward, in the order of their calls."""
        return ()

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        """Record the operators of one forward on ``tape``, in the order of the reference model.

        A layer that is one operator reads all its inputs and writes one output; the others say how they run.

        Raises
        ------
        FormulaError
            If this layer, or one below it, does not say in which order its operators run.
        """
        operators = self.own_operators
        if self.children or len(operators) != 1:
            raise FormulaError(
                "a layer does not say in which order its operators run", place=type(self).__name__,
                remedy="give it a method replay",
            )  # fmt: skip
        return (tape.run(operators[0], *inputs),)

    @property
    def own_parameters(self) -> Size:
        """Elements of the parameters that this module holds itself."""
        return 0

    @property
    def own_kv_elements(self) -> Size:
        """Elements that this module keeps in the KV cache after its forward."""
        return 0

    @property
    def own_state_elements(self) -> Size:
        """Elements that it keeps in the cache in float32, whatever keys and values are stored in."""
        return 0

    @property
    def own_accumulated(self) -> Elements:
        """Elements of the gradients that are added up since this module's own forward uses a tensor again."""
        return Elements()

    @cached_property
    def children(self) -> Mapping[str, Child]:
        """The modules below this one by attribute name."""
        return self.build_children()

    def operators_under(self, routing: Routing | None) -> tuple[Operator, ...]:
        """Return the operators of this module's own forward, for one sibling or for all routed ones.

        Under a routing, weights are read by the chosen siblings only: the weight reads of each operator are
        the expected ones of all siblings together.
        """
        if routing is None:
            return self.own_operators
        return tuple(
            evolve(operator, reads=evolve(operator.reads, weight=routing.read_weights(operator.reads.weight)))
            for operator in self.own_operators
        )

    @cached_property
    def own_operators(self) -> tuple[Operator, ...]:
        """What :meth:`operators` gives, made once: formulas take their time."""
        return tuple(self.operators())

    def work_under(self, routing: Routing | None, direction: Direction = forward) -> Work:
        """Return the work of one forward or backward, own operators and all children, as :meth:`operators_under`.

        Sums of gradients are not part of it.
        """
        own = (direction(operator) for operator in self.operators_under(routing))
        below = (child.work_under(routing, direction) for child in self.children.values())
        return Work.of([*own, *below])

    @cached_property
    def parameters(self) -> Size:
        """Elements of all parameters, each once however often it is used."""
        children = self.children.values()
        return self.own_parameters + add_sizes(child.count * child.layer.parameters for child in children)

    @cached_property
    def kv_elements(self) -> Size:
        """Elements in the KV cache after one forward."""
        children = self.children.values()
        return self.own_kv_elements + add_sizes(child.count * child.layer.kv_elements for child in children)

    @cached_property
    def state_elements(self) -> Size:
        """Elements in the cache after one forward that are kept in float32."""
        children = self.children.values()
        return self.own_state_elements + add_sizes(child.count * child.layer.state_elements for child in children)

    @cached_property
    def trained_parameters(self) -> Size:
        """Elements of the parameters that get a gradient in a backward."""
        return self.own_parameters + add_sizes(child.trained_parameters for child in self.children.values())

    @cached_property
    def accumulated(self) -> Elements:
        """Elements of the gradients that are added up in a backward: one for each further use of a tensor."""
        return Elements.total([self.own_accumulated, *(child.accumulated for child in self.children.values())])

    @cached_property
    def backward_work(self) -> Work:
        """The work of one backward, from the gradient of the output to those of the input and of all parameters."""
        return self.work_under(None, backward) + add_gradients(self.accumulated)

    @cached_property
    def cost(self) -> Cost:
        """All six metrics of one forward."""
        return Cost.of(
            work=self.work_under(None),
            parameters=self.parameters,
            kv_elements=self.kv_elements,
            state_elements=self.state_elements,
            precision=self.precision,
        )

    @cached_property
    def training_cost(self) -> Cost:
        """All six metrics of one forward that keeps no cache, and the backward of it.

        Flows are of both. Activations are those of the forward, which are all kept for the backward.
        """
        return train(
            self.work_under(None, forward_without_cache),
            self.backward_work,
            parameters=self.parameters,
            precision=self.precision,
        )

    def forward_tensor_core_flops(self) -> Size:
        """Return the FLOPs of all matrix products, as ``FlopCounterMode`` counts them."""
        return self.cost.tensor_core_flops

    def forward_cuda_core_flops(self) -> Size:
        """Return the FLOPs of all other arithmetic, weighted by :mod:`modelmeter.metrics.operator_table`."""
        return self.cost.cuda_core_flops

    def backward_tensor_core_flops(self) -> Size:
        """Return the FLOPs of all matrix products of a backward: one for each operand that wants a gradient."""
        return self.backward_work.tensor_core_flops

    def backward_cuda_core_flops(self) -> Size:
        """Return the FLOPs of all other arithmetic of a backward, with the sums of gradients."""
        return self.backward_work.cuda_core_flops

    def forward_io_bytes(self) -> Size:
        """Return the bytes that the operators read and write."""
        return self.cost.io_bytes

    def forward_fused_io_bytes(self) -> Size:
        """Return the bytes that matrix products, convolutions, attention and look-ups read and write."""
        work = self.work_under(None, keep_unfused)
        return (work.reads + work.writes).to_bytes(self.precision)

    def forward_weight_bytes(self) -> Size:
        """Return the bytes of the parameters."""
        return self.cost.weight_bytes

    def forward_activation_bytes(self) -> Size:
        """Return the bytes of all operator outputs of one forward."""
        return self.cost.activation_bytes

    def forward_kv_cache_bytes(self) -> Size:
        """Return the bytes of keys and values that stand in the cache after the forward."""
        return self.cost.kv_cache_bytes


def multiply(shape: Shape) -> Size:
    """Return the number of elements of ``shape``."""
    total: Size = 1
    for size in shape:
        total = total * size
    return total


def token_shape() -> Shape:
    """Return the canonical leading shape of a layer that works on rows: ``(num_tokens,)``."""
    return (symbol("num_tokens"),)
