"""Data of the evaluator package as lines of Python: in as few of them as it fits into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

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


def list_classes(modules: Sequence[ModuleRecord]) -> list[tuple[str, str]]:
    """Return the qualified name of each class, by its name.

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
    return list(classes.items())


def write_outline(modules: Sequence[ModuleRecord]) -> str:
    """Return a line for each module, a space further in than that of its parent.

    Raises
    ------
    FormulaError
        If a path is not that of the parent and a name, or a name has a space.
    """
    depths: dict[str | None, int] = {None: -1}
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
        indent = " " * depths[module.path]
        lines += fill_lines(words[:1], indent)
        for word in words[1:]:
            if len(lines[-1]) + 1 + len(word) <= LINE_LENGTH - 2:
                lines[-1] += f" {word}"
            else:
                lines[-1] += " \\"
                lines.append(f"{indent}    {word}")
    return "\n".join(lines)


def write_row(row: tuple[str, Sequence[str]]) -> str:
    """Return a module and its operators."""
    path, operators = row
    last = "" if len(operators) > 1 else ","
    *others, end = map(write_literal, operators)
    return _fill(f"({write_literal(path)}, (", [*others, end], f"{last})),", 8)


def group_rows(table: Table) -> list[tuple[str, list[str]]]:
    """Return the modules of a table in order, each with the other names of its rows, such as its operators."""
    return [
        (path, [name for _, *names in keys for name in names]) for path, keys in groupby(table.keys, lambda key: key[0])
    ]


def find_alike(table: Table, tables: Iterable[Table]) -> str:
    """Return the first stage whose table has the same rows: its own, or an earlier one."""
    return next(other.stage for other in tables if (other.kind, other.keys) == (table.kind, table.keys))


def _fill(start: str, items: Sequence[str], end: str, indent: int) -> str:
    """Return a call of several items, in one line where it fits."""
    line = f"{' ' * indent}{start}{', '.join(items)}{end}"
    if len(line) <= LINE_LENGTH:
        return line
    words = [*(f"{item}," for item in items[:-1]), items[-1]]
    return "\n".join([f"{' ' * indent}{start}", *fill_lines(words, " " * (indent + 4)), f"{' ' * indent}{end}"])
