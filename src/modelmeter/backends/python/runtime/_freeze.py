"""Evaluators for some sizes only: the others are put into the formulas once, and the rest is multiplied out."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from inspect import signature
from typing import Any, TypeVar, overload

from ._program import Node, Operation, Program, check_names, describe_routing, find_formulas, sizes_of, trace
from ._rules import BROKEN, broken_rule
from ._runtime import Bits, Cost, CostError, check_routing, check_size, routed_reads
from ._sizes import Size
from ._symbolic import enough_tokens

Result = TypeVar("Result")


class Frozen(partial[Result]):
    """A frozen evaluator: a function of the sizes that are left, and its source.

    Pickled, it is what was asked of :func:`freeze`, so that other processes make the same function anew.
    """

    source: str
    _asked: dict[str, Any]

    def __repr__(self) -> str:
        return f"<frozen {self.func.__name__}{signature(self)}; its code is in .source>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[dict[str, Any]]]:
        return _freeze_again, (self._asked,)


def _freeze_again(asked: dict[str, Any]) -> "Frozen[Any]":
    return freeze(**asked)


@overload
def freeze(
    stage: str,
    *,
    metric: None = None,
    free: Collection[str] | None = None,
    expert_routing: str = "uniform",
    **sizes: Bits,
) -> Frozen[Cost]: ...
@overload
def freeze(
    stage: str, *, metric: str, free: Collection[str] | None = None, expert_routing: str = "uniform", **sizes: Bits
) -> Frozen[int]: ...
def freeze(
    stage: str,
    *,
    metric: str | None = None,
    free: Collection[str] | None = None,
    expert_routing: str = "uniform",
    **sizes: Bits,
) -> Frozen[Cost] | Frozen[int]:
    """Return the evaluator of a stage with some sizes frozen.

    Sizes that follow from others do so unless they are given here or are in ``free``. What they alone follow from is
    then left out, unless it is given or in ``free`` too.

    Parameters
    ----------
    stage
        A stage, or ``"request"``.
    metric
        The only metric that is wanted; by default all of them.
    free
        The sizes that stay arguments; all others are frozen, at their defaults unless they are given. By default all
        sizes stay arguments that are not given and do not follow from others.
    expert_routing
        As in the functions of the stages.
    **sizes
        The sizes that are frozen. Storage widths may be fractions; those that stay arguments are integers.

    Returns
    -------
    Frozen
        A function with the same results as that of the stage. Its source is in ``source``. It can be pickled and
        copied.

    Raises
    ------
    TypeError
        If a size is not an integer, or not a size of the stage.
    CostError
        If a size is out of range, or sizes contradict each other, or there is no such stage or metric.
    """
    function, wanted = find_formulas(stage, metric)
    check_routing(expert_routing)
    parameters = sizes_of(function)
    check_names(stage, (*sizes, *(free or ())), parameters, describe_routing(function))
    known: dict[str, int | None] = {name: parameters[name].check(name, value) for name, value in sizes.items()}
    asked = {"stage": stage, "metric": metric, "free": free and tuple(free), "expert_routing": expert_routing, **known}
    if free is None:
        free = [
            name
            for name, size in parameters.items()
            if name not in known and size.default is not None and size.target not in known
        ]
    for name in free:
        if name in known:
            raise CostError(f"{name} is both frozen and free")
    open_sizes = dict.fromkeys([*known, *free])
    known |= {
        name: size.default if size.target not in open_sizes else None
        for name, size in parameters.items()
        if name not in open_sizes
    }
    formulas = trace(function, known, expert_routing)
    formulas = formulas._replace(metrics=formulas.metrics[wanted])
    name = stage if metric is None else f"{stage}_{metric}"
    frozen = [f"{name}={number(size)}" for name, size in known.items() if size is not None]
    defaults = {size: None if parameters[size].target in open_sizes else parameters[size].default for size in free}
    ordered = sorted(free, key=lambda name: (defaults[name] is not None, list(parameters).index(name)))
    sizes_left = {size: parameters[size]._replace(default=defaults[size]) for size in ordered}
    result = "Cost" if metric is None else "int"
    source = write_source(stage, name, sizes_left, frozen, formulas.program(), result)
    names: dict[str, Any] = {"Cost": Cost, "check_size": check_size, "broken_rule": broken_rule}
    names |= {"routed_reads": routed_reads, "__name__": __name__}
    # The text is made of our own formulas, and of integers and names that were checked.
    exec(compile(source, f"<frozen {name}>", "exec"), names)
    evaluator: Frozen[Cost] = Frozen(names[name])
    evaluator.__doc__ = names[name].__doc__
    evaluator.source = source
    evaluator._asked = asked
    return evaluator


def write_source(
    stage: str, name: str, sizes: Mapping[str, Size], frozen: list[str], program: Program, result: str
) -> str:
    """Return the source of a frozen evaluator, a function of ``sizes``."""
    defaults = {size: "" if what.default is None else f" = {what.default}" for size, what in sizes.items()}
    parameters = ", ".join(f"{size}: int{default}" for size, default in defaults.items())
    what = "the cost" if result == "Cost" else f"``{name.removeprefix(f'{stage}_')}``"
    docstring = [f'"""Return {what} of ``{stage}``, where these sizes are frozen.', "", *_wrap(frozen), '"""']
    lines = [f"def {name}({parameters}) -> {result}:", *(f"    {line}".rstrip() for line in docstring)]
    for size, bounds in sizes.items():
        lines += [
            f"    if not (type({size}) is int and {size} >= {bounds.minimum}):",
            f'        {size} = check_size("{size}", {size}, {bounds.minimum})',
        ]
    counts = Counter(operation for node in _nodes(program) for operation in _operations(node))
    written: dict[Node, str] = {}
    for step, operation in program.steps:
        lines += _shared(operation, counts, written)
        lines.append(f"    {step} = {show(operation, written)}")
    for check in program.checks:
        size, limit = show(check.size, written), show(check.limit, written)
        lines.append(f"    if {BROKEN[check.broken].format(size, limit)}:")
        sides = f'"{check.name}", {size}, "{check.limit_name}", {limit}'
        lines.append(f'        raise broken_rule("{check.broken}", {sides})')
    for node in program.metrics:
        lines += _shared(node, counts, written)
    metrics = [show(node, written) for node in program.metrics]
    if result == "int":
        return "\n".join([*lines, f"    return {metrics[0]}", ""])
    items = [f"            {metric},  # {field}" for metric, field in zip(metrics, Cost._fields, strict=True)]
    return "\n".join([*lines, "    return Cost(", "        (", *items, "        )", "    )", ""])


def show(node: Node, written: dict[Node, str]) -> str:
    """Return a node as Python, without parentheses around it.

    Parameters
    ----------
    written
        The names of operations that stand in earlier lines.
    """
    if node in written:
        return written[node]
    if isinstance(node, int):
        return number(node)
    if isinstance(node, str):
        return node
    operands = [show(operand, written) for operand in node.operands]
    atoms = [text if _is_atom(text) else f"({text})" for text in operands]
    if node.function == "+":
        return " + ".join(operands).replace("+ -", "- ")
    if node.function == "*":
        *factors, last = zip(node.operands, operands, atoms, strict=True)
        atoms = [atom for _, _, atom in factors]
        return " * ".join([last[1], *atoms] if isinstance(last[0], int) else [*atoms, last[2]])
    is_alone = node.function in ("abbreviate", "largest")
    return _CALLS[node.function](*(operands if is_alone else atoms), *map(str, node.constants))


_CALLS: dict[str, Callable[..., str]] = {
    "abbreviate": lambda a: a,
    "ceil_div": lambda a, divisor: f"-(-{a} // {divisor})",
    "floor_div": lambda a, divisor: f"{a} // {divisor}",
    "triangular": lambda n: f"{n} * ({n} + 1) // 2",
    "differs": lambda a, b: f"1 if {a} != {b} else 0",
    "equals": lambda a, b: f"1 if {a} == {b} else 0",
    "exceeds": lambda a, b: f"1 if {a} > {b} else 0",
    "largest": lambda *operands: f"max({', '.join(operands)})",
    "routed_reads": lambda *operands: _show_reads(*operands),
}


def _show_reads(tokens: str, *constants: str) -> str:
    """Return the call, after a comparison: so many tokens read every expert for sure."""
    experts, per_token, fixed, growth = map(int, constants[:4])
    weights, everything = (
        f"{tokens} * {count * growth} + {count * fixed}".removesuffix(" + 0") if growth else str(count * fixed)
        for count in (1, experts)
    )
    call = f'routed_reads({experts}, {per_token}, {tokens}, {weights}, "{constants[4]}")'
    return f"{everything} if {tokens} > {enough_tokens(experts, per_token, fixed, growth)} else {call}"


def number(value: int) -> str:
    """Return an integer as Python; a long one in hexadecimal, which has no limit on its digits."""
    return str(value) if abs(value) < 2**1024 else hex(value)


def _is_atom(text: str) -> bool:
    return text.isidentifier() or text.isalnum()


def _wrap(frozen: list[str]) -> Iterator[str]:
    from textwrap import wrap

    yield from wrap(", ".join(frozen) or "none", 100)


def _nodes(program: Program) -> list[Node]:
    """Return all nodes; calls are steps and have a name already."""
    checks = [node for check in program.checks for node in (check.size, check.limit)]
    return [*(operand for _, step in program.steps for operand in step.operands), *checks, *program.metrics]


def _operations(node: Node) -> Iterator[Operation]:
    if isinstance(node, Operation):
        yield node
        for operand in node.operands:
            yield from _operations(operand)


def _shared(node: Node, counts: Counter[Operation], written: dict[Node, str]) -> list[str]:
    """Return assignments of the operations in a node that occur elsewhere too, and remember their names."""
    if not isinstance(node, Operation) or node in written:
        return []
    lines = [line for operand in node.operands for line in _shared(operand, counts, written)]
    if counts[node] > 1:
        text = show(node, written)
        written[node] = f"y{len(written) + 1}"
        lines.append(f"    {written[node]} = {text}")
    return lines
