"""Chunks of a scan: where a prompt of one chunk does something else, and where the last one has to be filled up.

Both show in a trace: torch keeps a guard on the number of chunks, or on the positions that are filled up. Then it is
made again, apart for one chunk and for several, and for prompts that fill their chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import sympy
from attrs import evolve, frozen
from sympy.core.relational import Relational
from transformers import PreTrainedConfig

from modelmeter.dimensions.functions import CeilDiv, Size
from modelmeter.frontend.configs.values import find_value
from modelmeter.frontend.records import EVERYWHERE, TracedForward
from modelmeter.frontend.substitution import Substitution
from modelmeter.frontend.windows import LEAST_WINDOW, TracedRegion
from modelmeter.support.errors import CountError
from modelmeter.verify.guards import GuardError, find_padding

Traced = TypeVar("Traced")


@frozen(kw_only=True)
class Chunks:
    """The lengths of chunks.

    Parameters
    ----------
    borders
        Those of which one and several are traced apart.
    padded
        Those of which the last is filled up: prompts that need it not are traced, too.
    """

    borders: tuple[int, ...] = ()
    padded: tuple[int, ...] = ()

    @property
    def lengths(self) -> tuple[int, ...]:
        """All of them, in ascending order."""
        return tuple(sorted({*self.borders, *self.padded}))


WHOLE = Chunks()
"""Of a prompt that is cut into none."""


_LENGTHS: Final = ("chunk_size", "mamba_chunk_size")
"""What configs call the length of a chunk."""


def guess_chunks(config: PreTrainedConfig) -> tuple[int, ...]:
    """Return the lengths of chunks that a config names; whether there are such, the guards of a trace say."""
    text = config.get_text_config(decoder=True)
    found = (find_value(text, name) for name in _LENGTHS)
    return tuple(sorted({length for length in found if type(length) is int and length >= LEAST_WINDOW}))


def trace_in_chunks(trace: Callable[[Chunks], Traced]) -> tuple[Chunks, Traced]:
    """Call ``trace`` with the chunks that its guards name, and return them with what it returns.

    Raises
    ------
    CountError
        If a trace is refused for anything but chunks.
    """
    chunks = WHOLE
    while True:
        try:
            return chunks, trace(chunks)
        except GuardError as error:
            wider = chunks
            for condition in (error.condition, *error.others):
                wider = _widen(wider, condition)
            if wider == chunks:
                raise
            chunks = wider


def _widen(chunks: Chunks, condition: sympy.Basic) -> Chunks:
    padding = find_padding(condition)
    lengths = {int(each.args[1]) for each in condition.atoms(CeilDiv)}
    if not lengths or min(lengths) < LEAST_WINDOW:
        return chunks
    if padding is not None:
        return evolve(chunks, padded=tuple(sorted({*chunks.padded, *lengths})))
    return evolve(chunks, borders=tuple(sorted({*chunks.borders, *lengths})))


@frozen(kw_only=True)
class Filled:
    """Prompts that fill their chunks: ``number`` chunks of ``length`` positions.

    Parameters
    ----------
    length, number
        The number is a symbol, or 1.
    assumed
        Relations that hold for it.
    """

    length: int
    number: sympy.Expr
    assumed: tuple[Relational, ...] = ()

    @property
    def size(self) -> Size:
        """The tokens of such a prompt."""
        return int(self.length) if self.number == 1 else self.length * self.number

    def place(self, symbol: sympy.Symbol) -> dict[sympy.Expr, sympy.Expr]:
        """Return what stands for the prompt, and for its number of chunks, in formulas of its ``symbol``."""
        return {CeilDiv(symbol, sympy.Integer(self.length)): self.number, symbol: sympy.sympify(self.size)}


def list_filled(part: TracedRegion, symbol: sympy.Symbol, padded: Iterable[int]) -> Iterator[Filled]:
    """Yield the prompts of a region, by its relations of ``symbol``, that fill their chunks."""
    least = max([1, *(int(each.rhs) for each in part.assumed if isinstance(each, sympy.Ge) and each.lhs == symbol)])
    most = [int(each.rhs) for each in part.assumed if isinstance(each, sympy.Le) and each.lhs == symbol]
    for length in padded:
        fewest = -(-least // length)
        largest = min(most) // length if most else None
        if fewest == 1 and largest != 0:
            yield Filled(length=length, number=sympy.S.One)
            fewest = 2
        if largest is None or fewest <= largest:
            number = sympy.Symbol("chunks", integer=True, positive=True)
            to_largest = () if largest is None else (sympy.Le(number, largest),)
            yield Filled(length=length, number=number, assumed=(sympy.Ge(number, fewest), *to_largest))


def check_filled(general: TracedForward, forward: TracedForward, filled: Filled, symbol: sympy.Symbol) -> None:
    """Check that a forward where a prompt fills its chunks is what the general one says there.

    Raises
    ------
    CountError
        If they differ.
    """
    there = Substitution(filled.place(symbol)).change_forward(general)
    if evolve(there, condition=1, at={}, region=EVERYWHERE) != evolve(forward, condition=1, at={}, region=EVERYWHERE):
        raise CountError(
            "a prompt that fills its chunks does something else", expected="what others do",
            found=f"{symbol} = {filled.size}",
        )  # fmt: skip


def describe_chunks(chunks: Chunks) -> dict[str, str]:
    """Return the counting rule for chunks, where there are any."""
    if not chunks.lengths:
        return {}
    named = " and ".join(map(str, chunks.lengths))
    return {
        "Chunks": f"A scan cuts a prompt into chunks of {named} positions, and fills up the last: formulas have the "
        "number of chunks, rounded up. Prompts of one chunk and of several, and those that fill their chunks, were "
        "traced apart: the formulas have what differs."
    }
