"""One module of a module graph, or a group of alike siblings: the record, its names, and what it may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, Literal

from attrs import frozen

from modelmeter.support.errors import GraphError

Shape = tuple[int, ...]
"""Sizes of a tensor's dimensions."""

Repetition = Literal["none", "for", "parfor"]
"""``for``: some sibling reads, directly or through others, what another one made. ``parfor``: none does."""

LARGEST_SIZE: Final = 2**63 - 1
"""torch counts in signed 64-bit integers."""

DEEPEST_MODULE: Final = 100
"""Modules one in another. torch calls no deeper ones: each takes some of Python's thousand frames."""

_NAME = re.compile(r"[\w-]{1,100}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_CLASS = re.compile(r"[\w.<>]{1,500}")


@frozen(kw_only=True)
class ModuleCall:
    """One call of a module.

    Parameters
    ----------
    run
        The forward that it was part of, such as ``prefill`` or a step of the ``decode``.
    input_shapes
        The tensors among the positional arguments, then among the keyword arguments.
    output_shape
        The first tensor of the output.
    """

    run: str
    input_shapes: tuple[Shape, ...]
    output_shape: Shape


@frozen(kw_only=True)
class ModuleNode:
    """A module, or a group of alike siblings, described by its first member.

    Parameters
    ----------
    path
        Names from the root, joined with dots; empty for the root.
    members
        Attribute names of the siblings that it stands for; the empty name for the root.
    class_name, qualified_class_name
        ``Linear`` and ``torch.nn.modules.linear.Linear``.
    parameter_count
        Elements of all parameters of one member and of everything in it, each parameter once.
    own_parameter_count
        Elements of the parameters that one member holds itself.
    calls
        In order; empty for a module that is never called.
    repetition, repetition_count
        How the members run, and how many they are.
    is_torch_builtin
        Whether the class is torch's own.
    """

    path: str
    members: tuple[str, ...]
    class_name: str
    qualified_class_name: str
    parameter_count: int
    own_parameter_count: int
    calls: tuple[ModuleCall, ...]
    repetition: Repetition
    repetition_count: int
    is_torch_builtin: bool


def is_number(name: str) -> bool:
    """Tell whether an attribute name is an index: ``0``, ``1``, ``12``, but not ``01``."""
    return _NUMBER.fullmatch(name) is not None


def name_group(members: Iterable[str]) -> str:
    """Return the name that siblings share: ``("0", "1", "3", "4", "9")`` become ``0-1,3-4,9``."""
    names = list(members)
    if len(names) == 1:
        return names[0]
    numbers = [int(name) for name in names]
    starts = [0, *(index for index in range(1, len(numbers)) if numbers[index] != numbers[index - 1] + 1)]
    runs = [names[start:stop] for start, stop in pairwise([*starts, len(names)])]
    return ",".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def join_path(parent: str, name: str) -> str:
    """Return the path of ``name`` below ``parent``."""
    return f"{parent}.{name}" if parent else name


def is_inside(path: str, outer: str) -> bool:
    """Tell whether the module at ``path`` is the one at ``outer`` or inside it."""
    return not outer or f"{path}.".startswith(f"{outer}.")


def check_node(node: ModuleNode, place: str) -> None:
    """Raise a GraphError for what no traced module can have."""
    if node.path.count(".") >= DEEPEST_MODULE:
        raise GraphError(
            "a module is too deep in others", place=f"{place}.path", expected=f"at most {DEEPEST_MODULE} names",
            found=node.path.count(".") + 1,
        )  # fmt: skip
    if node.path:
        for member in node.members:
            check_name(member, f"{place}.members")
    numbers = [int(member) for member in node.members if is_number(member)]
    alone = len(node.members) == 1 and (node.members == ("",)) == (not node.path)
    if not alone and (len(numbers) < 2 or len(numbers) < len(node.members) or sorted(set(numbers)) != numbers):
        raise GraphError(
            "the members are neither one name nor ascending numbers", place=f"{place}.members", found=node.members
        )
    if node.repetition_count != len(node.members) or (node.repetition == "none") != alone:
        raise GraphError(
            "the repetition does not fit the members", place=f"{place}.repetition_count", expected=len(node.members),
            found=f"{node.repetition} {node.repetition_count}",
        )  # fmt: skip
    qualified = node.qualified_class_name
    if not _CLASS.fullmatch(qualified) or qualified.rpartition(".")[2] != node.class_name:
        raise GraphError(
            "this is not a class and its qualified name", place=f"{place}.qualified_class_name",
            expected=node.class_name, found=qualified,
        )  # fmt: skip
    if node.is_torch_builtin != qualified.startswith("torch."):
        raise GraphError("torch's own classes are those in torch", place=f"{place}.is_torch_builtin", found=qualified)
    check_size(node.parameter_count, f"{place}.parameter_count")
    check_size(node.own_parameter_count, f"{place}.own_parameter_count")
    for index, call in enumerate(node.calls):
        check_name(call.run, f"{place}.calls[{index}].run")
        for size in (*call.output_shape, *(size for shape in call.input_shapes for size in shape)):
            check_size(size, f"{place}.calls[{index}]")


def check_name(name: str, place: str) -> None:
    """Raise a GraphError for a name that could be mistaken for a path, or that floods a terminal."""
    if not _NAME.fullmatch(name):
        raise GraphError("this cannot be a name", place=place, found=name)


def check_size(size: int, place: str) -> None:
    """Raise a GraphError for a size that torch cannot hold."""
    if not 0 <= size <= LARGEST_SIZE:
        raise GraphError("a size is out of range", place=place, expected=f"0 to {LARGEST_SIZE}", found=size)
