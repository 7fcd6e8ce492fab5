"""The text of the functions of this package: one metric of a stage is cut out of the function of the stage."""

import sys

from ._runtime import Cost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec

    Sizes = ParamSpec("Sizes")


def read_source(module: str, function: str) -> str:
    """Return the text of a function of a module of this package; it is empty where only bytecode was installed."""
    spec = sys.modules[module].__spec__
    origin = (spec and spec.origin) or ""
    read = getattr(spec and spec.loader, "get_data", None)  # get_source would import a tokenizer
    if not (read and origin.endswith(".py")):
        return ""
    text: str = read(origin).decode()
    start = text.find(f"\ndef {function}(") + 1
    return text[start : text.find("\n\n\n", start)].rstrip() if start else ""


def cut_metric(function: "Callable[Sizes, Cost]", metric: str, module: str) -> "Callable[Sizes, int]":
    """Return the function of one metric of ``function``, of the same sizes: without the steps of the others.

    Parameters
    ----------
    module
        The name of the module that it is for.
    """
    name, place = f"{function.__name__}_{metric}", Cost._fields.index(metric)
    text = read_source(function.__module__, function.__name__)
    names = {**vars(sys.modules[function.__module__]), "__name__": module}
    if text:
        exec(compile(_cut(text, function.__name__, name, place), f"<{name}>", "exec"), names)  # our own text
    else:
        whole: Callable[..., Cost] = function
        names[name] = lambda **sizes: whole(**sizes)[place]
        names[name].__name__ = names[name].__qualname__ = name
    cut: Callable[Sizes, int] = names[name]
    cut.__doc__ = f"Return ``{metric}`` of ``{function.__name__}`` with the same arguments."
    return cut


def _cut(text: str, function: str, name: str, place: int) -> str:
    """Return the text of a function without what one of its results does not need."""
    head, _, body = text.partition(") -> Cost:\n")
    *statements, last = _split(body)
    kept = last[last.index("((") + 2 : last.rindex("))")].split(",")[place].strip()
    lines, needed = [f"    return {kept}\n"], {kept}
    for statement in reversed(statements):
        target, equals, value = statement.strip().partition(" = ")
        if not (equals and target.isidentifier()):
            needed |= _words(statement)
        elif target in needed:
            needed |= _words(value)
        else:
            continue
        lines.append(statement)
    head = head.replace(f"def {function}(", f"def {name}(", 1)
    text = "".join([head, ") -> int:\n", *reversed(lines)])
    for start in ("check_again(", "check_again(\n        "):  # itself, in one line or in several
        text = text.replace(f"{start}{function}, ", f"{start}{name}, ", 1)
    return text


def _split(body: str) -> list[str]:
    """Return the statements of a function, each with all of its lines."""
    statements: list[str] = []
    for line in body.rstrip().splitlines(keepends=True):
        is_start = line[:4] == "    " and line[4] not in " )" and line[4:8] not in ("elif", "else")
        if is_start:
            statements.append(line)
        elif statements:
            statements[-1] += line
    return statements


def _words(text: str) -> set[str]:
    return set("".join(letter if letter.isalnum() or letter == "_" else " " for letter in text).split())
