"""Functions of the generated package: parameters, checks, steps and results as lines of Python."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, field, frozen

from modelmeter.emit.printer import StatementPrinter
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.program import Program, split
from modelmeter.size_rules import Rule
from modelmeter.symbols import Dimension, describe

ROUTING = "expert_routing"
IMAGE_TOKENS = "image_tokens"


@frozen(kw_only=True)
class Derivation:
    """How a parameter follows from others where it is not given: as Python, and in words."""

    code: str
    words: str


@frozen(kw_only=True)
class Parameter:
    """A keyword argument that is a size.

    Parameters
    ----------
    default
        Its default value; of a derived one, the value that it has by default.
    derivation
        Where it is not given, it follows from other parameters.
    dimension
        What it is; by default what :mod:`modelmeter.symbols` says.
    """

    name: str
    default: int
    derivation: Derivation | None = None
    dimension: Dimension = field(default=Factory(lambda self: describe(self.name), takes_self=True))

    @property
    def minimum(self) -> int:
        """The smallest value that has a meaning."""
        return self.dimension.minimum

    @property
    def signature(self) -> str:
        """The parameter as Python."""
        return f"{self.name}: int | None = None" if self.derivation else f"{self.name}: int = {self.default}"

    @property
    def array_signature(self) -> str:
        """The parameter as Python where it may be an array."""
        return (
            f"{self.name}: ArrayLike | None = None" if self.derivation else f"{self.name}: ArrayLike = {self.default}"
        )

    @property
    def words(self) -> str:
        """What the parameter is, for people."""
        dimension = self.dimension
        default = f" By default {self.derivation.words}." if self.derivation else ""
        meaning = dimension.meaning[0].upper() + dimension.meaning[1:]
        return f"{meaning} ({dimension.unit}, at least {dimension.minimum}).{default}"


@frozen(kw_only=True)
class Signature:
    """What a function takes and what it may rely on.

    Parameters
    ----------
    parameters
        Its sizes, in the order of the documentation.
    has_routing
        Whether it also takes the routing of experts.
    constants
        Sizes that are numbers in its formulas.
    image_tokens
        Whether it works out the tokens of the images before anything that depends on them.
    """

    parameters: tuple[Parameter, ...]
    has_routing: bool
    constants: Mapping[str, int]
    image_tokens: bool = False

    def rules(self) -> list[Rule]:
        """Return the rules between the sizes of the function, of which at least one is a parameter."""
        names = {parameter.name for parameter in self.parameters} | ({IMAGE_TOKENS} if self.image_tokens else set())
        return [rule for rule in RULES if rule.names <= names | self.constants.keys() and rule.names & names]

    def operand(self, size: str | int) -> str:
        """Return a size as it stands in the code."""
        return str(self.constants.get(size, size) if isinstance(size, str) else size)


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
    signature: Signature, program: Program, results: Mapping[str, str], guards: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return the lines of a function that returns a ``Cost``.

    Parameters
    ----------
    results
        The output of ``program`` for each metric.
    guards
        Outputs that must not be negative, each with its formula for the error.
    """
    printer = begin(signature, program, guards or {})
    _write_cost(printer, program, results, "return")
    return tuple(printer.lines)


def write_metric(
    signature: Signature, program: Program, result: str, guards: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return the lines of a function that returns one output; ``guards`` as of :func:`write_cost`."""
    printer = begin(signature, program, guards or {})
    (output,) = (output for output in program.outputs if output.name == result)
    printer.give_back(output.numerator, output.denominator)
    return tuple(printer.lines)


def write_stages(signature: Signature, program: Program, results: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return the lines of a function that returns a ``Cost`` for each stage."""
    printer = begin(signature, program, {})
    for stage, outputs in results.items():
        _write_cost(printer, program, outputs, f"{stage} =")
    return (*printer.lines, f"    return Stages(({', '.join(results)}))")


def begin(signature: Signature, program: Program, guards: Mapping[str, str]) -> StatementPrinter:
    """Print the checks and the steps of a function."""
    printer = StatementPrinter()
    lines = printer.lines
    for parameter in signature.parameters:
        if parameter.derivation is None:
            lines += _check_size(parameter, "if")
    if signature.has_routing:
        lines += [f'    if {ROUTING} != "uniform":', f"        check_routing({ROUTING})"]
    late = {parameter.name for parameter in signature.parameters if parameter.derivation} | {IMAGE_TOKENS}
    rules = signature.rules()
    for rule in rules:
        if not rule.names & late:
            lines += _check_rule(rule, signature)

    outputs = {output.name: output for output in program.outputs}
    first, rest = split(program, *guards, *([IMAGE_TOKENS] if signature.image_tokens else []))
    printer.assign_steps(first)
    for guard, formula in guards.items():
        printer.test(outputs[guard].numerator, "< 0", f'raise CostError("the sizes make {formula} negative")')
    if signature.image_tokens:
        printer.assign(IMAGE_TOKENS, outputs[IMAGE_TOKENS].numerator)
    for parameter in signature.parameters:
        if parameter.derivation is not None:
            lines += [f"    if {parameter.name} is None:", f"        {parameter.name} = {parameter.derivation.code}"]
            lines += _check_size(parameter, "elif")
    for rule in rules:
        if rule.names & late:
            lines += _check_rule(rule, signature)
    printer.assign_steps(rest)
    return printer


def _write_cost(printer: StatementPrinter, program: Program, results: Mapping[str, str], start: str) -> None:
    outputs = {output.name: output for output in program.outputs}
    for metric, name in results.items():
        printer.assign(metric, outputs[name].numerator, outputs[name].denominator)
    printer.lines.append(f"    {start} Cost(({', '.join(results)}))")


def _check_size(parameter: Parameter, keyword: str) -> list[str]:
    """Return the check of a size, which costs two comparisons where it is a plain integer in range."""
    name, minimum = parameter.name, parameter.minimum
    in_range = f"{name} > {minimum - 1}" if minimum else f"{name} >= 0"
    return [
        f"    {keyword} not (type({name}) is int and {in_range}):",
        f'        {name} = check_size("{name}", {name}, {minimum})',
    ]


def _check_rule(rule: Rule, signature: Signature) -> list[str]:
    a, b = signature.operand(rule.a), signature.operand(rule.b)
    if rule.relation != "at_most":
        divisor = a if rule.relation == "divides" else f"(2 * {a})"
        name = rule.a if rule.relation == "divides" else f"2 * {rule.a}"
        return [
            f"    if {b} % {divisor}:",
            f'        raise no_multiple("{rule.b}", {b}, "{name}", {divisor.strip("()")})',
        ]
    if rule.a in {parameter.name for parameter in signature.parameters}:
        return [f"    if {a} > {b}:", f'        raise too_large("{rule.a}", {a}, "{rule.b}", {b})']
    return [f"    if {b} < {a}:", f'        raise too_small("{rule.b}", {b}, "{rule.a}", {a})']
