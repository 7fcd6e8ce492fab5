"""Functions of the generated package: checks, steps and results as lines of Python."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.algebra.program import Program, split
from modelmeter.backends.python.checks import check_rule, check_size, check_widths, derive
from modelmeter.backends.python.printer import StatementPrinter
from modelmeter.backends.python.signature import IMAGE_TOKENS, ROUTING, Signature


@frozen(kw_only=True)
class Function:
    """A function of the generated package.

    Parameters
    ----------
    summary, notes
        The first line of its docstring, and the next paragraph.
    body
        Its lines after the docstring.
    result
        Its return type.
    operations
        Integer operations of one call, checks apart.
    """

    name: str
    summary: str
    notes: str
    signature: Signature
    body: tuple[str, ...]
    result: str
    operations: int


def write_cost(
    name: str,
    signature: Signature,
    program: Program,
    results: Mapping[str, str],
    guards: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Return the lines of the function ``name``, which returns a ``Cost``.

    Parameters
    ----------
    results
        The output of ``program`` for each metric.
    guards
        Outputs that must not be negative, each with its formula for the error.
    """
    printer = begin(name, signature, program, guards or {})
    _write_cost(printer, program, results, "return")
    return tuple(printer.lines)


def write_metric(
    name: str,
    signature: Signature,
    program: Program,
    *,
    result: str = "",
    guards: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Return the lines of the function ``name``, which returns one output: by default that of its own name.

    ``guards`` are as of :func:`write_cost`.
    """
    printer = begin(name, signature, program, guards or {})
    (output,) = (output for output in program.outputs if output.name == (result or name))
    printer.give_back(output.numerator, output.denominator)
    return tuple(printer.lines)


def write_stages(
    name: str, signature: Signature, program: Program, results: Mapping[str, Mapping[str, str]]
) -> tuple[str, ...]:
    """Return the lines of the function ``name``, which returns a ``Cost`` for each stage."""
    printer = begin(name, signature, program, {})
    for stage, outputs in results.items():
        _write_cost(printer, program, outputs, f"{stage} =")
    return (*printer.lines, f"    return Stages(({', '.join(results)}))")


def begin(name: str, signature: Signature, program: Program, guards: Mapping[str, str]) -> StatementPrinter:
    """Print the checks and the steps of the function ``name``."""
    printer = StatementPrinter()
    lines = printer.lines
    for parameter in signature.parameters:
        if parameter.derivation is None and not parameter.may_be_fraction:
            lines += check_size(parameter)
    lines += check_widths(name, [parameter for parameter in signature.parameters if parameter.may_be_fraction])
    if signature.has_routing:
        lines += [f'    if {ROUTING} != "uniform":', f"        check_routing({ROUTING})"]
    late = {parameter.name for parameter in signature.parameters if parameter.derivation} | {IMAGE_TOKENS}
    rules = signature.rules()
    for rule in rules:
        if not rule.names & late:
            lines += check_rule(rule, signature)

    outputs = {output.name: output for output in program.outputs}
    first, rest = split(program, *guards, *([IMAGE_TOKENS] if signature.image_tokens else []))
    printer.assign_steps(first)
    for guard, formula in guards.items():
        printer.test(outputs[guard].numerator, "< 0", f'raise CostError("the sizes make {formula} negative")')
    if signature.image_tokens:
        printer.assign(IMAGE_TOKENS, outputs[IMAGE_TOKENS].numerator)
    for parameter in signature.parameters:
        if parameter.derivation is not None:
            lines += derive(parameter, parameter.derivation, signature)
    for rule in rules:
        if rule.names & late:
            lines += check_rule(rule, signature)
    printer.assign_steps(rest)
    return printer


def _write_cost(printer: StatementPrinter, program: Program, results: Mapping[str, str], start: str) -> None:
    outputs = {output.name: output for output in program.outputs}
    for metric, name in results.items():
        printer.assign(metric, outputs[name].numerator, outputs[name].denominator)
    printer.lines.append(f"    {start} Cost(({', '.join(results)}))")
