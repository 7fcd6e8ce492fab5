"""The module graph: the modules of a model and their calls, as one frozen record with JSON in and out.

A path joins attribute names with dots. Alike siblings share one node, and its name lists the ranges of
their numbers: ``model.layers.1-11.mlp.experts.0-63``. The parent of a node is its path without the last
name, so a file has no way to say that a module contains itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final

import networkx as nx
from attrs import field, frozen
from cattrs import ClassValidationError

from modelmeter.graph.module_node import (
    ModuleCall,
    ModuleNode,
    Repetition,
    Shape,
    check_name,
    check_node,
    check_size,
    is_inside,
    is_number,
    join_path,
    name_group,
)
from modelmeter.support import strict_json
from modelmeter.support.errors import GraphError
from modelmeter.support.files import describe_failure, read_text, write_text
from modelmeter.support.frozen_mapping import freeze_mapping
from modelmeter.support.generated_files import GRAPH_FILE

__all__ = [
    "ModuleCall", "ModuleGraph", "ModuleNode", "Repetition", "Shape", "is_inside", "is_number", "join_path",
    "name_group",
]  # fmt: skip

SCHEMA_VERSION: Final = 2


def _freeze_lists(lists: Mapping[str, Iterable[int]]) -> Mapping[str, tuple[int, ...]]:
    return MappingProxyType({name: tuple(numbers) for name, numbers in lists.items()})


@frozen(kw_only=True)
class ModuleGraph:
    """All modules of a model, and what they were traced with.

    Parameters
    ----------
    nodes
        Depth first, a parent before its children, siblings in the order of their registration.
    call_order
        Paths of the nodes that are called, in the order in which their first calls start.
    workload, architecture
        The sizes that the model was traced with, by dimension; empty where the tracer was not told.
    lists
        What of the architecture is a list of numbers, by name.

    Attributes
    ----------
    digraph
        The containment as a frozen networkx graph: an edge from each parent to each of its children, in order;
        the attribute ``node`` of a path is its :class:`ModuleNode`.

    Raises
    ------
    GraphError
        If the nodes are not such a tree, or a name or a size in them is not possible.
    """

    workload: Mapping[str, int] = field(converter=freeze_mapping)
    architecture: Mapping[str, int] = field(converter=freeze_mapping)
    lists: Mapping[str, tuple[int, ...]] = field(converter=_freeze_lists)
    call_order: tuple[str, ...]
    nodes: tuple[ModuleNode, ...]
    # cattrs reads this annotation at run time, where networkx's class has no parameters.
    digraph: nx.DiGraph = field(init=False, eq=False, repr=False)  # type: ignore[type-arg]

    @digraph.default
    def _connect(self) -> nx.DiGraph[str]:
        if not self.nodes or self.nodes[0].path:
            raise GraphError("the first node is not the root", place="nodes", expected="the empty path")
        digraph: nx.DiGraph[str] = nx.DiGraph()
        for index, node in enumerate(self.nodes):
            place = f"nodes[{index}]"
            check_node(node, place)
            if node.path in digraph:
                raise GraphError("two nodes have the same path", place=place, found=node.path)
            parent, _, name = node.path.rpartition(".")
            if name != name_group(node.members):
                raise GraphError(
                    "the path does not end with the name of the members", place=place,
                    expected=name_group(node.members), found=node.path,
                )  # fmt: skip
            digraph.add_node(node.path, node=node)
            if index:
                if parent not in digraph:
                    raise GraphError("no node before it is its parent", place=place, found=node.path)
                digraph.add_edge(parent, node.path)
        nx.freeze(digraph)
        return digraph

    def __attrs_post_init__(self) -> None:
        for index, (node, walked) in enumerate(zip(self.nodes, self.walk(), strict=True)):
            if node != walked:
                raise GraphError(
                    "the nodes are not listed depth first", place=f"nodes[{index}]", expected=walked.path,
                    found=node.path,
                )  # fmt: skip
            _check_children(node, self.children(node.path), place=f"nodes[{index}]")
        called = sorted(node.path for node in self.nodes if node.calls)
        if sorted(self.call_order) != called:
            raise GraphError("it does not list every node that is called once", place="call_order")
        for name in ("workload", "architecture"):
            for key, size in getattr(self, name).items():
                check_name(key, name)
                check_size(size, f"{name}.{key}")
        for key, numbers in self.lists.items():
            check_name(key, "lists")
            for number in numbers:
                check_size(number, f"lists.{key}")

    @property
    def root(self) -> ModuleNode:
        """The model itself."""
        return self.nodes[0]

    def node(self, path: str) -> ModuleNode:
        """Return the node with this path.

        Raises
        ------
        GraphError
            If there is none.
        """
        if path not in self.digraph:
            raise GraphError("the graph has no such module", found=path)
        node: ModuleNode = self.digraph.nodes[path]["node"]
        return node

    def children(self, path: str) -> tuple[ModuleNode, ...]:
        """Return the nodes directly below ``path``, in the order of their registration."""
        return tuple(self.node(child) for child in self.digraph.successors(self.node(path).path))

    def parent(self, path: str) -> ModuleNode | None:
        """Return the node that contains ``path``; none for the root."""
        return next((self.node(parent) for parent in self.digraph.predecessors(self.node(path).path)), None)

    def walk(self) -> Iterator[ModuleNode]:
        """Yield every node, depth first, parents before their children."""
        return (self.node(path) for path in nx.dfs_preorder_nodes(self.digraph, self.root.path))

    def to_json(self) -> str:
        """Return the graph as JSON, a node per line; the same bytes for the same graph."""
        document = {"schema_version": SCHEMA_VERSION, **_CONVERTER.unstructure(self)}
        nodes = ",\n".join(f"  {json.dumps(node)}" for node in document.pop("nodes"))
        lines = [f' "{key}": {json.dumps(value)}' for key, value in document.items()]
        return ",\n".join(["{\n" + lines[0], *lines[1:], f' "nodes": [\n{nodes}\n ]\n}}\n'])

    @classmethod
    def from_json(cls, text: str) -> ModuleGraph:
        """Return the graph that :meth:`to_json` wrote.

        Raises
        ------
        GraphError
            If the text is not JSON, or not a module graph; the place is the path of the value in it.
        """
        try:
            document = strict_json.parse_object(text)
        except ValueError as error:
            raise GraphError("this is not a JSON object", found=str(error)) from None
        version = document.pop("schema_version", None)
        if type(version) is not int or version != SCHEMA_VERSION:
            raise GraphError(
                "this is not a module graph that this version reads", place="schema_version", expected=SCHEMA_VERSION,
                found=version, remedy="trace the model again",
            )  # fmt: skip
        try:
            return _CONVERTER.structure(document, cls)
        except ClassValidationError as error:
            if isinstance(error.exceptions[0], GraphError):  # from the checks above, once all values are of their kind
                raise error.exceptions[0] from None
            place, problem = strict_json.first_problem(error)
            raise GraphError("a value is missing or of another kind", place=place[:200], found=problem) from None

    @classmethod
    def read_shipped(cls, package: str) -> ModuleGraph:
        """Return the graph that the evaluators in an installed package came from.

        Raises
        ------
        GraphError
            If there is no such package, or its graph is damaged.
        """
        try:
            return cls.read(str(resources.files(package) / GRAPH_FILE))
        except ModuleNotFoundError:
            raise GraphError(
                "the generated package is not installed", place=package, remedy="run modelmeter compile"
            ) from None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ModuleGraph:
        """Return the graph in a file.

        Raises
        ------
        GraphError
            If the file cannot be read or holds no module graph.
        """
        try:
            text = read_text(path)
        except (OSError, ValueError) as error:
            raise GraphError(
                "the file cannot be read as text", place=str(path), found=describe_failure(error)
            ) from None
        try:
            return cls.from_json(text)
        except GraphError as error:
            raise GraphError(
                error.problem, place=f"{path}: {error.place}" if error.place else str(path),
                expected=error.expected, found=error.found, remedy=error.remedy,
            ) from None  # fmt: skip

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the graph to a file, whole or not at all.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        write_text(path, self.to_json(), name="the module graph")


def _check_children(node: ModuleNode, children: tuple[ModuleNode, ...], place: str) -> None:
    """Refuse a module that is the child of its parent twice, and parameters that do not add up."""
    members = [member for child in children for member in child.members]
    if len(set(members)) != len(members):
        raise GraphError("two children have the same name", place=place, found=node.path)
    held = [node.own_parameter_count, *(child.parameter_count for child in children for _ in child.members)]
    # Parameters that two modules share count once, so the whole may be less than the sum of its parts.
    if not max(held) <= node.parameter_count <= sum(held):
        raise GraphError(
            "the parameters do not add up over the module and its children", place=f"{place}.parameter_count",
            expected=f"from {max(held)} to {sum(held)}", found=node.parameter_count,
        )  # fmt: skip


_CONVERTER = strict_json.make_converter()
