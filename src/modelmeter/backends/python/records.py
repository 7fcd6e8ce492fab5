"""Data of the evaluator package as lines of Python: in as few of them as it fits into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

from modelmeter.backends.python.printer import LINE_LENGTH, fill_lines
from modelmeter.backends.python.runtime._rows import list_members
from modelmeter.evaluators.breakdown import ModuleRecord, Table
from modelmeter.evaluators.signature import Parameter
from modelmeter.support.errors import FormulaError


def write_literal(text: str) -> str:
    """Return a Python literal of ``text`` in ASCII, quoted as the formatter would."""
    quote = "'" if '"' in text and "'" not in text else '"'
    escaped = text.encode("unicode_escape").decode().replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"


def write_items(names: Iterable[str], indent: int, quote: str = '"') -> str:
    """Return names, each with a comma behind it, in as few lines as they fit into."""
    return "\n".join(fill_lines([f"{quote}{name}{quote}," for name in names], " " * indent))


def write_dimension(size: Parameter) -> str:
    """Return the entry of a size in the table of all of them."""
    named = [
        *([f"target={write_literal(size.target)}"] if size.target else []),
        *(["may_be_fraction=True"] if size.may_be_fraction else []),
    ]
    unit, meaning = map(write_literal, (size.dimension.unit, size.dimension.meaning))
    start = f"{write_literal(size.name)}: Dimension("
    return _fill(start, [str(size.default), unit, meaning, str(size.minimum), *named], "),", 4)


def list_classes(modules: Sequence[ModuleRecord]) -> list[tuple[str, list[str]]]:
    """Return the names of classes by the module that has them.

    Raises
    ------
    FormulaError
        If two classes have one name.
    """
    classes: dict[str, str] = {}
    for module in modules:
        other = classes.setdefault(module.class_name, module.qualified_class_name)
        if other != module.qualified_class_name:
            raise FormulaError(
                "two classes of modules have one name", place=module.path, expected=other,
                found=module.qualified_class_name,
            )  # fmt: skip
    holders: dict[str, list[str]] = {}
    for name, qualified in classes.items():
        holders.setdefault(qualified.removesuffix(f".{name}"), []).append(name)
    return list(holders.items())


def write_outline(modules: Sequence[ModuleRecord], tables: Sequence[Table]) -> str:
    """Return a line for each module, a space further in than that of its parent.

    Behind the sizes of a module are the stages in which it is used, each with its operators there; a star says that it
    holds something.

    Raises
    ------
    FormulaError
        If a path is not that of the parent and a name, a name has a space, or the rows of a table are in another order
        than the modules.
    """
    depths: dict[str | None, int] = {None: -1}
    order = {module.path: number for number, module in enumerate(modules)}
    uses = _list_uses(tables, order)
    lines = []
    for module in modules:
        depths[module.path] = depths[module.parent] + 1
        place = module.path.removeprefix(f"{module.parent}.") if module.parent else module.path
        if place.split() != [place][: len(place)] or "." in place or list_members(place) != module.name:
            expected = f"the members of {place}, {list_members(place)}"
            raise FormulaError(
                "a module is named by its place", place=module.path, expected=expected, found=module.name
            )
        words = [place or ".", module.class_name]
        if (module.repetition, module.repetition_count) != ("none", 1):
            words.append(f"{module.repetition}:{module.repetition_count}")
        words += [f"{name}={value}" for name, value in module.constructor_params.items()]
        words += [word for use, stages in uses.get(module.path, {}).items() for word in _write_use(use, stages)]
        indent = " " * depths[module.path]
        lines += fill_lines(words[:1], indent)
        for word in words[1:]:
            if len(lines[-1]) + 1 + len(word) <= LINE_LENGTH - 2:
                lines[-1] += f" {word}"
            else:
                lines[-1] += " \\"
                lines.append(f"{indent}    {word}")
    return "\n".join(lines)


Use: TypeAlias = tuple[bool, tuple[str, ...]]
"""Whether a module holds something in a stage, and its operators there."""


def _write_use(use: Use, stages: Sequence[str]) -> list[str]:
    holds, operators = use
    return [":", f"{'+'.join(stages)}{'*' if holds else ''}", *operators]


def _list_uses(tables: Sequence[Table], order: Mapping[str, int]) -> dict[str, dict[Use, list[str]]]:
    """Return how each module is used, and in which stages alike."""
    rows: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
    for table in tables:
        groups = {path: tuple(names) for path, names in group_rows(table)}
        if [*groups] != sorted(groups, key=lambda path: order[path]) or sum(map(len, groups.values())) != sum(
            len(key) - 1 for key in table.keys
        ):
            raise FormulaError("the rows of a stage are in the order of its modules", place=table.stage)
        rows.setdefault(table.stage, {})[table.kind] = groups
    uses: dict[str, dict[Use, list[str]]] = {}
    for stage, kinds in rows.items():
        operators, holders = kinds.get("operators", {}), kinds.get("states", {})
        for path in dict.fromkeys((*operators, *holders)):
            use = (path in holders, operators.get(path, ()))
            uses.setdefault(path, {}).setdefault(use, []).append(stage)
    return uses


def group_rows(table: Table) -> list[tuple[str, list[str]]]:
    """Return the modules of a table in order, each with the other names of its rows, such as its operators."""
    return [
        (path, [name for _, *names in keys for name in names]) for path, keys in groupby(table.keys, lambda key: key[0])
    ]


def _fill(start: str, items: Sequence[str], end: str, indent: int) -> str:
    """Return a call of several items, in one line where it fits."""
    line = f"{' ' * indent}{start}{', '.join(items)}{end}"
    if len(line) <= LINE_LENGTH:
        return line
    words = [*(f"{item}," for item in items[:-1]), items[-1]]
    return "\n".join([f"{' ' * indent}{start}", *fill_lines(words, " " * (indent + 4)), f"{' ' * indent}{end}"])
