"""Says what a kernel that knows positions and shared heads reads of attention that is called as one operator.

That of PyTorch has no windows: where one is full, code hands it a mask, and beside a mask keys and values that were
copied to the heads that share them. A kernel of a serving engine reads neither.

What is moved is told apart, and adds up to what was counted: the kernel reads queries, keys and values before they are
copied, and a mask that hangs on data. What else the operator was given is read by an operator of another name right
behind it. Copies are still written, by an operator that reads nothing: what it read is the kernel's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import evolve, frozen

from modelmeter.frontend.attention_views import is_same
from modelmeter.frontend.fused_attention import Given, Source, Spot
from modelmeter.metrics.cost import Elements
from modelmeter.verify.operators import CountedOperator


@frozen(kw_only=True)
class Kernel:
    """An attention of one operator that was given more than a kernel needs.

    Parameters
    ----------
    place
        That of the operator; the one behind it stands for what the kernel does not read.
    reads, rest
        What it reads, and what the operator was given beside that.
    moved
        What it reads in place of copies, by the operator that copied it.
    """

    place: int
    reads: Elements
    rest: Elements
    moved: Mapping[Spot, Elements]


def find_kernel(place: int, path: str, given: Sequence[Given], taken: Collection[Spot]) -> Kernel | None:
    """Return what a kernel reads of an attention, or None where the operator is given no more than that.

    Parameters
    ----------
    place, path
        Those of the operator.
    given
        Its queries, keys, values, and its mask, if it has one.
    taken
        What kernels before it read in place of copies: it is theirs.
    """
    multiplied, masks = given[:3], given[3:]
    views = {each.names(place): each for each in given}  # one that is given twice is read once
    known = {each.names(place) for each in masks if not each.is_data}
    shared = {each.names(place) for each in multiplied}
    kept: list[Elements] = []
    rest: list[Elements] = []
    moved: dict[Spot, Elements] = {}
    sources: list[Source] = []
    for name, each in views.items():
        source = _find_shared(each, path) if name in shared else None
        if source is not None and any(source.has_origin_of(other) for other in sources):
            rest.append(each.read)  # as keys and values that are copies of one tensor, which is read once
        elif source is not None and source.spot not in taken:
            rest.append(each.read)
            moved[source.spot] = source.read
            sources.append(source)
        elif name in known:
            rest.append(each.read)
        else:
            kept.append(each.read)
    if not rest:
        return None
    return Kernel(place=place, reads=Elements.total([*kept, *moved.values()]), rest=Elements.total(rest), moved=moved)


def _find_shared(given: Given, path: str) -> Source | None:
    """Return where keys or values come from that the module of the attention copied to more heads, if it is so."""
    source = given.source
    if source is None or source.path != path or not source.is_first or not given.layout.shows_all():
        return None
    return None if is_same(source.elements, given.layout.elements) else source


def split_kernels(operators: Sequence[CountedOperator], kernels: Iterable[Kernel]) -> list[CountedOperator]:
    """Return operators where attention reads what its kernel does. All numbers are those of before, in sum by module.

    Behind each attention is an operator that reads nothing yet.
    """
    split = list(operators)
    for kernel in kernels:
        for (place, _), read in kernel.moved.items():
            split[place] = evolve(split[place], reads=split[place].reads + read.scale(-1))
        split[kernel.place] = evolve(split[kernel.place], reads=kernel.reads)
        split[kernel.place + 1] = evolve(split[kernel.place + 1], reads=kernel.rest)
    return split
