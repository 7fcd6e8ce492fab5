"""The text of the functions of this package: what several of them compute stands once, and is cut out for each.

A function is its checks, then its steps. Some have their checks in a table, and some their steps in a module that they
share; others, such as one metric of a stage, have the checks of another one, and of the steps those that they need.
"""

import sys

from . import _runtime
from ._checks import COMPUTE, expand_checks, write_checks, write_late_checks
from ._limits import ARCHITECTURE, INTERMEDIATES
from ._runtime import Cost, CostError
from ._statements import keep_needed, read_step, rename, split_statements, words_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, ParamSpec, TypeVar

    Sizes = ParamSpec("Sizes")
    Result = TypeVar("Result")
    Step = tuple[str, str, str]

_FUSED = "fused_io_bytes"
"""What a function of a layer computes without returning it."""

_HELPERS = {
    name: getattr(_runtime, name)
    for name in (
        *("Cost", "CostError", "check_again", "check_routing", "check_size", "contradiction", "no_multiple"),
        *("not_zero_together", "routed_reads", "too_large", "too_small"),
    )
}
"""What the text of functions calls."""

_CHECKED: "dict[Any, Callable[..., Any]]" = {}
"""The checks of functions without text, by function."""


def read_source(module: str, function: str) -> str:
    """Return the text of a function of a module of this package; it is empty where only bytecode was installed."""
    found = getattr(sys.modules[module], function)
    text: str = getattr(found, "source", "") or _read(found.__module__, found.__name__)
    has_more = COMPUTE in text or f"\n    {_FUSED} = " in text
    return _cut(found.__name__, text, found.__module__, None) if has_more else text


def check(
    function: "Callable[..., Result]", sizes: "dict[str, Any]", constants: "Mapping[str, int]" = ARCHITECTURE
) -> "Result | None":
    """Return what a function returns for sizes that are checked first; None says that they are right as they are.

    When it is first called, its checks are put into it, so that it does the same without this call from then on.

    Parameters
    ----------
    constants
        The sizes of the architecture that are numbers in the function.
    """
    return function(**sizes) if _complete(function) else _check(function, sizes, constants)


def compute(
    function: "Callable[..., Result]",
    steps: str,
    sizes: "dict[str, Any]",
    constants: "Mapping[str, int]" = ARCHITECTURE,
    **cancelled: int,
) -> "Result":
    """Return what a function returns; when it is first called, its checks and steps are put into it.

    Parameters
    ----------
    steps
        The module that has its steps.
    constants
        The sizes of the architecture that are numbers in the function.
    cancelled
        Sizes of the steps that it does not depend on.
    """
    if _complete(function):
        return function(**sizes)
    found: Result | None = _check(function, sizes, constants)
    if found is not None:
        return found
    everything = getattr(_import(function.__module__, steps), steps.lstrip("_"))
    sizes_of_all = [size for size in everything.__annotations__ if size != "return"]
    given = sizes | cancelled
    # What is no size of the function is none of what it returns; what is not known yet, none of an intermediate result.
    values = everything(**{size: 1 if given.get(size) is None else given[size] for size in sizes_of_all})
    if late := write_late_checks(function.__kwdefaults__ or {}, constants):
        given |= {name: values[name] for name in INTERMEDIATES if name in values}
        names: dict[str, Any] = {**_HELPERS}
        exec(f"def fill({', '.join(given)}):\n{late}    return locals()\n", names)  # our own text
        given = names["fill"](**given)
        values = everything(**{size: given.get(size, 1) for size in sizes_of_all})
    name, returned = function.__name__, function.__annotations__["return"]
    if returned is int:
        result: Any = values[name]
    elif returned is Cost:
        result = make_cost(values, f"{name}_")
    else:
        result = returned([make_cost(values, f"{stage}_") for stage in returned._fields])
    whole: Result = result
    return whole


