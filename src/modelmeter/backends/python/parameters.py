"""Parameters as Python: arguments of functions, and records of what functions take."""

from __future__ import annotations

from modelmeter.evaluators.signature import Parameter


def write_argument(parameter: Parameter) -> str:
    """Return the argument of a function on integers."""
    return _write(parameter, "Bits" if parameter.may_be_fraction else "int")


def write_array_argument(parameter: Parameter) -> str:
    """Return the argument of a function over arrays."""
    return _write(parameter, "ArrayLike | Fraction" if parameter.may_be_fraction else "ArrayLike")


def _write(parameter: Parameter, kind: str) -> str:
    if parameter.is_optional:
        return f"{parameter.name}: {kind} | None = None"
    return f"{parameter.name}: {kind} = {parameter.default}"


def write_record(parameter: Parameter) -> str:
    """Return the arguments of the record of a parameter: what is not as of most sizes by name."""
    named = [
        *([f'target="{parameter.target}"'] if parameter.target else []),
        *(["may_be_fraction=True"] if parameter.may_be_fraction else []),
    ]
    return ", ".join([str(parameter.minimum), "None" if parameter.derivation else str(parameter.default), *named])
