"""Peaks of the activations of each stage: the largest sums of buffers that are alive together.

``peak_activation_bytes`` of a stage is the largest, over the operators of the stage, of the bytes of all tensors that
are alive when the operator has run, its inputs and its output among them; parameters and the KV cache are not part of
it. It is for inference without gradients, in the operator order of the reference model, with even shares of the tokens
for the experts. A tensor is alive until the code lets go of it, as an allocator sees it. Whatever another stage has
written and still holds counts: the embeddings of the prompt are alive while the towers run, and so are the pixels of
all images of the batch. The peak does not add up, so it is no field of :class:`~modelmeter.metrics.cost.Cost`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from operator import mul

import sympy
from attrs import evolve, field, frozen

from modelmeter.algebra.expansion import Expansion
from modelmeter.algebra.ordering import Ordering
from modelmeter.algebra.polynomials import read_polynomials
from modelmeter.analysis.brackets import find_brackets, flatten
from modelmeter.analysis.totals import StageRule
from modelmeter.dimensions.functions import Differs, Equals, Exceeds, Size, equals, exceeds
from modelmeter.dimensions.size_rules import Rule
from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.dimensions.symbols import ANY_LAYER, Dimensions, symbol
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.operators import ACTIVATIONS_ARE_CAST
from modelmeter.layers.tape import Buffer, LiveElements, Tape
from modelmeter.metrics.cost import FLOAT32_BITS, Elements, Precision
from modelmeter.model.loop import Loop
from modelmeter.support.errors import FormulaError

Change = Callable[[sympy.Expr], sympy.Expr]
"""What is done to a size, to a sum as to its parts."""


@frozen(kw_only=True)
class Live:
    """What is alive at a peak: the module and the operator that wrote it, as of ``LiveElements``, and its bits."""

    path: str
    operator: str
    bits: Size


@frozen(kw_only=True)
class Candidate:
    """An operator that can be the peak of a stage.

    Parameters
    ----------
    path, layer
        The module whose forward calls it, and the name of that module's layer class.
    bits
        What is alive when it has run; 0 where it does not run.
    at_most
        What these never exceed; it may be simpler, to be compared with others.
    list_alive
        Works out of what ``bits`` are the sum; of the operators of a :class:`Peak` it was done, and is ``alive``.
    """

    path: str
    layer: str
    bits: Size
    at_most: Size
    alive: tuple[Live, ...] = ()
    list_alive: Callable[[], Iterable[Live]] = field(default=tuple, eq=False, repr=False)

    def change(self, bits: Change, at_most: Change) -> Candidate:
        """Return a candidate whose sizes are changed, each part as the sum is."""
        return evolve(
            self, bits=bits(sympy.sympify(self.bits)), at_most=at_most(sympy.sympify(self.at_most)),
            list_alive=lambda: [evolve(live, bits=bits(sympy.sympify(live.bits))) for live in self.list_alive()],
        )  # fmt: skip


@frozen(kw_only=True)
class Peak:
    """The largest of several sums of live tensors.

    Parameters
    ----------
    operators
        The operators that can be the peak.
    """

    operators: tuple[Candidate, ...]

    @property
    def candidates(self) -> tuple[Size, ...]:
        """The bytes alive beside each operator: exact rationals before the final rounding up."""
        return tuple(bits_to_bytes(operator.bits) for operator in self.operators)

    @property
    def formula(self) -> sympy.Expr:
        """The peak in bytes, as one formula."""
        return sympy.Max(*self.candidates, evaluate=False)


def find_peaks(
    layers: Mapping[str, BaseLayer],
    stage_of: StageRule,
    *,
    inputs: Mapping[str, Elements],
    stages: Sequence[str],
    loop: Loop | None = None,
    rules: Iterable[Rule] = (),
    dimensions: Dimensions = ANY_LAYER,
) -> dict[str, Peak]:
    """Return the peak of each stage.

    Parameters
    ----------
    layers
        The layer tree of each run, in symbols. The more sizes are numbers, the fewer operators can be the peak.
    stage_of
        Assigns operators to stages.
    inputs
        What each run is given, and its caller holds to the end.
    stages
        The stages in the order of the documentation.
    loop
        The stage whose run is one of several steps, if there is one; without a step it has no peak. What is alive
        beside an operator must not shrink as the index of the step grows, as far as it runs: then the peak is in the
        last step, or in the last in which an operator runs.
    rules
        What holds between the sizes, with the numbers put in where ``layers`` has numbers. Nothing else is taken for
        granted; the more is declared, the fewer operators can be the peak.
    dimensions
        The order of the sizes.

    Raises
    ------
    FormulaError
        If a layer does not say in which order its operators run, a stage has none, or what is alive in a step may
        shrink.
    """
    declared = tuple(rules)
    found: dict[str, list[Candidate]] = {stage: [] for stage in stages}
    for casts in (True, False):
        holds = ACTIVATIONS_ARE_CAST if casts else equals(symbol("activation_bits"), FLOAT32_BITS)
        by_stage: dict[str, list[Candidate]] = {stage: [] for stage in stages}
        for run, layer in layers.items():
            for candidate in _find_candidates(layer, inputs[run], partial(stage_of, run), casts=casts):
                by_stage[stage_of(run, candidate.path)].append(candidate)
        for stage, candidates in by_stage.items():
            times: Size = 1
            if loop is not None and stage == loop.stage:
                times = exceeds(loop.count, 0)
                candidates = [
                    last for candidate in _list_distinct(candidates) for last in _take_last_steps(candidate, loop)
                ]
            scale = partial(mul, times * holds)
            largest = keep_largest(candidates, rules=declared, dimensions=dimensions)
            scaled = (candidate.change(scale, scale) for candidate in largest)
            found[stage] += [evolve(each, alive=tuple(each.list_alive()), list_alive=tuple) for each in scaled]
    empty = [stage for stage, operators in found.items() if not operators]
    if empty:
        raise FormulaError("no operator runs in a stage", place=", ".join(empty))
    return {stage: Peak(operators=tuple(operators)) for stage, operators in found.items()}


def _take_last_steps(candidate: Candidate, loop: Loop) -> Iterator[Candidate]:
    """Yield what is alive in the last step, and in the last before it where the operator runs in no later one."""
    bits, at_most = (list(_list_ends(size, loop, candidate.path)) for size in (candidate.bits, candidate.at_most))
    for own, limit in zip(bits, at_most, strict=True):
        yield candidate.change(own, limit)


def _list_ends(size: Size, loop: Loop, place: str) -> Iterator[Change]:
    """Yield how a formula becomes what is alive in the last step, where nothing less is in any step before it.

    A bracket ``[t + r > s]`` is 1 from some step on. One as ``[s > t + r]`` is 1 up to step s - r - 1: then that is
    the last one, if there are steps after it.
    """
    formula = sympy.sympify(size)
    if not formula.has(loop.index):
        yield lambda each: each
        return
    read = read_polynomials((formula,))
    (polynomial,), generators = read.outputs, read.generators
    index = generators.index(loop.index) if loop.index in generators else None
    shrinks = index is not None and any(powers[index] and number < 0 for powers, number in polynomial.terms.items())
    inside = {
        position: _find_steps(generator, loop)
        for position, generator in enumerate(generators)
        if not generator.is_Symbol and generator.has(loop.index)
    }
    are_factors = all(powers[position] for position in inside for powers in polynomial.terms)
    ending = [generators[position] for position, sign in inside.items() if sign == -1]
    if shrinks or None in inside.values() or not are_factors or len(ending) > 1:
        raise FormulaError("what is alive in a step may shrink with its index", place=place, found=formula)
    yield lambda each: each.xreplace({loop.index: loop.count})
    for bracket in ending:
        least, growing = bracket.args
        last = sympy.expand(least - growing + loop.index - 1)
        has_steps_after = exceeds(growing.xreplace({loop.index: loop.count}), least - 1)
        runs = has_steps_after * bracket.xreplace({loop.index: sympy.S.One})
        yield partial(_stop_at, bracket=bracket, at={loop.index: last}, runs=runs)


def _stop_at(
    formula: sympy.Expr, *, bracket: sympy.Expr, at: Mapping[sympy.Expr, sympy.Expr], runs: sympy.Expr
) -> sympy.Expr:
    """Return what is alive in the last step in which a bracket is 1, where it ``runs``."""
    return runs * sympy.expand(formula.xreplace({bracket: sympy.S.One}).xreplace(at))


def _find_steps(call: sympy.Expr, loop: Loop) -> int | None:
    """Return 1 for a bracket that is 1 from some step on, -1 for one that is up to some step, None for others."""
    if not isinstance(call, Exceeds):
        return None
    rest = sympy.expand(call.args[0] - call.args[1])
    return next((sign for sign in (1, -1) if not sympy.expand(rest - sign * loop.index).has(loop.index)), None)


def _find_candidates(
    layer: BaseLayer, inputs: Elements, stage_of: Callable[[str], str], *, casts: bool
) -> Iterator[Candidate]:
    """Yield the operators of a replay with or without casts, each where it runs."""
    tape, ids = Tape(type(layer).__name__, casts=casts), Buffer(inputs)
    tape.reserve(ids)
    layer.replay(tape, ids)
    precision = Precision() if casts else Precision(activation_bits=FLOAT32_BITS)
    counted = cache(partial(_count, precision=precision))  # buffers of one size are alive beside many operators
    for operator in tape.list_operators(stage_of):
        count = partial(counted, operator.factor)
        yield Candidate(
            path=operator.path,
            layer=operator.layer,
            # Not evaluated: sums are compared as polynomials, and few of them are kept.
            bits=sympy.Add(*(count(part.elements) for part in operator.parts), evaluate=False),
            at_most=sympy.Add(*map(count, operator.limits), evaluate=False),
            list_alive=partial(_measure, operator.parts, count),
        )


def _count(factor: Size, elements: Elements, *, precision: Precision) -> sympy.Expr:
    """Return the bits of what is alive beside an operator, or of a part of it; ``factor`` is 1 where it runs."""
    settled = {ACTIVATIONS_ARE_CAST: sympy.S.One, **_settle_brackets(factor)}
    return factor * sympy.sympify(elements.to_bits(precision)).xreplace(settled)


def _measure(parts: Iterable[LiveElements], count: Callable[[Elements], sympy.Expr]) -> Iterator[Live]:
    for part in parts:
        if (bits := count(part.elements)) != 0:
            yield Live(path=part.path, operator=part.operator, bits=bits)


def _settle_brackets(factor: Size) -> dict[sympy.Expr, sympy.Expr]:
    """Return what brackets are where a product of brackets is 1: its own are 1, and the opposite ones 0."""
    settled: dict[sympy.Expr, sympy.Expr] = {}
    for own in sympy.Mul.make_args(sympy.sympify(factor)):
        opposite = {Differs: Equals, Equals: Differs}.get(type(own))
        settled[own] = sympy.S.One
        if opposite is not None:
            settled[opposite(*own.args)] = sympy.S.Zero
    return settled


def _list_distinct(operators: Iterable[Candidate]) -> list[Candidate]:
    """Return the first of those that have the same sizes, as layers of a kind have."""
    distinct: dict[tuple[Size, Size], Candidate] = {}
    for operator in operators:
        distinct.setdefault((operator.bits, operator.at_most), operator)
    return list(distinct.values())


def keep_largest(
    operators: Iterable[Candidate], *, rules: Iterable[Rule] = (), dimensions: Dimensions = ANY_LAYER
) -> tuple[Candidate, ...]:
    """Return the operators that may have the most alive beside them, the first of equal ones, multiplied out.

    One is left out where another is proved to have at least as much at all sizes that keep the ``rules``.
    """
    distinct = _list_distinct(operators)
    if not distinct:
        return ()
    sizes = [size for operator in distinct for size in (operator.bits, operator.at_most)]
    read = read_polynomials(sizes, dimensions=dimensions)
    brackets = find_brackets(read)
    same: dict[Expansion, Expansion] = {}  # equal ones are one object, as comparing them is slow
    outputs = [same.setdefault(each, each) for each in (flatten(polynomial, brackets) for polynomial in read.outputs)]
    limits = dict(zip(outputs[::2], outputs[1::2], strict=True))
    ordering = Ordering(read, rules=rules)
    # Sums of many terms are the likely largest.
    likely = sorted(limits, key=lambda polynomial: len(polynomial.terms), reverse=True)
    # Terms are compared first: that is fast, and leaves few sums for proofs.
    for is_at_least in (ordering.has_larger_terms, ordering.is_at_least):
        for bits, at_most in list(limits.items()):
            if any(other is not bits and other in limits and is_at_least(other, at_most) for other in likely):
                del limits[bits]
    return tuple(
        evolve(operator, bits=bits.as_expr(), at_most=limits.pop(bits).as_expr())
        for operator, bits in zip(distinct, outputs[::2], strict=True)
        if bits in limits
    )
