"""The records of a breakdown: of modules, and in exact integers of what they do and hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

Operators: TypeAlias = tuple[str, tuple[str, ...]]
"""The path of a module, and the operators that it has in a stage."""


class Module(NamedTuple):
    """A module, or ``repetition_count`` alike siblings: in turn (``for``) or side by side (``parfor``)."""

    path: str
    name: str
    class_name: str
    qualified_class_name: str
    parent: str | None
    repetition: str
    repetition_count: int
    constructor_params: dict[str, int | bool]


class OperatorCost(NamedTuple):
    """All calls of one operator of one module, over all the siblings that the path stands for.

    The rows of a stage add up to its flows and its activations; bits become bytes, rounded up, only in the sum. Where a
    width is a fraction, so may be the bits of a row: fractions.Fraction has all that is used of integers.
    """

    path: str
    operator: str
    calls: int
    tensor_core_flops: int
    cuda_core_flops: int
    io_bits: int
    activation_bits: int


class StateCost(NamedTuple):
    """What one module holds itself, over all the siblings that the path stands for."""

    path: str
    weight_bits: int
    kv_cache_bits: int


def list_operators(groups: Iterable[tuple[str, Iterable[str]]]) -> list[tuple[str, str]]:
    """Return the path and the operator of each row; ``groups`` are modules with their operators."""
    return [(path, operator) for path, operators in groups for operator in operators]


def make_operators(groups: Iterable[tuple[str, Iterable[str]]], values: Sequence[Any]) -> tuple[OperatorCost, ...]:
    """Return the rows of some operators; ``values`` are the numbers of all rows, row by row."""
    names = zip(*list_operators(groups), strict=True)
    rows = zip(*names, *(values[place::5] for place in range(5)), strict=True)
    return tuple([tuple.__new__(OperatorCost, row) for row in rows])  # as the class does it, in a third of the time


def make_states(paths: Iterable[str], values: Sequence[Any]) -> tuple[StateCost, ...]:
    """Return the rows of what some modules hold; ``values`` are the numbers of all rows, row by row."""
    rows = zip(paths, values[::2], values[1::2], strict=True)
    return tuple([tuple.__new__(StateCost, row) for row in rows])


def read_outline(
    classes: Mapping[str, str], stages: Iterable[str], outline: str
) -> tuple[tuple[Module, ...], dict[str, tuple[Operators, ...]], dict[str, tuple[str, ...]]]:
    """Return the modules of an outline, and by stage those that do something there, and those that hold something.

    Parameters
    ----------
    classes
        The qualified name of each class.
    stages
        Their names, in order.
    outline
        The place and the class of each module, how often it is there, what it is made with, and what it does.
    """
    modules: list[Module] = []
    operators_of: dict[str, list[Operators]] = {stage: [] for stage in stages}
    holders: dict[str, list[str]] = {stage: [] for stage in operators_of}
    for path, parent, words in _read_lines(outline):
        first, *uses = words.split(" : ")
        name, class_name, *rest = first.split()
        members = list_members(name if name != "." else "")
        repetition, count = rest.pop(0).split(":") if rest and ":" in rest[0] else ("none", "1")
        params = {key: value == "True" if value in ("True", "False") else int(value) for key, value in _split(rest)}
        modules.append(Module(path, members, class_name, classes[class_name], parent, repetition, int(count), params))
        for use in uses:
            used, *operators = use.split()
            for stage in used.rstrip("*").split("+"):
                if operators:
                    operators_of[stage].append((path, tuple(operators)))
                if used.endswith("*"):  # it holds weights or a cache
                    holders[stage].append(path)
    return (
        tuple(modules),
        {stage: tuple(rows) for stage, rows in operators_of.items()},
        {stage: tuple(paths) for stage, paths in holders.items()},
    )


def _read_lines(outline: str) -> Iterator[tuple[str, str | None, str]]:
    """Yield the path of each module, that of its parent, and its line: what is further in than a line is below it."""
    parents: list[str] = []
    for line in filter(None, outline.split("\n")):
        words = line.lstrip()
        name = words.split(" ", 1)[0]
        del parents[len(line) - len(words) :]
        parent = parents[-1] if parents else None
        name = name if name != "." else ""
        path = f"{parent}.{name}" if parent else name
        parents.append(path)
        yield path, parent, words


def list_members(place: str) -> str:
    """Return the names of the siblings that stand for one: ``0,1,3`` of ``0-1,3``."""
    if not place.replace("-", "").replace(",", "").isdecimal():
        return place
    spans = [span.partition("-") for span in place.split(",")]
    return ",".join(str(number) for low, _, high in spans for number in range(int(low), int(high or low) + 1))


def _split(words: Iterable[str]) -> list[tuple[str, str]]:
    pairs = (word.partition("=") for word in words)
    return [(key, value) for key, _, value in pairs]
