"""Functions of the generated package: checks, steps and results as lines of Python."""

from __future__ import annotations

import json

from attrs import frozen

from modelmeter.backends.python.checks import check_rule, check_size, check_widths, derive
from modelmeter.backends.python.printer import StatementPrinter
from modelmeter.evaluators.breakdown import Table
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, StageCosts, Values
from modelmeter.evaluators.signature import ROUTING, Signature
from modelmeter.support.errors import FormulaError


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


def print_function(evaluator: Evaluator) -> Function:
    """Return an evaluator as a function on integers."""
    return _make_function(evaluator, *_print_body(evaluator))


def print_table(table: Table) -> Function:
    """Return the function of a table, which returns a record for each row."""
    evaluator = table.evaluator
    printer = _write_prologue(evaluator)
    cells = []
    for output in evaluator.program.outputs:
        if isinstance(output.numerator, int) and output.denominator == 1:
            cells.append(str(output.numerator))
        else:
            printer.assign(output.name, output.numerator, output.denominator)
            cells.append(output.name)
    lines = [*printer.lines, "    return ("]
    for place, key in enumerate(table.keys):
        row = cells[place * table.width : (place + 1) * table.width]
        lines += [
            f"        {table.record}(",
            *(f"            {cell}," for cell in (*map(quote, key), *row)),
            "        ),",
        ]
    return _make_function(evaluator, [*lines, "    )"], f"tuple[{table.record}, ...]")


def quote(text: str) -> str:
    """Return a Python literal of a module path or an operator's name."""
    return json.dumps(text)  # ASCII, in double quotes: Python reads it the same


def _make_function(evaluator: Evaluator, body: list[str], result: str) -> Function:
    return Function(
        name=evaluator.name,
        summary=evaluator.summary,
        notes=evaluator.notes,
        signature=evaluator.signature,
        body=tuple(body),
        result=result,
        operations=evaluator.operations,
    )


def _print_body(evaluator: Evaluator) -> tuple[list[str], str]:
    """Return the lines of a function, and the type of its result."""
    printer = _write_prologue(evaluator)
    match evaluator.result:
        case OneCost() as cost:
            _print_cost(printer, evaluator, cost, "return")
            return printer.lines, "Cost"
        case StageCosts(stages):
            for stage, cost in stages.items():
                _print_cost(printer, evaluator, cost, f"{stage} =")
            return [*printer.lines, f"    return Stages(({', '.join(stages)}))"], "Stages"
        case OneValue(_, name):
            output = evaluator.output(name)
            printer.write_return(output.numerator, output.denominator)
            return printer.lines, "int"
        case Values():
            raise FormulaError("a function of several numbers is printed as a table", place=evaluator.name)


def _print_cost(printer: StatementPrinter, evaluator: Evaluator, cost: OneCost, start: str) -> None:
    for metric, name in cost.outputs.items():
        output = evaluator.output(name)
        printer.assign(metric, output.numerator, output.denominator)
    printer.lines.append(f"    {start} Cost(({', '.join(cost.outputs)}))")


def _write_prologue(evaluator: Evaluator) -> StatementPrinter:
    """Print the checks and the steps of a function."""
    printer = StatementPrinter()
    lines = printer.lines
    signature = evaluator.signature
    for parameter in signature.parameters:
        if parameter.derivation is None and not parameter.may_be_fraction:
            lines += check_size(parameter)
    lines += check_widths(evaluator.name, [size for size in signature.parameters if size.may_be_fraction])
    if signature.has_routing:
        lines += [f'    if {ROUTING} != "uniform":', f"        check_routing({ROUTING})"]
    for rule in signature.early_rules:
        lines += check_rule(rule, signature)
    first, rest = evaluator.split_steps()
    printer.assign_steps(first)
    for guard, formula in evaluator.guards.items():
        refusal = f'raise CostError("the sizes make {formula} negative")'
        printer.test(evaluator.output(guard).numerator, "< 0", refusal)
    for name in signature.intermediates:
        printer.assign(name, evaluator.output(name).numerator)
    for parameter in signature.parameters:
        if parameter.derivation is not None:
            lines += derive(parameter, parameter.derivation, signature)
    for rule in signature.late_rules:
        lines += check_rule(rule, signature)
    printer.assign_steps(rest)
    return printer
