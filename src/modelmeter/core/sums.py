"""Sums of sizes, and bits as bytes."""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from modelmeter.core.functions import Size


def add_sizes(sizes: Iterable[Size]) -> Size:
    """Return the sum of ``sizes``, built at once: sympy sorts the terms of a sum anew for every one added."""
    terms = [size for size in sizes if not (isinstance(size, int) and size == 0)]
    if all(isinstance(term, int) for term in terms):
        return sum(terms)
    return sympy.Add(*terms)


def bits_to_bytes(bits: Size) -> Size:
    """Return ``bits / 8``: an int where it is whole, else an exact rational or a formula."""
    if isinstance(bits, int) and bits % 8 == 0:
        return bits // 8
    return sympy.sympify(bits) / 8
