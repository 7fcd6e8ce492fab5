"""Merge alike siblings of a module graph into one node with a repetition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from itertools import groupby

from attrs import evolve, frozen

from modelmeter.graph.module_graph import ModuleGraph, ModuleNode, Repetition, is_number, join_path, name_group

Depend = Callable[[list[str]], bool]
"""Tells whether, among the modules at these paths, one reads what another one made."""


@frozen
class _Group:
    """Alike siblings, and how they run."""

    siblings: tuple[ModuleNode, ...]
    repetition: Repetition

    @property
    def first(self) -> ModuleNode:
        return self.siblings[0]

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(sibling.members[0] for sibling in self.siblings)


def merge_siblings(
    graph: ModuleGraph, *, details: Mapping[str, Hashable], sequences: Collection[str], depend: Depend
) -> ModuleGraph:
    """Return ``graph`` with one node for all siblings that are alike.

    Siblings are alike if they have numbers for names and the same class, details, calls and alike children.
    They need not be neighbours, except in a sequence, whose order is its meaning. Siblings in which nothing is
    called stay apart, since nothing shows how they would run.

    Parameters
    ----------
    graph
        A node per module.
    details
        By path, what else must be equal: the shapes of the tensors that the module holds.
    sequences
        Paths of the modules that call their children in the order of their numbers and do nothing else.
    depend
        Makes a group ``for`` instead of ``parfor``.
    """
    groups: dict[str, list[_Group]] = {}
    kinds: dict[str, int] = {}
    active: set[str] = set()
    numbers: dict[Hashable, int] = {}

    def find_kind(child: ModuleNode) -> Hashable:
        return kinds[child.path] if is_number(child.members[0]) and child.path in active else child.path

    for node in reversed(graph.nodes):  # children before their parents
        children = graph.children(node.path)
        if node.calls or any(child.path in active for child in children):
            active.add(node.path)
        groups[node.path] = [
            _Group(siblings=alike, repetition=_find_repetition(alike, depend))
            for alike in _gather(children, find_kind, neighbours=node.path in sequences)
        ]
        below = tuple((group.members, group.repetition, kinds[group.first.path]) for group in groups[node.path])
        description = (node.qualified_class_name, details[node.path], node.calls, below)
        kinds[node.path] = numbers.setdefault(description, len(numbers))

    def walk(group: _Group, path: str) -> Iterator[tuple[str, ModuleNode]]:
        yield group.first.path, evolve(
            group.first, path=path, members=group.members, repetition=group.repetition,
            repetition_count=len(group.members),
        )  # fmt: skip
        for inner in groups[group.first.path]:
            yield from walk(inner, join_path(path, name_group(inner.members)))

    merged = dict(walk(_Group(siblings=(graph.root,), repetition="none"), ""))
    call_order = tuple(merged[path].path for path in graph.call_order if path in merged)
    return evolve(graph, nodes=tuple(merged.values()), call_order=call_order)


def _gather(
    children: tuple[ModuleNode, ...], find_kind: Callable[[ModuleNode], Hashable], *, neighbours: bool
) -> list[tuple[ModuleNode, ...]]:
    """Return the children of one kind together, or only where they are neighbours."""
    together: defaultdict[Hashable, list[ModuleNode]] = defaultdict(list)
    for stretch, (kind, alike) in enumerate(groupby(children, find_kind)):
        together[(kind, stretch) if neighbours else kind].extend(alike)
    # By number, in which order they need not have been registered: the shorter path has the smaller number.
    return [tuple(sorted(alike, key=lambda node: (len(node.path), node.path))) for alike in together.values()]


def _find_repetition(alike: tuple[ModuleNode, ...], depend: Depend) -> Repetition:
    if len(alike) == 1:
        return "none"
    return "for" if depend([sibling.path for sibling in alike]) else "parfor"