def _complete(function: "Callable[..., Any]") -> bool:
    """Put the checks and the steps of a function into it; False where only bytecode was installed."""
    name, module = function.__name__, function.__module__
    text = read_source(module, name)
    if text:
        names = {**function.__globals__, **_HELPERS}
        exec(compile(text, f"<{name}>", "exec"), names)  # our own text
        function.__globals__.update(_HELPERS)
        function.__code__ = names[name].__code__
    return bool(text)


def _check(function: "Callable[..., Any]", sizes: "dict[str, Any]", constants: "Mapping[str, int]") -> "Any":
    """Return what a function without text returns for sizes that are checked first; None where they are right."""
    if function not in _CHECKED:
        name, defaults = function.__name__, function.__kwdefaults__ or {}
        names = {**function.__globals__, **_HELPERS}
        checks = f"def check({'*, ' if defaults else ''}{', '.join(defaults)}):\n    ...\n"
        exec(checks + write_checks(name, defaults, constants), names)  # our own text
        _CHECKED[function] = names["check"]
    return _CHECKED[function](**sizes)


def make_cost(metrics: "Mapping[str, int]", stage: str = "") -> Cost:
    """Return a cost of metrics by name; ``stage`` is what their names begin with."""
    return Cost([metrics[f"{stage}{name}"] for name in Cost._fields])


def cut(
    name: str, like: "Callable[Sizes, object]", module: str, *, steps: str | None = None, doc: str = ""
) -> "Callable[Sizes, Any]":
    """Return a function that takes and checks what another one does, and returns a part of what it computes.

    Parameters
    ----------
    name
        Of the function, and of what it returns: ``stages_metric`` of ``stages`` is one metric of its cost. Other names
        are those of steps, or begin the names of the six that are the metrics of a cost.
    module
        The name of the module that it is for.
    steps
        A module that has its steps, where the other one does not compute what it returns.

    Raises
    ------
    CostError
        If the package was installed without its text, and the other function does not compute what this one returns.
    """
    text: str = getattr(like, "source", "") or _read(like.__module__, like.__name__)
    names = {**vars(sys.modules[like.__module__]), **_HELPERS, "__name__": module}
    if text:
        text = _cut(name, text, like.__module__, steps)
        exec(compile(text, f"<{name}>", "exec"), names)  # our own text
    else:
        names[name] = _pick(name, like)
    function: Callable[Sizes, Any] = names[name]
    function.__doc__ = doc
    vars(function)["source"] = text
    return function


def cut_cost(name: str, like: "Callable[Sizes, object]", module: str) -> "Callable[Sizes, Cost]":
    """Return the function of a cost that another one computes among others."""
    return cut(name, like, module, doc=f"Return the cost of ``{name}``, of the same arguments as ``{like.__name__}``.")


def cut_metric(
    like: "Callable[Sizes, object]", metric: str, module: str, *, stage: str = "", steps: str | None = None
) -> "Callable[Sizes, int]":
    """Return the function of one metric of ``like``, or of a ``stage`` with the same sizes."""
    stage = stage or like.__name__
    doc = f"Return ``{metric}`` of ``{stage}`` with the same arguments."
    return cut(f"{stage}_{metric}", like, module, steps=steps, doc=doc)


def _pick(name: str, whole: "Callable[..., Any]") -> "Callable[..., Any]":
    """Return a function of a part of what another one returns."""
    stage = whole.__name__ if name.startswith(f"{whole.__name__}_") else name.partition("_")[0]
    metric = name.removeprefix(stage).removeprefix("_")
    if metric not in ("", *Cost._fields):
        raise CostError(f"{name} is made of the text of {whole.__module__}, which is not there")

    def pick(**sizes: "Any") -> "Any":
        found = whole(**sizes)
        cost = found if stage == whole.__name__ else getattr(found, stage)
        return getattr(cost, metric) if metric else cost

    pick.__name__ = pick.__qualname__ = name
    return pick


