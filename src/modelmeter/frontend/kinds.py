"""What tells modules apart that may do different things, such as layers of a stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

from torch import nn

_PLAIN = (bool, int, float, str, type(None))
_NOT_OF_A_KIND = ("layer_idx", "layer_number", "layer_id", "training")
"""Attributes that tell a layer from its siblings but not what it does."""


def describe_kind(layer: nn.Module) -> Hashable:
    """Return what tells what a layer does: its classes, the shapes of its parameters, and its plain attributes.

    A fraction is as good as any other, such as a scale that hangs on the number of layers; code asks for 0 and 1.
    """
    return tuple(
        (
            path,
            type(module).__qualname__,
            tuple((name, tuple(tensor.shape)) for name, tensor in module.named_parameters(recurse=False)),
            tuple((name, tuple(tensor.shape)) for name, tensor in module.named_buffers(recurse=False)),
            tuple(_list_plain(vars(module))),
        )
        for path, module in layer.named_modules()
    )


def number_kinds(layers: Sequence[nn.Module], known: Sequence[Hashable] = ()) -> tuple[int, ...]:
    """Return the number of the kind of each layer: of those that are known, then as they come."""
    numbers: dict[Hashable, int] = {kind: number for number, kind in enumerate(known)}
    return tuple(numbers.setdefault(describe_kind(layer), len(numbers)) for layer in layers)


def _list_plain(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Hashable]]:
    for name, value in sorted(attributes.items()):
        if name in _NOT_OF_A_KIND or name.startswith("_"):
            continue
        if isinstance(value, _PLAIN):
            yield name, _describe_plain(value)
        elif isinstance(value, list | tuple) and all(isinstance(each, _PLAIN) for each in value):
            yield name, tuple(map(_describe_plain, value))


def _describe_plain(value: Any) -> Hashable:
    return float if isinstance(value, float) and isfinite(value) and not value.is_integer() else value


def leave_out_turns(kinds: Sequence[int]) -> tuple[int, ...]:
    """Return few layers that have each kind twice, if there are two, and each pair of neighbours that there is.

    Layers are left out from one of a kind to before the next of it, as many at a time as can be: so none comes after
    another that it never comes after.
    """
    chosen = tuple(range(len(kinds)))
    needed = {kind: min(2, kinds.count(kind)) for kind in set(kinds)}
    neighbours = set(pairwise(kinds))

    def has_all(places: Sequence[int]) -> bool:
        counts = Counter(kinds[place] for place in places)
        pairs = set(pairwise(kinds[place] for place in places))
        return pairs >= neighbours and all(counts[kind] >= least for kind, least in needed.items())

    def shorten() -> tuple[int, ...] | None:
        for width in range(len(chosen) - 1, 0, -1):
            for start in range(len(chosen) - width):
                shorter = chosen[:start] + chosen[start + width :]
                if kinds[chosen[start]] == kinds[chosen[start + width]] and has_all(shorter):
                    return shorter
        return None

    while (shorter := shorten()) is not None:
        chosen = shorter
    return chosen


def repeat(values: Sequence[Any], count: int) -> list[Any]:
    """Return what each of so many layers has, as the layers of a model repeat: after one another, or all the same."""
    period = next(
        length for length in range(1, len(values) + 1) if list(values[length:]) == list(values[: len(values) - length])
    )
    return [values[place % period] for place in range(count)]
