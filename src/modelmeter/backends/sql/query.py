"""The parts of a query that evaluates one evaluator for each row of a table."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import field, frozen

from modelmeter.algebra.program import PRODUCT, Operation, Program, names_in, rename, select
from modelmeter.backends.sql.dialects import Dialect
from modelmeter.backends.sql.printer import ExpressionPrinter, step_name
from modelmeter.dimensions.size_rules import Rule
from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.signature import Parameter, Signature
from modelmeter.support.errors import FormulaError

Column = tuple[str, str]
"""A name and an expression."""


@frozen(kw_only=True)
class Query:
    """An evaluator as columns, in an order in which each is made of those before it.

    Parameters
    ----------
    evaluator
        What it computes.
    derived
        The sizes that are never given, each with its own steps before it, by levels.
    follows
        The sizes that follow from others where they are not given, in order: name and expression.
    rules
        What must hold, each with a message.
    levels
        Steps by level: those of a level need no other of the same one.
    outputs
        The metrics.
    """

    evaluator: Evaluator
    parameters: tuple[Parameter, ...]
    has_routing: bool
    derived: tuple[tuple[Column, ...], ...] = field(factory=tuple)
    follows: tuple[tuple[Parameter, str], ...] = field(factory=tuple)
    rules: tuple[tuple[str, str], ...] = field(factory=tuple)
    levels: tuple[tuple[Column, ...], ...] = field(factory=tuple)
    outputs: tuple[Column, ...] = field(factory=tuple)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sizes that are only there for another, of which is remembered whether they were given."""
        return tuple(parameter.name for parameter in self.parameters if parameter.target)

    def describe_default(self, parameter: Parameter) -> str:
        """Return what a size is that is not given, as a sentence after others; nothing where these say it."""
        if parameter.name in self.evaluator.signature.constants:
            return f" Only {parameter.default}: the reads of experts are a table."
        return "" if parameter.is_optional else f" By default {parameter.default}."


def make_query(evaluator: Evaluator, dialect: Dialect) -> Query:
    """Return the parts of the query.

    Raises
    ------
    FormulaError
        If the evaluator cannot be exact in this database.
    """
    signature = evaluator.signature
    derived = [
        level
        for name in signature.intermediates
        for level in _list_derived(select(evaluator.program, name), name, dialect)
    ]
    names = evaluator.result.outputs
    program = select(evaluator.program, *names.values())
    printer = ExpressionPrinter(dialect, frozenset(name for name, _ in program.steps))
    by_output = {output.name: output for output in program.outputs}
    return Query(
        evaluator=evaluator,
        parameters=signature.parameters,
        has_routing=signature.has_routing,
        derived=tuple(derived),
        follows=tuple(_list_following(signature, dialect)),
        rules=(
            *_list_constant_rules(signature, dialect),
            *(_write_rule(rule, signature, dialect) for rule in signature.rules),
            *(_write_guard(evaluator, name, dialect) for name in evaluator.guards),
        ),
        levels=_list_levels(program, printer),
        outputs=tuple(
            (metric, printer.print_quotient(by_output[output].numerator, by_output[output].denominator))
            for metric, output in names.items()
        ),
    )


def _list_levels(program: Program, printer: ExpressionPrinter, prefix: str = "") -> tuple[tuple[Column, ...], ...]:
    """Return the steps of a program by level."""
    level_of: dict[str, int] = {}
    levels: list[list[Column]] = []
    for name, node in program.steps:
        level = max((level_of[inner] + 1 for inner in names_in(node) if inner in level_of), default=0)
        level_of[name] = level
        if level == len(levels):
            levels.append([])
        levels[level].append((step_name(prefix + name), printer.print(node)))
    return tuple(map(tuple, levels))


def _list_derived(program: Program, name: str, dialect: Dialect) -> Iterator[tuple[Column, ...]]:
    """Yield the levels of the steps of a derived size, then the size."""
    renamed = _rename_steps(program, f"{name}_")
    printer = ExpressionPrinter(dialect, frozenset(step for step, _ in renamed.steps))
    yield from _list_levels(renamed, printer)
    (output,) = renamed.outputs
    yield ((name, printer.print_quotient(output.numerator, output.denominator)),)


def _rename_steps(program: Program, prefix: str) -> Program:
    """Return a program with other names for its steps, so that they stand beside those of another one."""
    new = {name: f"{prefix}{name}" for name, _ in program.steps}
    return Program(
        inputs=program.inputs,
        steps=tuple((new[name], rename(node, new)) for name, node in program.steps),
        outputs=tuple(output._replace(numerator=rename(output.numerator, new)) for output in program.outputs),
    )


def _list_following(signature: Signature, dialect: Dialect) -> Iterator[tuple[Parameter, str]]:
    printer = ExpressionPrinter(dialect)
    for parameter in signature.parameters:
        if parameter.derivation is not None:
            yield parameter, printer.print(parameter.derivation.node)


def _list_constant_rules(signature: Signature, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield the rules of parameters that are numbers in the program: they have this value, or the query ends."""
    for parameter in signature.parameters:
        if parameter.name in signature.constants:
            value = signature.constants[parameter.name]
            yield f"{parameter.name} = {dialect.write_literal(value)}", f"{parameter.name} can only be {value}"


def _write_guard(evaluator: Evaluator, name: str, dialect: Dialect) -> tuple[str, str]:
    """Return the condition that a difference of sizes is not negative, and what is said where it is."""
    program = select(evaluator.program, name)
    if program.steps:
        raise FormulaError("a guard that has steps has no SQL", place=evaluator.name, found=evaluator.guards[name])
    (output,) = program.outputs
    condition = f"({ExpressionPrinter(dialect).print(output.numerator)}) >= {dialect.write_literal(0)}"
    return condition, f"the sizes make {evaluator.guards[name]} negative"


def _write_rule(rule: Rule, signature: Signature, dialect: Dialect) -> tuple[str, str]:
    """Return the condition of a rule, and what is said where it fails."""
    printer = ExpressionPrinter(dialect)
    a, b = signature.operand(rule.a), signature.operand(rule.b)
    zero = dialect.write_literal(0)
    match rule.relation:
        case "at_most":
            return f"{printer.print(a)} <= {printer.print(b)}", f"{rule.b} must be at least {rule.a}"
        case "divides":
            return f"{printer.print(b)} % {printer.print(a)} = {zero}", f"{rule.b} must be a multiple of {rule.a}"
        case "divides_evenly":
            twice = printer.print(Operation(PRODUCT, (2, a)))
            return f"{printer.print(b)} % ({twice}) = {zero}", f"{rule.b} must be an even multiple of {rule.a}"
        case "zero_together":
            one, other = (f"({printer.print(size)} = {zero})" for size in (a, b))
            return f"{one} = {other}", f"{rule.a} and {rule.b} must be 0 together"
