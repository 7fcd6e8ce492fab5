"""Parameters as arguments of Python functions."""

from __future__ import annotations

from modelmeter.evaluators.signature import Parameter


def write_argument(parameter: Parameter) -> str:
    """Return the argument of a function on integers."""
    return _write(parameter, "Bits" if parameter.may_be_fraction else "int")


def write_array_argument(parameter: Parameter) -> str:
    """Return the argument of a function over arrays."""
    return _write(parameter, "SizeLike" if parameter.may_be_fraction else "ArrayLike")


def _write(parameter: Parameter, kind: str) -> str:
    if parameter.is_optional:
        return f"{parameter.name}: {kind} | None = None"
    return f"{parameter.name}: {kind} = {parameter.default}"
