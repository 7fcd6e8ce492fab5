"""The checks of the arguments of a function of the generated package, as lines of Python."""

from __future__ import annotations

from collections.abc import Sequence

from modelmeter.backends.python.printer import LINE_LENGTH, print_node
from modelmeter.core.size_rules import Rule
from modelmeter.evaluators.signature import Derivation, Parameter, Signature


def derive(parameter: Parameter, derivation: Derivation, signature: Signature) -> list[str]:
    """Return what fills in a parameter that is not given, or else compares it with what it would follow from."""
    size, code = parameter.name, print_node(derivation.node)
    lines = [f"    if {size} is None:", *fill_source(derivation, signature), f"        {size} = {code}"]
    check = check_size(parameter)
    if derivation.source is None:
        return [*lines, check[0].replace("if", "elif", 1), *check[1:]]
    return [
        *lines,
        "    else:",
        *(f"    {line}" for line in check),
        f"        if {derivation.source} is not None and {size} != {code}:",
        f'            raise contradiction("{size}", {size}, "{derivation.formula}", {code})',
    ]


def fill_source(derivation: Derivation, signature: Signature) -> list[str]:
    """Return the lines that give the source of a derivation its default, where there is one."""
    if derivation.source is None:
        return []
    return [
        f"        if {derivation.source} is None:",
        f"            {derivation.source} = {signature.default(derivation.source)}",
    ]


def check_size(parameter: Parameter) -> list[str]:
    """Return the check of a size, which costs two comparisons where it is a plain integer in range."""
    name = parameter.name
    given = f"{name} is not None and " if parameter.target else ""
    return [
        f"    if {given}not ({' and '.join(_be_in_range(parameter))}):",
        f'        {name} = check_size("{name}", {name}, {parameter.minimum})',
    ]


def check_widths(function: str, widths: Sequence[Parameter]) -> list[str]:
    """Return the check of what may be a fraction, which costs as much; where one is, the function is called anew."""
    if not widths:
        return []
    conditions = [condition for width in widths for condition in _be_in_range(width)]
    line = f"    if not ({' and '.join(conditions)}):"
    first, *others = conditions
    broken = ["    if not (", f"        {first}", *(f"        and {condition}" for condition in others), "    ):"]
    return [
        *([line] if len(line) <= LINE_LENGTH else broken),
        f"        if needs_rounding({', '.join(width.name for width in widths)}):",
        f"            return round_up({function}, locals())",
        *(f'        {width.name} = check_bits("{width.name}", {width.name}, {width.minimum})' for width in widths),
    ]


def _be_in_range(parameter: Parameter) -> list[str]:
    """Return what holds for a plain integer in range."""
    name, minimum = parameter.name, parameter.minimum
    return [f"type({name}) is int", f"{name} > {minimum - 1}" if minimum else f"{name} >= 0"]


def check_rule(rule: Rule, signature: Signature) -> list[str]:
    """Return the check of a rule between sizes."""
    a, b = (str(signature.operand(size)) for size in (rule.a, rule.b))
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
