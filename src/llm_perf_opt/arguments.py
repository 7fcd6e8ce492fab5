"""Sizes as people type them: ``seq_len=1_913``, ``weight_bits=5.5``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from modelmeter.support.errors import WorkloadError
from modelmeter.support.suggestions import unknown_name

ROUTING: Final = "expert_routing"
"""The argument that is no size."""

_INTEGER: Final = re.compile(r"-?[0-9]+(_[0-9]+)*")
_FRACTION: Final = re.compile(r"[0-9]+(\.[0-9]+|/[0-9]+)")
_LONGEST: Final = 100
"""Digits of the largest size that is read: the costs of a larger one could not be printed."""

_WIDTHS: Final = ("weight_bits", "activation_bits", "kv_bits")
_MEANT: Final = {
    "dtype": _WIDTHS, "torch_dtype": _WIDTHS, "precision": _WIDTHS, "bits": _WIDTHS,
    "kv_cache_dtype": ("kv_bits",), "kv_dtype": ("kv_bits",), "kv_cache_bits": ("kv_bits",), "cache_bits": ("kv_bits",),
    "batch": ("batch_size",), "pages": ("batch_size",), "context_length": ("seq_len",),
    "tokens": ("seq_len", "num_tokens"), "max_tokens": ("max_new_tokens",), "output_tokens": ("max_new_tokens",),
}  # fmt: skip
"""Names that other programs have, and the sizes that they stand for here."""

Argument = int | str | Fraction
"""A size, or how experts are chosen."""


def parse_arguments(
    assignments: Iterable[str], names: Iterable[str], kind: str, *, aliases: Iterable[str] = ()
) -> dict[str, Argument]:
    """Return keyword arguments that are written ``key=value``.

    Parameters
    ----------
    names
        The keys that there are.
    kind
        What a key is, for the error: ``argument of prefill``.
    aliases
        Names that are offered too where they come close to one that there is not.

    Raises
    ------
    UnknownNameError
        If there is no such key.
    WorkloadError
        If an argument is not written so, is given twice, or its value is no number.
    """
    names, aliases = list(names), list(aliases)
    given: dict[str, Argument] = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator or not key:
            raise WorkloadError("this is not an argument", expected="key=value", found=assignment)
        check_name(kind, key, names, aliases)
        if key in given:
            raise WorkloadError("an argument is given twice", place=key)
        given[key] = value if key == ROUTING else parse_size(key, value)
    return given


def check_name(kind: str, name: str, names: Iterable[str], aliases: Iterable[str] = ()) -> None:
    """Raise an error unless ``name`` is one of ``names``; it says which comes close, or is meant by another word.

    Raises
    ------
    UnknownNameError
        If it is none.
    """
    names = list(names)
    if name not in names:
        meant = [each for each in _MEANT.get(name, ()) if each in names]
        raise unknown_name(kind, name, names, aliases, meant)


def parse_size(name: str, text: str) -> int | Fraction:
    """Return the value of a size: an integer, or of a storage width also a decimal or a ratio.

    Raises
    ------
    WorkloadError
        If it is not written as a number, or is too long to be a size.
    """
    may_be_fraction = name in _WIDTHS
    if len(text) > _LONGEST:
        raise WorkloadError("the number is too long", place=name, expected=f"at most {_LONGEST} digits", found=text)
    if _INTEGER.fullmatch(text):
        return int(text)
    if may_be_fraction and _FRACTION.fullmatch(text) and not text.endswith("/0"):
        value = Fraction(text)
        return value.numerator if value.denominator == 1 else value
    if may_be_fraction:
        raise WorkloadError("the value is not a number", place=name, expected="digits: 16, 5.5 or 11/2", found=text)
    raise WorkloadError("the value is not an integer", place=name, expected="digits: 1913 or 1_913", found=text)


def fill_arguments(
    defaults: Mapping[str, int | str | None], given: Mapping[str, Argument], dimensions: Mapping[str, Any]
) -> dict[str, Argument]:
    """Return all arguments of an evaluator that are known: those given and the defaults, not what follows from them.

    Parameters
    ----------
    defaults
        By name, None for what follows from others or is there for one that does.
    given
        What was given; more does no harm.
    dimensions
        The ``DIMENSIONS`` of the package that has the evaluator.
    """
    used: dict[str, Argument] = {}
    for name, default in defaults.items():
        value = given.get(name, default)
        dimension = dimensions.get(name)
        if value is None and dimension is not None and dimension.target not in (None, *given):
            value = dimension.default
        if value is not None:
            used[name] = value
    return used


def write_argument(value: Argument) -> str:
    """Return an argument as it is typed: a fraction as a decimal where that is exact."""
    if isinstance(value, Fraction) and Fraction(repr(float(value))) == value:
        return repr(float(value))
    return str(value)


def as_json(value: Argument) -> int | float | str:
    """Return an argument for JSON: a fraction as a number where a float is exactly it, else as text."""
    if not isinstance(value, Fraction):
        return value
    written = write_argument(value)
    return written if "/" in written else float(written)
