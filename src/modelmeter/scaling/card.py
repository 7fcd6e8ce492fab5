"""A card as symbols of its own, and the roofline time of operators on it.

The ratio of a card is what it computes while it moves one byte: an operator is compute-bound where it computes at
least that much for each byte that it moves.
"""

from __future__ import annotations

from typing import Final

import sympy

from modelmeter.scaling.quantity import Operand, Quantity, as_quantity
from modelmeter.scaling.sources import Source
from modelmeter.support.errors import FormulaError


def _own(name: str, unit: str) -> Quantity:
    return Quantity(formula=sympy.Symbol(name, positive=True), name=name, unit=unit)


PEAK_FLOPS: Final = _own("peak_flops", "FLOP/s")
"""What a card computes in a second."""

MEMORY_BANDWIDTH: Final = _own("memory_bandwidth", "byte/s")
"""What it moves in a second."""

MEMORY_BYTES: Final = _own("memory_bytes", "bytes")
"""What it holds."""

RATIO: Final = _own("ratio", "FLOP/byte")
"""``peak_flops / memory_bandwidth``."""

PRICE: Final = _own("price", "$/s")
"""What a second of it costs."""


def roofline(source: Source) -> Quantity:
    """Return the time of operators, one after the other: each computes or moves, whichever takes longer.

    The sum over the operators of ``max(tensor_core_flops / peak_flops, io_bytes / memory_bandwidth)``, where each
    runs as often as the model calls it. The card's rates are symbols: give them with ``at``.

    Of arithmetic only matrix products count: with one rate, the answer is a formula of the card's ratio, as for "from
    which batch on is it compute-bound". The times of studies and of reports also count all other arithmetic, at the
    card's rate for it, and so are never less.
    """
    computing, moving = PEAK_FLOPS.formula, MEMORY_BANDWIDTH.formula
    time = sympy.Add(
        *(
            sympy.Max(
                sympy.sympify(row.cost.tensor_core_flops) / computing, sympy.sympify(row.cost.io_bytes) / moving,
                evaluate=False,
            )
            for row in source.rows()
        )
    )  # fmt: skip
    return Quantity(formula=time, name=f"roofline({source.name})", unit="s", context=source.context)


def roofline_bytes(source: Source) -> Quantity:
    """Return the roofline time as bytes that the card could move in it: ``max(tensor_core_flops / ratio, io_bytes)``.

    One symbol of the card is left, its ratio; times are in proportion.
    """
    ratio = RATIO.formula
    total = sympy.Add(
        *(
            sympy.Max(
                sympy.sympify(row.cost.tensor_core_flops) / ratio, sympy.sympify(row.cost.io_bytes), evaluate=False
            )
            for row in source.rows()
        )
    )
    return Quantity(formula=total, name=f"roofline_bytes({source.name})", unit="bytes", context=source.context)


def roofline_of(flops: Quantity, moved: Quantity) -> Quantity:
    """Return the time of one operator with so many FLOPs and bytes."""
    computing, moving = flops / PEAK_FLOPS, moved / MEMORY_BANDWIDTH
    for quantity in (computing, moving):
        if quantity.unit != "s":
            raise FormulaError("this is not a time", place=quantity.name, expected="s", found=quantity.unit)
    context = computing.context.join(moving.context)
    formula = sympy.Max(computing.settled, moving.settled, evaluate=False)
    return Quantity(formula=formula, name=f"roofline({flops.name}, {moved.name})", unit="s", context=context)


def intensity(flops: Operand, moved: Operand) -> Quantity:
    """Return FLOPs by bytes."""
    return as_quantity(flops) / as_quantity(moved)
