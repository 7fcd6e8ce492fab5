"""A forward replayed over buffers in place of tensors, to see which of them are alive together.

Layers replay themselves on a tape (:meth:`~modelmeter.layers.base.BaseLayer.replay`) in the order of the reference
model. A buffer is what one operator writes; it is alive from the operator that writes it, or from the first that
reads it where none does, to the last that reads it. Layout changes, casts and work on integers are not on the tape:
what they return is the buffer that they were given. Parameters, the KV cache and integers are no buffers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import frozen

from modelmeter.cost import Operator, add_sizes
from modelmeter.errors import FormulaError
from modelmeter.functions import Size

if TYPE_CHECKING:  # layers need tapes, and a tape calls the replay of layers
    from modelmeter.layers.base import BaseLayer


@frozen(eq=False)
class Buffer:
    """A floating-point activation of so many elements; two of the same size are two."""

    elements: Size


@frozen(kw_only=True)
class LiveOperator:
    """An operator, and what is alive while it runs.

    Parameters
    ----------
    path, layer
        The module whose forward calls it, and the name of that module's layer class.
    elements
        Elements of all buffers that are alive.
    at_most
        What these never exceed; it may be simpler, to be compared with others.
    """

    path: str
    layer: str
    elements: Size
    at_most: Size


@frozen
class _Recorded:
    """An operator as it was recorded; ``held`` is alive beside the buffers of the tape, and never exceeds ``limit``."""

    path: str
    layer: str
    held: Size
    limit: Size
    factor: Size


class Tape:
    """Records operators in the order of their calls, with the buffers that they read and write."""

    def __init__(self) -> None:
        self._operators: list[_Recorded] = []
        # The places of the first and of the last operator that touches a buffer.
        self._lives: dict[Buffer, tuple[int, int]] = {}
        self._names: list[str] = []
        self._layers: list[str] = [""]
        self._held: Size = 0
        self._limit: Size = 0
        self._factor: Size = 1

    def run(self, written: Operator | Size, *reads: Buffer) -> Buffer:
        """Record an operator that reads buffers, and return the buffer that it writes."""
        (output,) = self.run_all((written.writes.activation if isinstance(written, Operator) else written,), *reads)
        return output

    def run_all(self, written: Iterable[Size], *reads: Buffer) -> tuple[Buffer, ...]:
        """Do as :meth:`run` for an operator that writes several buffers of so many elements."""
        outputs = tuple(map(Buffer, written))
        place = len(self._operators)
        for buffer in (*reads, *outputs):
            first, _ = self._lives.get(buffer, (place, place))
            self._lives[buffer] = (first, place)
        self._operators.append(
            _Recorded(".".join(self._names), self._layers[-1], self._held, self._limit, self._factor)
        )
        return outputs

    def call(self, layer: BaseLayer, name: str, *inputs: Buffer, call: int = 0) -> Buffer:
        """Replay a child that has one output, and return that; see :meth:`call_all`."""
        (output,) = self.call_all(layer, name, *inputs, call=call)
        return output

    def call_all(self, layer: BaseLayer, name: str, *inputs: Buffer, call: int = 0) -> tuple[Buffer, ...]:
        """Replay a child of ``layer``, at the sizes of its call of that number, and return its outputs.

        Raises
        ------
        FormulaError
            If the layer has no such child, or something below does not say in which order its operators run.
        """
        if name not in layer.children:
            raise FormulaError(
                "a layer replays a child that it lacks", place=type(layer).__name__, expected=sorted(layer.children),
                found=name,
            )  # fmt: skip
        called, _ = layer.children[name].calls[call]
        with self.inside(name, called):
            return called.replay(self, *inputs)

    def call_in_turn(self, layer: BaseLayer, names: Iterable[str], *inputs: Buffer) -> tuple[Buffer, ...]:
        """Replay children of ``layer``, each on the outputs of the one before."""
        for name in names:
            inputs = self.call_all(layer, name, *inputs)
        return inputs

    @contextmanager
    def inside(self, name: str, layer: BaseLayer) -> Iterator[None]:
        """Record what the module of that name, which is such a layer, calls."""
        self._names.append(name)
        self._layers.append(type(layer).__name__)
        yield
        self._names.pop()
        self._layers.pop()

    @contextmanager
    def holding(self, elements: Size, *, at_most: Size) -> Iterator[None]:
        """Keep ``elements``, never more than ``at_most``, alive beside every operator recorded in the context."""
        before = self._held, self._limit
        self._held, self._limit = before[0] + elements, before[1] + at_most
        yield
        self._held, self._limit = before

    @contextmanager
    def only_if(self, condition: Size) -> Iterator[None]:
        """Record operators that run only where ``condition`` is 1, and not where it is 0."""
        before = self._factor
        self._factor = before * condition
        yield
        self._factor = before

    def list_operators(self) -> Iterator[LiveOperator]:
        """Yield the operators with the elements alive beside each: nothing where it does not run."""
        for place, operator in enumerate(self._operators):
            alive = [buffer.elements for buffer, (first, last) in self._lives.items() if first <= place <= last]
            elements, at_most = (
                operator.factor * add_sizes([held, *alive]) for held in (operator.held, operator.limit)
            )
            yield LiveOperator(path=operator.path, layer=operator.layer, elements=elements, at_most=at_most)
