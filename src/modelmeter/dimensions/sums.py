"""Sums of sizes, and bits as bytes."""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from modelmeter.dimensions.functions import Size


def add_sizes(sizes: Iterable[Size]) -> Size:
    """Return the sum of ``sizes``, built at once: sympy sorts the terms of a sum anew for every one added."""
    terms = [size for size in sizes if type(size) is not int or size]
    if len(terms) == 1:
        return terms[0]
    if any(isinstance(term, sympy.Basic) for term in terms):
        return sympy.Add(*terms)
    return sum(terms)  # of numbers, or of sizes of torch, which sympy knows nothing of


def add_size(one: Size, other: Size) -> Size:
    """Return ``one + other``, without sympy where one of them is the number 0: most are."""
    if _is_number(one, 0):
        return other
    return one if _is_number(other, 0) else one + other


def multiply_size(factor: Size, size: Size) -> Size:
    """Return ``factor * size``, without sympy where one of them is the number 0 or 1: most are."""
    if _is_number(factor, 1) or _is_number(size, 0):
        return size
    return factor if _is_number(size, 1) or _is_number(factor, 0) else factor * size


def _is_number(size: Size, number: int) -> bool:
    return type(size) is int and size == number


def bits_to_bytes(bits: Size) -> Size:
    """Return ``bits / 8``: an int where it is whole, else an exact rational or a formula."""
    if isinstance(bits, int) and bits % 8 == 0:
        return bits // 8
    return sympy.sympify(bits) / 8
