"""The checks of the arguments of a function of the generated package, as lines of Python."""

from __future__ import annotations

from modelmeter.backends.python.limits import Limits, describe_derivations
from modelmeter.backends.python.printer import LINE_LENGTH, fill_lines
from modelmeter.backends.python.runtime import _checks
from modelmeter.dimensions.size_rules import Rule
from modelmeter.evaluators.signature import Parameter, Signature


def check_sizes(function: str, signature: Signature) -> list[str]:
    """Return the check of all sizes that are given, which costs two comparisons for each plain integer in range.

    Where one is anything else, the function is called again with what it stands for, or an error is raised.
    """
    sizes = [size for size in signature.parameters if size.derivation is None]
    if not sizes:
        return []
    plain = {size.name: size.minimum for size in sizes if size.target is None}
    sources = {size.name: size.minimum for size in sizes if size.target is not None}
    conditions = _checks.write_conditions(plain, sources)
    minima = _checks.list_minima({size.name: size.minimum for size in sizes}, sources)
    arguments = [function, "locals()", *minima]
    call = f"check_again({', '.join(arguments)})"
    lines = ["    if not (", *fill_lines(" and ".join(conditions).split(" "), " " * 8)]
    if len(last := f"    ) and (found := {call}) is not None:") <= LINE_LENGTH:
        return [*lines, last, "        return found"]
    words = [f"{argument}," for argument in arguments[:-1]]
    return [
        *lines,
        "    ) and (found := check_again(",
        *fill_lines([*words, arguments[-1]], " " * 8),
        "    )) is not None:",
        "        return found",
    ]


def derive(parameter: Parameter, signature: Signature) -> list[str]:
    """Return what fills in a parameter that is not given, or else compares it with what it would follow from."""
    described = describe_derivations(signature.parameters)[parameter.name]
    return _checks.write_derivation(parameter.name, *described, parameter.minimum)


def check_rule(rule: Rule, signature: Signature) -> list[str]:
    """Return the check of a rule between sizes."""
    names = {parameter.name for parameter in signature.parameters}
    return _checks.write_rule(rule.a, rule.relation, rule.b, names, signature.constants)


def check_by_table(function: str, limits: Limits, signature: Signature) -> list[str]:
    """Return what has the checks of the sizes that are given, and the rules between them, written into a function."""
    arguments = [function, "locals()", *([] if limits.has_architecture(signature) else ["{}"])]
    return [f"    if (found := check({', '.join(arguments)})) is not None:", "        return found"]
