"""Functions of the generated package that hold for unknown sizes too: arrays and frozen evaluators come from them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from modelmeter.algebra.program import Program, split
from modelmeter.backends.python.checks import fill_source
from modelmeter.backends.python.printer import FORMULAS, StatementPrinter
from modelmeter.backends.python.signature import IMAGE_TOKENS, Derivation, Signature
from modelmeter.core.size_rules import Rule


@frozen(kw_only=True)
class FormulaFunction:
    """A stage, or all of them, as a function of sizes that may be unknown.

    Parameters
    ----------
    result
        What the metrics make: a ``"Cost"``, ``"Stages"``, or one ``"Array"``.
    """

    name: str
    summary: str
    signature: Signature
    body: tuple[str, ...]
    result: str


def write_formula_function(
    name: str,
    summary: str,
    signature: Signature,
    program: Program,
    results: Mapping[str, str],
    *,
    result: str = "Cost",
    guards: Mapping[str, str] = MappingProxyType({}),
) -> FormulaFunction:
    """Return a function that returns a tuple of metrics.

    Parameters
    ----------
    results
        The output of ``program`` for each metric.
    result
        What the metrics make.
    guards
        Outputs that must not be negative, each with its formula for the error.
    """
    printer = StatementPrinter(FORMULAS)
    lines = printer.lines
    outputs = {output.name: output for output in program.outputs}
    late = {size.name for size in signature.parameters if size.derivation} | {IMAGE_TOKENS}
    rules = signature.rules()
    lines += [_check_rule(rule, signature) for rule in rules if not rule.names & late]
    first, rest = split(program, *guards, *([IMAGE_TOKENS] if signature.image_tokens else []))
    printer.assign_steps(first)
    for guard, formula in guards.items():
        printer.call("not_negative", formula, outputs[guard].numerator)
    if signature.image_tokens:
        printer.assign(IMAGE_TOKENS, outputs[IMAGE_TOKENS].numerator)
    for size in signature.parameters:
        if size.derivation is not None:
            lines += _derive(size.name, size.derivation, signature)
    lines += [_check_rule(rule, signature) for rule in rules if rule.names & late]
    printer.assign_steps(rest)
    for metric, output in results.items():
        printer.assign(metric, outputs[output].numerator, outputs[output].denominator)
    if len(results) > 1:
        lines += ["    return (", *(f"        {metric}," for metric in results), "    )"]
    else:
        lines += [f"    return ({metric},)" for metric in results]
    return FormulaFunction(name=name, summary=summary, signature=signature, body=tuple(lines), result=result)


def _derive(name: str, derivation: Derivation, signature: Signature) -> list[str]:
    """Return what fills in a size that is not given, or else compares it with what it would follow from."""
    lines = [f"    if {name} is None:", *fill_source(derivation, signature)]
    lines.append(f"        {name} = abbreviate({derivation.code})")
    if derivation.source is not None:
        lines += [
            f"    elif {derivation.source} is not None:",
            f'        agree("{name}", {name}, "{derivation.code}", {derivation.code})',
        ]
    return lines


def _check_rule(rule: Rule, signature: Signature) -> str:
    a, b = signature.operand(rule.a), signature.operand(rule.b)
    if rule.relation == "at_most":
        return f'    at_most("{rule.a}", {a}, "{rule.b}", {b})'
    factor = "" if rule.relation == "divides" else "2 * "
    return f'    multiple_of("{rule.b}", {b}, "{factor}{rule.a}", {factor}{a})'
