"""Statements as plain English: units, thousands separators, and the exact domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final, TypeAlias

from modelmeter.dimensions.symbols import Dimension
from modelmeter.scaling.domain import Domain, Range, write_rule
from modelmeter.scaling.statement import Interval, Statement
from modelmeter.scaling.terms import Number

METRIC_WORDS: Final = {
    "tensor_core_flops": "the work of the matrix products (FLOPs)",
    "cuda_core_flops": "the other arithmetic (FLOPs)",
    "io_bytes": "the memory traffic (bytes)",
    "fused_io_bytes": "the memory traffic with everything fused (bytes)",
    "weight_bytes": "the memory of the weights (bytes)",
    "activation_bytes": "the sum of all operator outputs (bytes)",
    "kv_cache_bytes": "the cache of keys and values (bytes)",
    "peak_activation_bytes": "the peak of the activations (bytes)",
}
"""Metrics as things, all in the singular, so that one form of a sentence fits all."""

_MOST_INTERVALS: Final = 4


def write_number(value: Number) -> str:
    """Return a number with thousands separators; a fraction stays one."""
    return f"{value.numerator:,}" if value.denominator == 1 else f"{value.numerator:,}/{value.denominator:,}"


def write_rounded(value: Number) -> str:
    """Return a number to three digits, where a sentence has the exact one elsewhere."""
    return f"{float(value):,.3g}"


def write_percent(share: Fraction) -> str:
    """Return a share in per cent, exact if it is short."""
    percent = share * 100
    return f"{percent} %" if percent.denominator == 1 else f"{float(percent):.3g} %"


Sizes: TypeAlias = Mapping[str, Dimension]
"""What each size is, by name."""


def unit_of(name: str, sizes: Sizes) -> str:
    """Return the unit of a size; empty where it is a symbol of someone's own."""
    return sizes[name].unit if name in sizes else ""


def write_size(name: str, value: Number, sizes: Sizes) -> str:
    """Return a size with its value and its unit: ``seq_len = 10,742 tokens``."""
    unit = unit_of(name, sizes)
    if unit:
        unit = " " + (unit[:-1] if value == 1 and unit.endswith("s") else unit)
    return f"{name} = {write_number(value)}{unit}"


def write_domain(domain: Domain, sizes: Sizes) -> str:
    """Return where a statement holds: the free sizes, and the numbers of the workload and of storage."""
    free = [*(f"{name} {write_range(each)}" for name, each in domain.ranges.items()), *map(write_rule, domain.rules)]
    fixed = write_fixed(domain.fixed, sizes)
    return ", ".join(free) + (f"; {fixed}" if fixed else "")


def write_fixed(fixed: Mapping[str, Number], sizes: Sizes) -> str:
    """Return the numbers of the workload and of storage; those of the architecture are the model's."""
    return ", ".join(
        f"{name} = {write_number(value)}"
        for name, value in fixed.items()
        if name not in sizes or sizes[name].kind != "architecture"
    )


def write_range(each: Range) -> str:
    """Return a range: ``from 1 on``."""
    if each.first == each.last:
        return f"= {each.first:,}"
    end = "on" if each.last is None else f"to {each.last:,}"
    multiples = "" if each.multiple_of == 1 else f"a multiple of {each.multiple_of:,} "
    return f"{multiples}from {each.first:,} {end}"


def write_interval(each: Interval) -> str:
    """Return an interval: ``from 3 to 7``."""
    if each.first == each.last:
        return f"at {each.first:,}"
    return f"from {each.first:,} on" if each.last is None else f"from {each.first:,} to {each.last:,}"


def write_intervals(intervals: Sequence[Interval]) -> str:
    """Return intervals, the first few of many."""
    listed = " and ".join(map(write_interval, intervals[:_MOST_INTERVALS]))
    more = len(intervals) - _MOST_INTERVALS
    return listed + (f" and on {more:,} more stretches" if more > 0 else "")


def finish(claim: str, statement: Statement, sizes: Sizes) -> str:
    """Return a sentence of a claim: with a capital, the domain, and what is only checked."""
    text = claim[0].upper() + claim[1:]
    hedge = "" if statement.is_proved else f" This was {statement.known}, and nothing is known beyond."
    return f"{text} ({write_domain(statement.domain, sizes)}).{hedge}"
