"""Functions of the generated package: checks, steps and results as lines of Python."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from attrs import evolve, frozen

from modelmeter.algebra.program import Program, join_programs
from modelmeter.backends.python.checks import check_by_table, check_rule, check_sizes, derive
from modelmeter.backends.python.limits import Limits
from modelmeter.backends.python.parameters import write_argument
from modelmeter.backends.python.printer import LINE_LENGTH, StatementPrinter, fill_lines, write_signature
from modelmeter.backends.python.runtime._checks import MAKE_COST
from modelmeter.dimensions.functions import RoutedReads
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.evaluators.breakdown import Table
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, StageCosts, Values
from modelmeter.evaluators.signature import ROUTING, Signature
from modelmeter.metrics.metric import METRICS
from modelmeter.support.errors import FormulaError

SHARED_STEP = "y"
"""What shared steps are named by, so that a function has room for steps of its own."""


@frozen(kw_only=True)
class Function:
    """A function of the generated package.

    Parameters
    ----------
    docstring, body
        Its lines after the header.
    result
        Its return type.
    """

    name: str
    signature: Signature
    docstring: tuple[str, ...]
    body: tuple[str, ...]
    result: str

    @property
    def text(self) -> str:
        """The whole function."""
        arguments = [f"{write_argument(size)}," for size in self.signature.parameters]
        routing = [f'{ROUTING}: str = "uniform",'] if self.signature.has_routing else []
        return "\n".join(
            [
                *write_signature(self.name, [*arguments, *routing], self.result),
                *self.docstring,
                *self.body,
            ]
        )


def print_function(evaluator: Evaluator, limits: Limits | None = None, *, beside: Evaluator | None = None) -> Function:
    """Return an evaluator as a function on integers.

    Parameters
    ----------
    limits
        With them its checks stand in a table where they can.
    beside
        Another one of the same sizes, of one metric: a function of it is cut out of the text of this one.
    """
    if beside is None:
        return _make_function(evaluator, *_print_body(evaluator, limits))
    joined = evolve(evaluator, program=join_programs(evaluator.program, beside.program))
    lines, result = _print_body(joined, limits, [*beside.result.outputs])
    return _make_function(evaluator, lines, result)


def print_steps(name: str, program: Program, dimensions: Dimensions, doc: str) -> str:
    """Return a function of all steps that several functions share, which are cut out of its text for each of them."""
    printer = StatementPrinter(SHARED_STEP)
    printer.assign_steps(program.steps)
    for output in program.outputs:
        printer.assign(output.name, output.numerator, output.denominator)
    arguments = [f"{size}: {'Bits' if size in dimensions.storage else 'int'}," for size in program.inputs]
    routing = [f"{ROUTING}: str,"] if program.calls(RoutedReads.__name__) else []
    header = write_signature(name, [*arguments, *routing], "dict[str, Bits]")
    return "\n".join([*header, f'    """{doc}"""', *printer.lines, "    return locals()"])


def print_table(table: Table, limits: Limits) -> Function:
    """Return the function of a table, which returns a record for each row: a line of numbers each."""
    evaluator = table.evaluator
    printer = _write_prologue(evaluator, limits)
    cells = [printer.print_cell(output.numerator, output.denominator) for output in evaluator.program.outputs]
    lines = [*printer.lines, f'    return fill_{table.kind}("{table.stage}", (']
    for place in range(len(table.keys)):
        row = cells[place * table.width : (place + 1) * table.width]
        lines += fill_lines([f"{cell}," for cell in row], " " * 8)
    return _make_function(evaluator, [*lines, "    ))"], f"tuple[{table.record}, ...]")


def _make_function(evaluator: Evaluator, body: list[str], result: str) -> Function:
    return Function(
        name=evaluator.name,
        signature=evaluator.signature,
        docstring=tuple(write_docstring(evaluator)),
        body=tuple(body),
        result=result,
    )


def write_docstring(evaluator: Evaluator) -> list[str]:
    """Return what a function is for, and of how many operations it is made."""
    count = evaluator.operations
    rest = " ".join(filter(None, (evaluator.notes, f"{count} operation{'s' if count != 1 else ''}.")))
    line = f'    """{evaluator.summary} {rest}"""'
    if len(line) <= LINE_LENGTH:
        return [line]
    lines = textwrap.wrap(rest, LINE_LENGTH - 4, break_long_words=False, break_on_hyphens=False)
    return [f'    """{evaluator.summary}', "", *(f"    {line}" for line in lines), '    """']


def _print_body(evaluator: Evaluator, limits: Limits | None, beside: Sequence[str] = ()) -> tuple[list[str], str]:
    """Return the lines of a function, and the type of its result; outputs ``beside`` are computed, but not returned."""
    signature = evaluator.signature
    if evaluator.shared is not None and limits is not None and limits.cover(signature) and limits.cover_late(signature):
        return [_print_call(evaluator, evaluator.shared, limits)], _name_result(evaluator)
    printer = _write_prologue(evaluator, limits)
    for name in beside:
        output = evaluator.output(name)
        printer.assign(name, output.numerator, output.denominator)
    match evaluator.result:
        case OneCost() as cost:
            _print_cost(
                printer, evaluator, cost, "return", by_table=limits is not None and limits.cover(evaluator.signature)
            )
            return printer.lines, "Cost"
        case StageCosts(stages):
            for stage, cost in stages.items():
                names = {name: name for name in cost.outputs.values()}
                _print_cost(printer, evaluator, OneCost(names), f"{stage} =")
            return [
                *printer.lines,
                f"    return Stages(({', '.join(stages)}{',' if len(stages) == 1 else ''}))",
            ], "Stages"
        case OneValue(_, name):
            output = evaluator.output(name)
            is_width = any(size.may_be_fraction for size in evaluator.signature.parameters)
            printer.write_return(output.numerator, output.denominator, rounds=is_width)
            return printer.lines, "int"
        case Values():
            raise FormulaError("a function of several numbers is printed as a table", place=evaluator.name)


def _print_call(evaluator: Evaluator, steps: str, limits: Limits) -> str:
    """Return the only line of a function whose checks stand in tables, and its steps with those of others."""
    arguments = [evaluator.name, f'"_{steps}"', "locals()"]
    arguments += [] if limits.has_architecture(evaluator.signature) else ["{}"]
    arguments += [f"{name}={size}" for name, size in evaluator.cancelled.items()]
    return f"    return compute({', '.join(arguments)})"


def _name_result(evaluator: Evaluator) -> str:
    return {OneCost: "Cost", StageCosts: "Stages"}.get(type(evaluator.result), "int")


def _print_cost(
    printer: StatementPrinter, evaluator: Evaluator, cost: OneCost, start: str, *, by_table: bool = False
) -> None:
    for metric, name in cost.outputs.items():
        output = evaluator.output(name)
        printer.assign(metric, output.numerator, output.denominator)
    if by_table and (*cost.outputs,) == METRICS:
        printer.lines.append(f"    {start} {MAKE_COST}")
        return
    names = [*(f"{metric}," for metric in cost.outputs)]
    line = f"    {start} Cost(({' '.join(names).removesuffix(',')}))"
    fits = len(line) <= LINE_LENGTH
    printer.lines += [line] if fits else [f"    {start} Cost((", *fill_lines(names, " " * 8), "    ))"]


def _write_prologue(evaluator: Evaluator, limits: Limits | None) -> StatementPrinter:
    """Print the checks and the steps of a function."""
    printer = StatementPrinter()
    lines = printer.lines
    signature = evaluator.signature
    if limits is not None and limits.cover(signature):
        lines += check_by_table(evaluator.name, limits, signature)
    else:
        lines += check_sizes(evaluator.name, signature)
        if signature.has_routing:
            lines += [f'    if {ROUTING} != "uniform":', f"        check_routing({ROUTING})"]
        for rule in signature.early_rules:
            lines += check_rule(rule, signature)
    lines += [f"    {name} = {size}" for name, size in evaluator.cancelled.items()]
    first, rest = evaluator.split_steps()
    printer.assign_steps(first)
    for guard, formula in evaluator.guards.items():
        refusal = f'raise CostError("the sizes make {formula} negative")'
        printer.write_guard(evaluator.output(guard).numerator, "< 0", refusal)
    for name in signature.intermediates:
        printer.assign(name, evaluator.output(name).numerator)
    for parameter in signature.parameters:
        if parameter.derivation is not None:
            lines += derive(parameter, signature)
    for rule in signature.late_rules:
        lines += check_rule(rule, signature)
    printer.assign_steps(rest)
    return printer
