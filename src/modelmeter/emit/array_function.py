"""Functions of the generated package over arrays: a public one that converts, and a kernel that computes."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.emit.function import IMAGE_TOKENS, ROUTING, Signature
from modelmeter.emit.printer import ARRAYS, BOUNDS, StatementPrinter
from modelmeter.emit.spec import Rule
from modelmeter.errors import FormulaError
from modelmeter.functions import RoutedReads
from modelmeter.program import Program, split


@frozen(kw_only=True)
class Helper:
    """A private function: its parameters, its return type and its lines."""

    name: str
    parameters: tuple[str, ...]
    result: str
    body: tuple[str, ...]


@frozen(kw_only=True)
class ArrayFunction:
    """A public function over arrays, and the private ones behind it."""

    name: str
    summary: str
    signature: Signature
    body: tuple[str, ...]
    helpers: tuple[Helper, ...]


def write_array_function(
    name: str,
    summary: str,
    signature: Signature,
    program: Program,
    results: Mapping[str, str],
    *,
    tokens_bound: Program | None,
    bound: Program,
) -> ArrayFunction:
    """Return a function that returns a ``Cost`` of arrays.

    Parameters
    ----------
    results
        The output of ``program`` for each metric.
    tokens_bound, bound
        The largest number on the way to the image tokens, where there are any, and to the metrics.
    """
    bounds = {f"_{name}_tokens_bound": tokens_bound, f"_{name}_bound": bound}
    known = {helper: program for helper, program in bounds.items() if program is not None}
    routing = (f"{ROUTING}: str",) if signature.has_routing else ()
    kernel = Helper(
        name=f"_{name}",
        parameters=(*(f"{size.name}: Integers" for size in signature.parameters), *routing),
        result="Cost",
        body=_write_kernel(signature, program, results, known),
    )
    return ArrayFunction(
        name=name,
        summary=summary,
        signature=signature,
        body=_write_conversion(kernel.name, signature),
        helpers=(kernel, *(_write_bound(helper, program) for helper, program in known.items())),
    )


def _write_conversion(kernel: str, signature: Signature) -> tuple[str, ...]:
    """Return the lines of a public function: every size as an int or an array of int64, then the kernel."""
    sizes = [f'as_size("{size.name}", {size.name}, {size.minimum})' for size in signature.parameters]
    return _call(f"    return {kernel}", [*sizes, *([f"as_routing({ROUTING})"] if signature.has_routing else [])])


def _write_kernel(
    signature: Signature, program: Program, results: Mapping[str, str], bounds: Mapping[str, Program]
) -> tuple[str, ...]:
    """Return the lines of a kernel; the last of ``bounds`` is that of the metrics."""
    printer = StatementPrinter(ARRAYS)
    lines = printer.lines
    outputs = {output.name: output for output in program.outputs}
    late = {size.name for size in signature.parameters if size.derivation} | {IMAGE_TOKENS}
    rules = signature.rules()
    lines += _call("    shape = shape_of", [size.name for size in signature.parameters])
    lines += [_check_rule(rule, signature) for rule in rules if not {rule.a, rule.b} & late]
    (*before_tokens, before_metrics) = bounds.items()
    first, rest = split(program, *([IMAGE_TOKENS] if signature.image_tokens else []))
    if signature.image_tokens:
        lines += [line for name, bound in before_tokens for line in _check_bound(name, bound)]
        printer.assign_steps(first)
        printer.assign(IMAGE_TOKENS, outputs[IMAGE_TOKENS].numerator)
    for size in signature.parameters:
        if size.derivation is not None:
            lines += [f"    if {size.name} is None:", f"        {size.name} = {size.derivation.code}"]
    lines += [_check_rule(rule, signature) for rule in rules if {rule.a, rule.b} & late]
    lines += _check_bound(*before_metrics)
    printer.assign_steps(rest)
    for metric, name in results.items():
        printer.assign(metric, outputs[name].numerator, outputs[name].denominator)
    lines += [f"    return as_cost(shape, {', '.join(results)})"]
    return tuple(lines)


def _write_bound(name: str, program: Program) -> Helper:
    """Return a function that returns the only output of ``program``."""
    printer = StatementPrinter(BOUNDS)
    printer.assign_steps(program.steps)
    (output,) = program.outputs
    printer.give_back(output.numerator)
    routing = (f"{ROUTING}: str",) if program.calls(RoutedReads.__name__) else ()
    parameters = (*(f"{size}: int" for size in program.inputs), *routing)
    return Helper(name=name, parameters=parameters, result="int", body=tuple(printer.lines))


def _check_rule(rule: Rule, signature: Signature) -> str:
    if rule.relation != "at_most":
        raise FormulaError("arrays have no check for this rule", found=rule)
    a, b = signature.operand(rule.a), signature.operand(rule.b)
    return f'    check_at_most("{rule.a}", {a}, "{rule.b}", {b})'


def _check_bound(name: str, bound: Program) -> list[str]:
    arguments = [f"largest_of({size})" for size in bound.inputs]
    if bound.calls(RoutedReads.__name__):
        arguments.append(ROUTING)
    return [*_call(f"    bound = {name}", arguments), "    check_fits(bound)"]


def _call(start: str, arguments: list[str]) -> tuple[str, ...]:
    """Return a call, in a line if it is short enough."""
    line = f"{start}({', '.join(arguments)})"
    if len(line) <= 100:
        return (line,)
    return (f"{start}(", *(f"        {argument}," for argument in arguments), "    )")
