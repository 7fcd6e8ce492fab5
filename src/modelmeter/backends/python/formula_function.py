"""Functions of the generated package that hold for unknown sizes too: arrays and frozen evaluators come from them."""

from __future__ import annotations

from attrs import frozen

from modelmeter.backends.python.checks import fill_source
from modelmeter.backends.python.printer import FORMULAS, StatementPrinter, print_node
from modelmeter.core.size_rules import Rule
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, Result, StageCosts, Values
from modelmeter.evaluators.signature import Derivation, Signature


@frozen(kw_only=True)
class FormulaFunction:
    """A stage, or all of them, as a function of sizes that may be unknown.

    Parameters
    ----------
    result
        What the metrics make: a ``"Cost"``, ``"Stages"``, ``"Rows"``, or one ``"Array"``.
    """

    name: str
    summary: str
    signature: Signature
    body: tuple[str, ...]
    result: str


def print_formula(evaluator: Evaluator) -> FormulaFunction:
    """Return an evaluator as a function of sizes that may be unknown; it returns a tuple of metrics."""
    printer = StatementPrinter(FORMULAS)
    lines = printer.lines
    signature = evaluator.signature
    lines += [_check_rule(rule, signature) for rule in signature.early_rules]
    first, rest = evaluator.split_steps()
    printer.assign_steps(first)
    for guard, formula in evaluator.guards.items():
        printer.call("not_negative", formula, evaluator.output(guard).numerator)
    for name in signature.intermediates:
        printer.assign(name, evaluator.output(name).numerator)
    for size in signature.parameters:
        if size.derivation is not None:
            lines += _derive(size.name, size.derivation, signature)
    lines += [_check_rule(rule, signature) for rule in signature.late_rules]
    printer.assign_steps(rest)
    results = evaluator.result.outputs
    for metric, name in results.items():
        output = evaluator.output(name)
        printer.assign(metric, output.numerator, output.denominator)
    if len(results) > 1:
        lines += ["    return (", *(f"        {metric}," for metric in results), "    )"]
    else:
        lines += [f"    return ({metric},)" for metric in results]
    return FormulaFunction(
        name=evaluator.name,
        summary=evaluator.summary,
        signature=signature,
        body=tuple(lines),
        result=_name_result(evaluator.result),
    )


def _name_result(result: Result) -> str:
    match result:
        case OneCost():
            return "Cost"
        case StageCosts():
            return "Stages"
        case OneValue():
            return "Array"
        case Values():
            return "Rows"


def _derive(name: str, derivation: Derivation, signature: Signature) -> list[str]:
    """Return what fills in a size that is not given, or else compares it with what it would follow from."""
    code = print_node(derivation.node, FORMULAS)
    lines = [f"    if {name} is None:", *fill_source(derivation, signature)]
    lines.append(f"        {name} = abbreviate({code})")
    if derivation.source is not None:
        lines += [
            f"    elif {derivation.source} is not None:",
            f'        agree("{name}", {name}, "{derivation.formula}", {code})',
        ]
    return lines


def _check_rule(rule: Rule, signature: Signature) -> str:
    a, b = signature.operand(rule.a), signature.operand(rule.b)
    if rule.relation == "at_most":
        return f'    at_most("{rule.a}", {a}, "{rule.b}", {b})'
    factor = "" if rule.relation == "divides" else "2 * "
    return f'    multiple_of("{rule.b}", {b}, "{factor}{rule.a}", {factor}{a})'