def _read(module: str, function: str) -> str:
    """Return the text of a function as it stands in the file of its module."""
    spec = sys.modules[module].__spec__
    origin = (spec and spec.origin) or ""
    read = getattr(spec and spec.loader, "get_data", None)  # get_source would import a tokenizer
    if not (read and origin.endswith(".py")):
        return ""
    text: str = read(origin).decode()
    start = text.find(f"\ndef {function}(") + 1
    text = text[start : text.find("\n\n\n", start)].rstrip() if start else ""
    return expand_checks(text, getattr(sys.modules[module], function).__kwdefaults__ or {})


def _import(module: str, steps: str) -> "Any":
    """Return the module of steps beside another one."""
    from importlib import import_module

    return import_module(f"{module.rpartition('.')[0]}.{steps}")


def _cut(name: str, text: str, module: str, steps: str | None) -> str:
    """Return the text of a function that checks what another one does, and takes of its steps what it needs."""
    head, _, body = text.partition(") -> ")
    function = head[len("def ") : head.index("(")]
    whole, _, body = body.partition(":\n")
    *statements, last = split_statements(body)
    if steps is None and last.startswith(COMPUTE):
        steps = last.split('"')[1]
    own = [read_step(statement) for statement in statements]
    shared = _read_shared(module, steps, own) if steps else []
    values = {target: value for target, value, _ in (*own, *shared)}
    every = _order(own, shared)
    if f"{name}_{Cost._fields[0]}" in values:
        result, returned = "Cost", _write_cost(name)
    elif name in values:
        result, returned = "int", values[name]
    elif last.startswith(COMPUTE) and whole == "Cost":
        raise CostError(f"{function} does not compute {name}")
    elif last.startswith(COMPUTE):  # a record of costs
        costs = map(_write_cost, getattr(sys.modules[module], whole)._fields)
        result, returned = whole, f"{whole}(({', '.join(costs)},))"
    elif name == function:
        result, returned = whole, last.strip().removeprefix("return ")
    elif name == f"{function}_{_FUSED}":
        result, returned = "int", values[_FUSED]
    else:
        metrics = last[last.index("((") + 2 : last.rindex("))")].split(",")
        result, returned = "int", metrics[Cost._fields.index(name.removeprefix(f"{function}_"))].strip()
    header = f"def {name}{head[len('def ') + len(function) :]}) -> {result}:\n"
    text = "".join([header, *keep_needed(every, returned), f"    return {returned}\n"])
    for start in ("check_again(", "check_again(\n        "):  # itself, in one line or in several
        text = text.replace(f"{start}{function}, ", f"{start}{name}, ", 1)
    return text


def _order(own: "list[Step]", shared: "list[Step]") -> "list[Step]":
    """Return the steps of a function and those of others, where what a check speaks of comes before it."""
    first = next((place for place, step in enumerate(own) if INTERMEDIATES.keys() & words_of(step[1])), len(own))
    needed = {*INTERMEDIATES} if first < len(own) else set()
    before: list[Step] = []
    for step in reversed(shared):
        if step[0] in needed:
            needed |= words_of(step[1])
            before.append(step)
    return [*own[:first], *reversed(before), *own[first:], *(step for step in shared if step not in before)]


def _write_cost(name: str) -> str:
    return f"Cost(({', '.join(f'{name}_{metric}' for metric in Cost._fields)}))"


def _read_shared(module: str, steps: str, own: "Iterable[Step]") -> "list[Step]":
    """Return the steps of a module; what a function computes itself has its name there."""
    text = _read(_import(module, steps).__name__, steps.lstrip("_"))
    *statements, _ = split_statements(text.partition(" -> dict[str, Bits]:\n")[2])
    names = {value: target for target, value, _ in own if target}
    known: dict[str, str] = {}
    shared = []
    for target, value, _ in map(read_step, statements[1:]):  # behind the docstring
        renamed = rename(value, known)
        first = names.setdefault(renamed, target)
        if first != target and target[1:].isdecimal():  # a step, no result
            known[target] = first
        shared.append((target, renamed, f"    {target} = {renamed}\n"))
    return shared
