"""Windows of attention: where they are full, and the regions on both sides, each of which is traced apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy
from attrs import frozen
from sympy.core.relational import Relational

from modelmeter.frontend.records import EVERYWHERE, Region
from modelmeter.support.errors import CountError

LEAST_WINDOW = 16
"""Of shorter windows, too few sizes are below the border for a symbol to stand for them."""


@frozen(kw_only=True)
class TracedRegion:
    """A region of a stage.

    Parameters
    ----------
    region
        In the keys that the last position of a forward would see without a window.
    assumed
        The same as relations of the size that is a symbol in the trace.
    """

    region: Region = EVERYWHERE
    assumed: tuple[Relational, ...] = ()

    def describe(self) -> str:
        """Return the words for a trace of it in the messages of errors."""
        words = " and ".join(f"{each.lhs} {each.rel_op} {each.rhs}" for each in self.assumed)
        return f"a forward with symbols for sizes{words and f', where {words}'}"


def find_windows(config: Any) -> tuple[int, ...]:
    """Return how many positions the windows of attention of a config hold, in ascending order.

    Raises
    ------
    CountError
        If one is too short.
    """
    text = config.get_text_config()
    sizes = [getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size")]
    found = sorted({size for size in sizes if type(size) is int and size > 0})
    if found and found[0] < LEAST_WINDOW:
        raise CountError("a window of attention is too short", expected=f"at least {LEAST_WINDOW}", found=found[0])
    return tuple(found)


def cut_windows(windows: tuple[int, ...], longest: int | None) -> tuple[int, ...]:
    """Return the windows that are ever full, where a context has an end."""
    return tuple(window for window in windows if longest is None or window < longest)


def list_regions(
    symbol: sympy.Symbol, keys: sympy.Expr, windows: tuple[int, ...], longest: int | None = None
) -> Iterator[TracedRegion]:
    """Yield the regions of a stage, of which the first has as many keys as no window holds.

    A window that is as long as the keys takes no position away, but the code makes a mask for it.

    Parameters
    ----------
    symbol
        The size that is a symbol in a trace.
    keys
        What the last position sees without a window: the symbol and a number.
    windows
        Of all layers, in ascending order.
    longest
        How many keys there are at most, if that is known; it borders the traces, but is no region.
    """
    shift = int(keys - symbol)
    to_longest = () if longest is None else (sympy.Le(symbol, longest - shift),)
    if not windows:
        yield TracedRegion(assumed=to_longest)
        return
    for least, end in zip((None, *windows), (*windows, None), strict=True):
        region = Region(size=keys, least=least, most=None if end is None else end - 1)
        from_least = () if region.least is None else (sympy.Ge(symbol, region.least - shift),)
        to_most = () if region.most is None else (sympy.Le(symbol, region.most - shift),)
        yield TracedRegion(region=region, assumed=(*from_least, *(to_most or to_longest)))


def describe_windows(windows: tuple[int, ...]) -> dict[str, str]:
    """Return the counting rule for windows, where there are any."""
    if not windows:
        return {}
    sizes = " and ".join(map(str, windows))
    return {
        "Windows": f"Layers with a window of {sizes} positions were traced on both sides of where it is full, and the "
        "formulas have both. A prompt is multiplied as a whole, with a mask, as the modules do. A step sees the "
        "positions of the window, its own among them; between two steps a layer keeps one position less, as "
        "``DynamicCache`` of transformers does."
    }
