"""Peaks of the activations of each stage: the largest sums of buffers that are alive together.

``peak_activation_bytes`` of a stage is the largest, over the operators of the stage, of the bytes of all activations
that are alive while the operator runs, its inputs and its output among them. It is for inference without gradients, in
the operator order of the reference model, with even shares of the tokens for the experts. A buffer is alive from the
first operator that touches it to the last: pixels, which no operator writes, from the first that reads them. Whatever
another stage has written and still needs counts: the embeddings of the prompt are alive while the towers run. The
peak does not add up, so it is no field of :class:`~modelmeter.cost.Cost`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import sympy
from attrs import evolve, frozen
from sympy.polys.rings import PolyElement

from modelmeter.cost import bits_to_bytes
from modelmeter.errors import FormulaError
from modelmeter.functions import BRACKETS, Size, exceeds
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.tape import LiveOperator, Tape
from modelmeter.ordering import Ordering, has_no_negative
from modelmeter.polynomials import Polynomials, read_polynomials
from modelmeter.size_rules import Rule
from modelmeter.symbols import symbol
from modelmeter.totals import StageRule

PeakMetric = Literal["peak_activation_bytes"]

PEAK: Final[PeakMetric] = "peak_activation_bytes"


@frozen(kw_only=True)
class Peak:
    """The largest of several sums of live activations.

    Parameters
    ----------
    operators
        The operators that can be the peak, each with the elements alive beside it.
    """

    operators: tuple[LiveOperator, ...]

    @property
    def candidates(self) -> tuple[Size, ...]:
        """The bytes alive beside each operator: exact rationals before the final rounding up."""
        return tuple(bits_to_bytes(operator.elements * symbol("activation_bits")) for operator in self.operators)

    @property
    def formula(self) -> sympy.Expr:
        """The peak in bytes, as one formula."""
        return sympy.Max(*self.candidates, evaluate=False)


def find_peaks(
    layers: Mapping[str, BaseLayer],
    stage_of: StageRule,
    *,
    stages: Sequence[str],
    looped_stage: str = "decode",
    rules: Iterable[Rule] = (),
) -> dict[str, Peak]:
    """Return the peak of each stage.

    Parameters
    ----------
    layers
        The layer tree of each run, in symbols. The more sizes are numbers, the fewer operators can be the peak.
    stage_of
        Assigns operators to stages.
    stages
        The stages in the order of the documentation.
    looped_stage
        The stage whose run is one of ``decode_steps`` steps; without a step there is no peak.
    rules
        What holds between the sizes, with the numbers put in where ``layers`` has numbers. Nothing else is taken for
        granted; the more is declared, the fewer operators can be the peak.

    Raises
    ------
    FormulaError
        If a layer does not say in which order its operators run, or a stage has none.
    """
    declared = tuple(rules)
    found: dict[str, list[LiveOperator]] = {stage: [] for stage in stages}
    for run, layer in layers.items():
        tape = Tape()
        layer.replay(tape)
        for operator in tape.list_operators():
            stage = stage_of(run, operator.path)
            times = exceeds(symbol("decode_steps"), 0) if stage == looped_stage else 1
            found[stage].append(evolve(operator, elements=times * operator.elements, at_most=times * operator.at_most))
    empty = [stage for stage, operators in found.items() if not operators]
    if empty:
        raise FormulaError("no operator runs in a stage", place=", ".join(empty))
    return {stage: Peak(operators=keep_largest(operators, rules=declared)) for stage, operators in found.items()}


def keep_largest(operators: Iterable[LiveOperator], *, rules: Iterable[Rule] = ()) -> tuple[LiveOperator, ...]:
    """Return the operators that may have the most alive beside them, the first of equal ones, multiplied out.

    One is left out where another is proved to have at least as much at all sizes that keep the ``rules``.
    """
    distinct: dict[tuple[Size, Size], LiveOperator] = {}
    for operator in operators:
        distinct.setdefault((operator.elements, operator.at_most), operator)
    read = read_polynomials([size for pair in distinct for size in pair])
    outputs = [_flatten(read, polynomial) for polynomial in read.outputs]
    limits = dict(zip(outputs[::2], outputs[1::2], strict=True))
    # Terms are compared first: that is fast, and leaves few sums for proofs. Sums of many terms are the likely largest.
    for is_at_least in (_has_larger_terms, Ordering(read, rules=rules).is_at_least):
        for elements, at_most in list(limits.items()):
            if any(
                other != elements and is_at_least(other, at_most) for other in sorted(limits, key=len, reverse=True)
            ):
                del limits[elements]
    return tuple(
        evolve(operator, elements=elements.as_expr(), at_most=limits.pop(elements).as_expr())
        for operator, elements in zip(distinct.values(), outputs[::2], strict=True)
        if elements in limits
    )


def _has_larger_terms(larger: PolyElement, smaller: PolyElement) -> bool:
    return has_no_negative(larger - smaller)


def _flatten(read: Polynomials, polynomial: PolyElement) -> PolyElement:
    """Return the polynomial with every bracket, which is 0 or 1, to the first power only."""
    places = [place for place, generator in enumerate(read.generators) if isinstance(generator, BRACKETS)]
    flat = polynomial.ring.zero
    for exponents, coefficient in polynomial.terms():
        once = tuple(min(power, 1) if place in places else power for place, power in enumerate(exponents))
        flat += polynomial.ring.from_dict({once: coefficient})
    return flat
