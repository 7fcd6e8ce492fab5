"""A forward replayed over buffers in place of tensors, to see which of them are alive together.

Layers replay themselves on a tape (:meth:`~modelmeter.layers.base.BaseLayer.replay`) in the order of the reference
model. A buffer is what one operator writes. It is alive from then on, or from the first operator that reads it where
none writes it, to the last that reads it or runs while the code still holds it: what a caller hands to a module stays
alive until the module returns, and what a variable names until it names something else (:meth:`Tape.keep`). Views are
the buffer that they show. Parameters and the KV cache are no buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.support.errors import FormulaError

if TYPE_CHECKING:  # layers need tapes, and a tape calls the replay of layers
    from modelmeter.layers.base import BaseLayer


@frozen(eq=False)
class Buffer:
    """The elements of a tensor by kind; two of the same size are two."""

    elements: Elements

    def only_if(self, condition: Size) -> Buffer:
        """Return another buffer that is as large where ``condition`` is 1, and empty where it is 0."""
        return Buffer(self.elements.scale(condition))


@frozen(kw_only=True)
class LiveElements:
    """Elements that are alive when an operator has run.

    Parameters
    ----------
    path
        The module that wrote them, or that was the first to be given them; of those in use around it, nothing.
    operator
        The operator that wrote them; nothing where none did, of what is given.
    elements
        Their numbers.
    """

    path: str
    operator: str
    elements: Elements


@frozen(kw_only=True)
class LiveOperator:
    """An operator, and what is alive when it has run.

    Parameters
    ----------
    path, layer
        The module whose forward calls it, and the name of that module's layer class.
    factor
        1 where the operator runs, 0 where it does not.
    parts
        The buffers that are alive, in the order in which they were made.
    limits
        Elements that these never exceed in all; they may be simpler, to be compared with others.
    """

    path: str
    layer: str
    factor: Size
    parts: tuple[LiveElements, ...]
    limits: tuple[Elements, ...]

    @property
    def alive(self) -> Elements:
        """Elements of all buffers that are alive."""
        return Elements.total(part.elements for part in self.parts)

    @property
    def at_most(self) -> Elements:
        """What these never exceed."""
        return Elements.total(self.limits)


@frozen
class _Recorded:
    """An operator as it was recorded; ``held`` is alive beside the buffers of the tape, and never exceeds ``limit``."""

    path: str
    layer: str
    held: Elements
    limit: Elements
    factor: Size
    name: str


class Tape:
    """Records operators in the order of their calls, with the buffers that they read and write.

    Parameters
    ----------
    root
        The name of the layer class that is replayed.
    casts
        Whether the model computes with another type than float32. Where it does not, a cast is no operator, and
        returns what it is given.
    """

    def __init__(self, root: str = "", *, casts: bool = True) -> None:
        self._casts = casts
        self._operators: list[_Recorded] = []
        # The places of the first and of the last operator beside which a buffer is alive.
        self._lives: dict[Buffer, tuple[int, int]] = {}
        self._written: set[Buffer] = set()
        self._names: list[str] = []
        self._layers: list[str] = [root]
        self._held = Elements()
        self._limit = Elements()
        self._factor: Size = 1

    @property
    def casts(self) -> bool:
        """Whether the model computes with another type than float32."""
        return self._casts

    def run(self, operator: Operator, *reads: Buffer) -> Buffer:
        """Record an operator that reads buffers, and return the buffer that it writes."""
        (output,) = self.run_all(operator, (evolve(operator.writes, weight=0, kv=0),), *reads)
        return output

    def run_all(self, operator: Operator, written: Iterable[Elements], *reads: Buffer) -> tuple[Buffer, ...]:
        """Do as :meth:`run` for an operator that writes several buffers, of which one may outlive another."""
        outputs = tuple(map(Buffer, written))
        self._touch((*reads, *outputs), len(self._operators))
        self._operators.append(
            _Recorded(".".join(self._names), self._layers[-1], self._held, self._limit, self._factor, operator.name)
        )
        self._written.update(outputs)
        return outputs

    def cast(self, operator: Operator, source: Buffer) -> Buffer:
        """Record the cast of an activation to float32, or back; where nothing is cast, return ``source``."""
        return self.run(operator, source) if self._casts else source

    def change(self, operator: Operator, target: Buffer, *reads: Buffer) -> Buffer:
        """Record an operator that works in place, and return the buffer that it has changed."""
        self.run_all(operator, (), target, *reads)
        return target

    def reserve(self, *buffers: Buffer) -> None:
        """Note that the code holds ``buffers`` when the next operator runs, which may not read them."""
        self._touch(buffers, len(self._operators))

    def keep(self, *buffers: Buffer) -> None:
        """Note that the code still holds ``buffers`` when the last recorded operator runs."""
        if self._operators:
            self._touch(buffers, len(self._operators) - 1)

    def _touch(self, buffers: Iterable[Buffer], place: int) -> None:
        for buffer in buffers:
            first, last = self._lives.get(buffer, (place, place))
            self._lives[buffer] = (first, max(last, place))

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
            outputs = called.replay(self, *inputs)
        if called.is_called:
            self.keep(*inputs)  # the caller holds them until the module returns
        return outputs

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
    def holding(self, elements: Elements, *, at_most: Elements) -> Iterator[None]:
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

    def list_operators(self, part_of: Callable[[str], str] = lambda path: "") -> Iterator[LiveOperator]:
        """Yield the operators that run somewhere, with the elements that are alive beside each.

        One is left out where all that is alive beside it is alive beside another of its part that runs where it does.

        Parameters
        ----------
        part_of
            Returns the part that the module at a path belongs to, such as its stage; by default all are one.
        """
        alive = self._find_alive()
        # What covers another is covered by none of fewer buffers, nor by a later equal one.
        numbers = {buffer: 1 << number for number, buffer in enumerate(self._lives)}
        masks = {place: sum(map(numbers.__getitem__, buffers)) for place, buffers in alive.items()}
        largest: dict[str, list[int]] = {}
        for place in sorted(alive, key=lambda place: (-len(alive[place]), place)):
            before = largest.setdefault(part_of(self._operators[place].path), [])
            mask = masks[place]
            if not any(mask & ~masks[other] == 0 and self._is_covered(place, other) for other in before):
                before.append(place)
        for place in sorted(place for places in largest.values() for place in places):
            operator = self._operators[place]
            yield LiveOperator(
                path=operator.path,
                layer=operator.layer,
                factor=operator.factor,
                parts=tuple(self._list_parts(operator, alive[place])),
                limits=(operator.limit, *(buffer.elements for buffer in alive[place])),
            )

    def _list_parts(self, operator: _Recorded, alive: Iterable[Buffer]) -> Iterator[LiveElements]:
        """Yield what is alive beside an operator, by where it comes from."""
        if operator.held != Elements():
            yield LiveElements(path="", operator="", elements=operator.held)
        for buffer in alive:
            first = self._operators[self._lives[buffer][0]]
            name = first.name if buffer in self._written else ""
            yield LiveElements(path=first.path, operator=name, elements=buffer.elements)

    def _find_alive(self) -> dict[int, dict[Buffer, None]]:
        """Return the buffers that are alive beside each operator that runs, in the order in which they were made."""
        alive: dict[int, dict[Buffer, None]] = {
            place: {} for place, operator in enumerate(self._operators) if operator.factor != 0
        }
        for buffer, (first, last) in self._lives.items():
            for place in range(first, last + 1):
                if place in alive:
                    alive[place][buffer] = None
        return alive

    def _is_covered(self, place: int, other: int) -> bool:
        """Tell whether an operator that has all buffers beside it that this one has covers it: it runs where this does.

        What else is alive beside both must be the same.
        """
        one, another = self._operators[place], self._operators[other]
        return another.factor in (1, one.factor) and (another.held, another.limit) == (one.held, one.limit)
