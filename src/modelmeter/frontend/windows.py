"""Windows of attention: where they are full, and the regions on both sides, each of which is traced apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sympy
from attrs import evolve, frozen
from sympy.core.relational import Relational

from modelmeter.frontend.positions import SHORTEST_PROMPT
from modelmeter.frontend.records import EVERYWHERE, Region, Windows
from modelmeter.support.errors import CountError

REFERENCE_WINDOW: Final = "reference_sliding_attention"
"""What transformers calls layers that attend to all of a prompt, and to a window of what was generated after it."""

LEAST_WINDOW: Final = 16
"""Of shorter windows, too few sizes are below the border for a symbol to stand for them."""

_CHOSEN: Final = "index_topk"
"""The key of a config that says how many positions an indexer chooses for attention: all where there are no more."""

_WITHOUT_WINDOW: Final = frozenset({"full_attention", "linear_attention"})
"""Kinds of layers that have no window, whatever the config says of one."""


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


def find_windows(config: Any) -> Windows:
    """Return how many positions the windows of attention of a config hold.

    Raises
    ------
    CountError
        If one is too short, or windows are of two kinds.
    """
    text = config.get_text_config()
    kinds = getattr(text, "layer_types", None) or ()
    sizes = {name: getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size", _CHOSEN)}
    if kinds and {*kinds} <= _WITHOUT_WINDOW:  # what no layer has may be of any length
        sizes = {name: size for name, size in sizes.items() if type(size) is int and size >= LEAST_WINDOW}
    for name, size in sizes.items():
        if type(size) is int and 0 < size < LEAST_WINDOW:
            raise CountError(
                "a window of attention is too short", place=name, expected=f"at least {LEAST_WINDOW}", found=size
            )
    found = tuple(sorted({size for size in sizes.values() if type(size) is int and size > 0}))
    if REFERENCE_WINDOW not in kinds:
        return Windows(sizes=found, chosen=sizes.get(_CHOSEN))
    others = set(kinds) - {REFERENCE_WINDOW, "full_attention"}
    if others or len(found) != 1:
        raise CountError("layers have windows of several kinds", expected=REFERENCE_WINDOW, found=sorted(others))
    return Windows(behind_prompt=found[0])


def list_step_regions(step: sympy.Symbol, window: int) -> Iterator[tuple[bool, TracedRegion]]:
    """Yield the regions of steps with a window over what was generated, and whether it is full there."""
    yield False, TracedRegion(region=Region(size=step, most=window - 1))
    yield True, TracedRegion(region=Region(size=step, least=window))


def cut_windows(windows: Windows, longest: int | None) -> Windows:
    """Return the windows that are ever full, where a context has an end.

    Raises
    ------
    CountError
        If it has one and a window is over what is generated: its steps were not traced up to there.
    """
    if longest is None:
        return windows
    if windows.behind_prompt is not None:
        raise CountError("a context with an end has a window behind its prompt", expected="one of them", found=longest)
    return evolve(windows, sizes=tuple(window for window in windows.sizes if window < longest))


def list_regions(
    symbol: sympy.Symbol,
    keys: sympy.Expr,
    windows: tuple[int, ...],
    longest: int | None = None,
    shortest: int = SHORTEST_PROMPT,
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
    longest, shortest
        How many keys there are at most, if that is known, and what the symbol is at least; they border the traces, but
        are no region.
    """
    shift = int(keys - symbol)
    to_longest = () if longest is None else (sympy.Le(symbol, longest - shift),)
    from_shortest = () if shortest == SHORTEST_PROMPT else (sympy.Ge(symbol, shortest),)
    if not windows:
        yield TracedRegion(assumed=(*from_shortest, *to_longest))
        return
    for least, end in zip((None, *windows), (*windows, None), strict=True):
        region = Region(size=keys, least=least, most=None if end is None else end - 1)
        from_least = from_shortest if region.least is None else (sympy.Ge(symbol, region.least - shift),)
        to_most = () if region.most is None else (sympy.Le(symbol, region.most - shift),)
        yield TracedRegion(region=region, assumed=(*from_least, *(to_most or to_longest)))


def describe_windows(windows: Windows) -> dict[str, str]:
    """Return the counting rule for windows, where there are any."""
    traced = "traced on both sides of where it is full, and the formulas have both"
    keeps = "``DynamicCache`` of transformers does"
    if windows.behind_prompt is not None:
        return {
            "Windows": f"A layer keeps all of the prompt, and a window of {windows.behind_prompt} positions over "
            f"what is generated: it was {traced}. A step sees the prompt and the window, its own position among them; "
            "between two steps a layer keeps one position less, as the cache of transformers for such layers does."
        }
    rules = {}
    full = [size for size in windows.sizes if size != windows.chosen]
    if full:
        sizes = " and ".join(map(str, full))
        rules["Windows"] = (
            f"Where layers have a window of {sizes} positions, it was {traced}. A prompt is multiplied as a "
            "whole, with a mask, as the modules do. A step sees the positions of the window, its own among them; "
            f"between two steps a layer keeps one position less, as {keeps}."
        )
    if windows.chosen in windows.sizes:
        rules["Chosen positions"] = (
            f"For the attention of a token, an indexer chooses {windows.chosen} positions, or all where there are no "
            "more: both were traced. Its keys are cached beside those of the attention. Positions that are not chosen "
            "are masked and multiplied all the same, as the modules do."
        )
    return rules
