"""The text of formulas in a terminal, read back and computed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from modelmeter.dimensions.functions import expected_routed_reads


def read_back(text: str, sizes: Mapping[str, int | Fraction], **functions: Callable[..., Fraction]) -> Fraction:
    """Compute an ASCII formula with Python's own operators. An Iverson bracket becomes a call."""
    python = re.sub(r"\b\d+\b", lambda digits: f"F({digits[0]})", text.replace("^", "**"))
    python = python.replace(" = ", " == ").replace("[", "F(").replace("]", ")")
    names = {
        "F": Fraction, "ceil": math.ceil, "floor": math.floor, "max": lambda *arguments: max(arguments),
        "routed_reads": lambda *arguments: expected_routed_reads(*(int(argument) for argument in arguments)),
        **functions,
    }  # fmt: skip
    return Fraction(eval(python, names, {name: Fraction(value) for name, value in sizes.items()}))


def read_peak(text: str, sizes: Mapping[str, int]) -> Fraction:
    """Compute a peak: what its rows are called separates the arguments of a maximum."""
    rows = re.sub(r"(in|of the) \w+:", ",", " ".join(text.split()))
    rows = rows.replace("max( ,", "max(").replace("peak_of'", "peak_of_float32")
    peak, *parts = re.split(r"(peak_of\w*)\(num_views, view_size\) =", rows)
    functions: dict[str, Callable[[Fraction, Fraction], Fraction]] = {}
    for name, part in zip(parts[::2], parts[1::2], strict=True):
        of_views, plus, rest = part.partition("+ 1 / 8 ")
        peak += plus + rest

        def peak_of(num_views: Fraction, view_size: Fraction, of_views: str = of_views) -> Fraction:
            return read_back(of_views.strip(), {**sizes, "num_views": num_views, "view_size": view_size})

        functions[name] = peak_of
    return read_back(peak.strip(), sizes, **functions)
