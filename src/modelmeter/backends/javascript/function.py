"""Functions of the JavaScript package: checks, steps and results as lines of JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final

from attrs import evolve, frozen

from modelmeter.algebra.program import SUM, Node, Operation, names_in
from modelmeter.backends.javascript.printer import ExpressionPrinter
from modelmeter.core.size_rules import Rule
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, StageCosts, Steps, Values
from modelmeter.evaluators.fractions import SCALE, scale_widths
from modelmeter.evaluators.signature import ROUTING, Derivation, Parameter, Signature
from modelmeter.support.errors import FormulaError

LINE_LENGTH: Final = 120

_ROOM: Final = LINE_LENGTH - 2
"""The columns of a line in a function."""

_RESERVED: Final = frozenset(
    (
        *("arguments", "await", "break", "case", "catch", "class", "const", "continue", "debugger", "default"),
        *("delete", "do", "else", "enum", "eval", "export", "extends", "false", "finally", "for", "function", "given"),
        *("if", "implements", "import", "in", "instanceof", "interface", "let", "new", "null", "others", "package"),
        *("private", "protected", "public", "return", "scale", "static", "super", "switch", "this", "throw", "true"),
        *("try", "typeof", "undefined", "var", "void", "while", "with", "yield"),
    )
)
"""Words that no function and no size may be called: those of the language, and those that every function uses."""


@frozen(kw_only=True)
class Function:
    """A function of the JavaScript package.

    Parameters
    ----------
    evaluator
        What it is of.
    body
        Its lines, in the function.
    result
        The type of what it returns, as JSDoc has it.
    """

    evaluator: Evaluator
    body: tuple[str, ...]
    result: str

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.evaluator.name


def print_function(evaluator: Evaluator) -> Function:
    """Return an evaluator as a function on BigInts.

    Raises
    ------
    FormulaError
        If a name is a word of the language, or a function of the program is not one of the runtime.
    """
    for name in (evaluator.name, *(parameter.name for parameter in evaluator.signature.parameters)):
        if name in _RESERVED:
            raise FormulaError("a name is a word of JavaScript", place=evaluator.name, found=name)
    body, result = _FunctionPrinter(evaluator).print()
    return Function(evaluator=evaluator, body=tuple(body), result=result)


class _FunctionPrinter:
    """Prints the lines of one function."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._widths = [size for size in evaluator.signature.parameters if size.may_be_fraction]
        names = [width.name for width in self._widths]
        self._evaluator = evolve(evaluator, program=scale_widths(evaluator.program, names)) if names else evaluator
        self._signature = evaluator.signature
        self._expressions = ExpressionPrinter()
        self._lines: list[str] = []
        self._numbers = count(1)

    def print(self) -> tuple[list[str], str]:
        """Return the lines, and the type of the result."""
        self._take_arguments()
        self._check_rules(self._signature.early_rules)
        first, rest = self._evaluator.split_steps()
        self._assign(first)
        for guard, formula in self._evaluator.guards.items():
            value = self._expressions.print_operand(self._evaluator.output(guard).numerator)
            self._lines.append(f'if ({value} < 0n) throw new CostError("the sizes make {formula} negative");')
        self._assign(tuple((name, self._evaluator.output(name).numerator) for name in self._signature.intermediates))
        for parameter in self._signature.parameters:
            if parameter.derivation is not None:
                self._lines += _derive(parameter, parameter.derivation, self._signature)
        self._check_rules(self._signature.late_rules)
        self._assign(rest)
        return self._lines, self._print_result()

    def _take_arguments(self) -> None:
        taken = [
            parameter.name if parameter.is_optional else f"{parameter.name} = {parameter.default}n"
            for parameter in self._signature.parameters
        ]
        taken += [f'{ROUTING} = "uniform"'] if self._signature.has_routing else []
        self._lines += _break_line("let { ", [*taken, "...others"], " } = given;")
        self._lines.append(f'checkNames("{self._evaluator.name}", given, others);')
        for parameter in self._signature.parameters:
            if parameter.derivation is None and not parameter.may_be_fraction:
                given = f"if ({parameter.name} != null) " if parameter.target else ""
                self._lines.append(f"{given}{_check_size(parameter)}")
        if self._widths:
            self._check_widths()
        if self._signature.has_routing:
            self._lines.append(f"checkRouting({ROUTING});")

    def _check_widths(self) -> None:
        program = self._evaluator.program
        nodes = [node for _, node in program.steps] + [output.numerator for output in program.outputs]
        is_scaled = any(SCALE in names_in(node) for node in nodes)
        names = [SCALE if is_scaled else "", *(width.name for width in self._widths)]
        triples = [f'["{width.name}", {width.name}, {width.minimum}n]' for width in self._widths]
        self._lines += ["let scale;"] if is_scaled else []
        self._lines += _break_line(f"[{', '.join(names)}] = checkBits([", triples, "]);")

    def _check_rules(self, rules: Sequence[Rule]) -> None:
        for rule in rules:
            condition, refusal = _check_rule(rule, self._signature)
            line = f"if ({condition}) throw {refusal};"
            self._lines += [line] if len(line) <= _ROOM else [f"if ({condition}) {{", f"  throw {refusal};", "}"]

    def _assign(self, steps: Steps) -> None:
        for name, node in steps:
            self._assign_one(name, node)

    def _assign_one(self, name: str, node: Node) -> None:
        """Print an assignment; a long sum has a line for each term."""
        room = _ROOM - len(f"const {name} = ;")
        if isinstance(node, Operation) and node.function == SUM and len(self._expressions.print(node)) > room:
            terms = tuple(self._fit(term, _ROOM - len("  + ;")) for term in node.operands)
            *first, last = self._expressions.print_terms(node._replace(operands=terms))
            self._lines += [f"const {name} =", *(f"  {term}" for term in first), f"  {last};"]
        else:
            text = self._expressions.print_step(name, self._fit(node, room))
            self._lines.append(f"const {name} = {text};")

    def _fit(self, node: Node, room: int) -> Node:
        """Return a node with its longest operands replaced by names, until it fits into so many columns."""
        while isinstance(node, Operation) and len(self._expressions.print(node)) > room:
            operands = list(node.operands)
            longest = max(range(len(operands)), key=lambda place: len(self._expressions.print(operands[place])))
            if not isinstance(operands[longest], Operation):  # names only: the first half of them gets a line
                half = node._replace(operands=tuple(operands[: len(operands) // 2]))
                operands, longest = [half, *operands[len(operands) // 2 :]], 0
            name = f"y{next(self._numbers)}"
            self._assign_one(name, operands[longest])
            operands[longest] = name
            node = node._replace(operands=tuple(operands))
        return node

    def _print_result(self) -> str:
        """Print what the function returns, and return its type."""
        match self._evaluator.result:
            case OneCost() as cost:
                metrics = self._print_metrics(cost)
                self._lines += ["return Object.freeze({", *metrics, "});"]
                return "Cost"
            case StageCosts(stages):
                costs = {stage: self._print_metrics(cost) for stage, cost in stages.items()}
                self._lines.append("return Object.freeze({")
                for stage, metrics in costs.items():
                    self._lines += [f"  {stage}: Object.freeze({{", *(f"  {line}" for line in metrics), "  }),"]
                self._lines.append("});")
                return "Stages"
            case OneValue(_, name):
                text = self._print_output(name, _ROOM - len("return ;"))
                self._lines.append(f"return {text};")
                return "bigint"
            case Values():
                raise FormulaError("JavaScript has no tables", place=self._evaluator.name)

    def _print_metrics(self, cost: OneCost) -> list[str]:
        room = _ROOM - len("    : ,")
        return [f"  {metric}: {self._print_output(name, room - len(metric))}," for metric, name in cost.outputs.items()]

    def _print_output(self, name: str, room: int) -> str:
        """Return an output as an expression in so many columns."""
        _, node, denominator = self._evaluator.output(name)
        around = len(self._expressions.print_quotient(node, denominator)) - len(self._expressions.print(node))
        return self._expressions.print_quotient(self._fit(node, room - max(0, around)), denominator)


def _break_line(start: str, items: list[str], end: str) -> list[str]:
    """Return a list in one line, or where that would be too long, in a line for each item."""
    line = f"{start}{', '.join(items)}{end}"
    if len(line) <= _ROOM:
        return [line]
    comma = "" if items[-1].startswith("...") else ","
    return [start.rstrip(), *(f"  {item}," for item in items[:-1]), f"  {items[-1]}{comma}", end.lstrip()]


def _check_size(parameter: Parameter) -> str:
    name = parameter.name
    return f'{name} = checkSize("{name}", {name}, {parameter.minimum}n);'


def _derive(parameter: Parameter, derivation: Derivation, signature: Signature) -> list[str]:
    """Return what fills in a parameter that is not given, or else compares it with what it would follow from."""
    name, source = parameter.name, derivation.source
    follows = ExpressionPrinter().print(derivation.node)
    fill = [f"  {source} ??= {signature.default(source)}n;"] if source else []
    agree = [
        f"  if ({source} != null) {{",
        f'    checkAgreement("{name}", {name}, "{derivation.formula}", {follows});',
        "  }",
    ]
    return [
        f"if ({name} == null) {{",
        *fill,
        f"  {name} = {follows};",
        "} else {",
        f"  {_check_size(parameter)}",
        *(agree if source else []),
        "}",
    ]


def _check_rule(rule: Rule, signature: Signature) -> tuple[str, str]:
    """Return when a rule between sizes is broken, and the error that says so."""
    a, b = (ExpressionPrinter().print(signature.operand(size)) for size in (rule.a, rule.b))
    if rule.relation == "divides":
        return f"{b} % {a} !== 0n", f'noMultiple("{rule.b}", {b}, "{rule.a}", {a})'
    if rule.relation == "divides_evenly":
        return f"{b} % (2n * {a}) !== 0n", f'noMultiple("{rule.b}", {b}, "2 * {rule.a}", 2n * {a})'
    if rule.a in {parameter.name for parameter in signature.parameters}:
        return f"{a} > {b}", f'tooLarge("{rule.a}", {a}, "{rule.b}", {b})'
    return f"{b} < {a}", f'tooSmall("{rule.b}", {b}, "{rule.a}", {a})'
