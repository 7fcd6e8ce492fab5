"""The roofline as formulas: how long operators and stages take at least on a card, as exact maxima of sums."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import sympy
from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.context import Context
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.sources import stage
from modelmeter.scaling.studies.asking import Worded, ask_crossover
from modelmeter.scaling.studies.card import Card
from modelmeter.scaling.studies.parts import Product, row_metric, stage_words
from modelmeter.scaling.studies.records import IdentifiedStatement
from modelmeter.scaling.terms import Number


def compute_time(card: Card, tensor_core_flops: Quantity, name: str) -> Quantity:
    """Return how long the matrix products of an operator take at the peak rate, in seconds."""
    return Quantity(
        formula=tensor_core_flops.formula / _rational(card.tensor_flops_per_second), name=name, unit="s",
        context=tensor_core_flops.context, values=tensor_core_flops.values,
    )  # fmt: skip


def memory_time(card: Card, io_bytes: Quantity, name: str) -> Quantity:
    """Return how long the traffic of an operator takes at the peak bandwidth, in seconds."""
    return Quantity(
        formula=io_bytes.formula / _rational(card.memory_bytes_per_second), name=name, unit="s",
        context=io_bytes.context, values=io_bytes.values,
    )  # fmt: skip


def ask_compute_bound(
    study: str, model: CompiledFormulas, card: Card, product: Product, over: str
) -> IdentifiedStatement:
    """Return from which size on matrix products take longer to compute than their traffic takes."""
    flops, moved = (row_metric(model, product, metric) for metric in ("tensor_core_flops", "io_bytes"))
    arithmetic = compute_time(card, flops, f"({flops.name} / {card.id} FLOP/s)")
    traffic = memory_time(card, moved, f"({moved.name} / {card.id} byte/s)")
    return ask_crossover(
        f"{study}/{card.id}-{product.stage}-{product.id}-compute-bound",
        Worded(arithmetic, f"the arithmetic time of {product.words} on {card.name}"),
        Worded(traffic, "the time of its memory traffic"), over,
    )  # fmt: skip


@frozen
class StageWork:
    """What the operators of a stage do, at numbers for all sizes but one.

    Parameters
    ----------
    name
        Of the stage.
    operators
        Of each, the FLOPs of matrix products, the other FLOPs, and the bytes that it moves.
    fixed
        The numbers.
    context
        What the sizes are.
    """

    name: str
    operators: tuple[tuple[sympy.Expr, sympy.Expr, sympy.Expr], ...]
    fixed: Mapping[str, Number]
    context: Context


def read_work(model: CompiledFormulas, name: str, over: str, **sizes: int) -> StageWork:
    """Return what the operators of a stage do.

    Parameters
    ----------
    over
        The size that stays free; all others have the numbers of ``sizes``, or their defaults.
    """
    context = stage(model, name).metric("tensor_core_flops").context
    values = {each: sympy.Integer(value) for each, value in sizes.items()}
    fixed: dict[str, Number] = {}

    def settle(formula: Size) -> sympy.Expr:
        settled, numbers = context.fill(sympy.sympify(formula), values, [over])
        fixed.update(numbers)
        return settled

    operators = tuple(
        (settle(row.cost.tensor_core_flops), settle(row.cost.cuda_core_flops), settle(row.cost.io_bytes))
        for row in model.operators(name)
    )
    return StageWork(name, operators, fixed, context)


def stage_time(work: StageWork, card: Card) -> Worded:
    """Return how long a stage takes at least: over its operators, the sum of the larger of arithmetic and traffic.

    The arithmetic of an operator is all of it: its matrix products at the rate of the tensor cores, and what else it
    computes at that of the others. (:func:`modelmeter.scaling.roofline` has no rate of the others: it counts matrix
    products only, so its times are never more than these.)
    """
    matrix_rate, vector_rate, bandwidth = (
        _rational(rate)
        for rate in (card.tensor_flops_per_second, card.vector_flops_per_second, card.memory_bytes_per_second)
    )
    total = sympy.Add(
        *(
            _later(matrix / matrix_rate + other / vector_rate, moved / bandwidth)
            for matrix, other, moved in work.operators
        )
    )
    known = Context(dimensions=work.context.dimensions)  # numbers are in the formula; what sizes are is to be said
    quantity = Quantity(formula=total, name=f"time({work.name}, {card.id})", unit="s", context=known)
    return Worded(quantity, f"the roofline time of {stage_words(work.name)} on {card.name}", work.fixed)


def _later(one: sympy.Expr, other: sympy.Expr) -> sympy.Expr:
    """Return the larger of two times: one of them where no term of it is less, else a maximum.

    All that times are made of, sizes and integer functions of them, is at least 0.
    """
    rest = sympy.expand(one - other)
    signs = {term.as_coeff_Mul()[0] >= 0 for term in sympy.Add.make_args(rest)}
    if signs == {True}:
        return one
    return other if signs == {False} else sympy.Max(one, other, evaluate=False)


def _rational(value: Number) -> sympy.Rational:
    fraction = Fraction(value)
    return sympy.Rational(fraction.numerator, fraction.denominator)
