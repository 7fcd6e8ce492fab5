"""Questions of studies: each is asked of the library, and gets its id, its sentence and its claim."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import sympy
from attrs import frozen

from modelmeter.scaling.crossover import Crossover, crossover
from modelmeter.scaling.inverse import largest, smallest
from modelmeter.scaling.limit import limit
from modelmeter.scaling.monotony import monotone
from modelmeter.scaling.order import WITHIN, Order, order, say_closeness
from modelmeter.scaling.quantity import Quantity, of_one_unit
from modelmeter.scaling.question import Bounds, ask
from modelmeter.scaling.statement import Interval
from modelmeter.scaling.studies import words
from modelmeter.scaling.studies.records import Claim, IdentifiedStatement, with_domain, without_sizes
from modelmeter.scaling.studies.words import Sizes
from modelmeter.scaling.substitution import put_sizes
from modelmeter.scaling.terms import Number


@frozen
class Worded:
    """A quantity with what people call it, in the singular: ``the memory traffic (bytes) of the prefill``.

    ``fixed`` are numbers that were put into its formula before, and that the domain of a statement names.
    """

    quantity: Quantity
    words: str
    fixed: Mapping[str, Number] = {}

    @property
    def sizes(self) -> Sizes:
        """What each size is."""
        return self.quantity.context.dimensions

    def __add__(self, other: Worded) -> Worded:
        return Worded(
            self.quantity + other.quantity, f"{self.words} and {other.words} together", {**self.fixed, **other.fixed}
        )


def budget(value: Number, unit: str, text: str) -> Worded:
    """Return a number that something must not exceed, or reach."""
    formula = Fraction(value)
    return Worded(Quantity(formula=formula, name=text, unit=unit), text)


def ask_crossover(id_: str, a: Worded, b: Worded, over: str, *, bounds: Bounds | None = None) -> IdentifiedStatement:
    """Return where one quantity is at least another: ``id_`` lacks the kind and the size."""
    sizes = {**a.sizes, **b.sizes}
    found = crossover(a.quantity, b.quantity, over, bounds=bounds)
    found = without_sizes(with_domain(found, {**a.fixed, **b.fixed}), _find_differing(a, b, over))
    claim = f"{a.words} is at least {b.words}"
    text = {
        "always": f"{claim} at every {over}",
        "never": f"{a.words} is less than {b.words} at every {over}",
        "by residue": f"from some {over} on, {claim} on some residue classes of {over} only",
        "only": f"{claim} only {words.write_intervals(found.holds)} of {over}, and at no larger one",
    }.get(found.outcome)
    if text is None and found.value is not None:
        before = found.holds[:-1]
        earlier = f"before that only {words.write_intervals(before)}" if before else "not before"
        text = f"{claim} from {words.write_size(over, found.value, sizes)} on, and {earlier}"
    is_open = found.outcome == "by residue"
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found, sentence=words.finish(str(text), found, sizes),
        where=words.write_domain(found.domain, sizes),
        claim=_claim(a.quantity, b.quantity, over, None if is_open else found.holds, bounds),
    )  # fmt: skip


def ask_which(id_: str, reverse: str, a: Worded, b: Worded, over: str) -> IdentifiedStatement:
    """Return where one quantity is at least another; where that is nowhere, the same the other way round."""
    found = ask_crossover(id_, a, b, over)
    statement = found.statement
    assert isinstance(statement, Crossover)
    return ask_crossover(reverse, b, a, over) if statement.outcome == "never" else found


def _find_differing(a: Worded, b: Worded, over: str) -> frozenset[str]:
    """Return the sizes that two quantities have at different numbers: their words say which."""
    one, other = (
        {**each.fixed, **each.quantity.context.fill(each.quantity.formula, each.quantity.values, [over])[1]}
        for each in (a, b)
    )
    return frozenset(name for name in one.keys() & other.keys() if one[name] != other[name])


def ask_largest(id_: str, of: Worded, under: Worded, over: str, *, bounds: Bounds | None = None) -> IdentifiedStatement:
    """Return the largest size at which a quantity is within a budget."""
    sizes = {**of.sizes, **under.sizes}
    found = with_domain(largest(over, of=of.quantity, under=under.quantity, bounds=bounds), {**under.fixed, **of.fixed})
    fits = f"{of.words} fits into {under.words}"
    if found.outcome == "at" and found.value is not None:
        where = words.write_size(over, found.value, sizes)
        text = f"{fits} up to {where}, and at no larger one"
        if len(found.fits) > 1:
            text = f"{fits} at {where} and at no larger one, but not at every smaller one"
    else:
        text = {
            "never": f"{of.words} exceeds {under.words} at every {over}",
            "unbounded": f"{fits} however large {over} is",
        }[found.outcome]
    has_open = found.outcome == "unbounded" and not found.fits
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found, sentence=words.finish(text, found, sizes),
        where=words.write_domain(found.domain, sizes),
        claim=_claim(under.quantity, of.quantity, over, None if has_open else found.fits, bounds),
    )  # fmt: skip


def ask_smallest(
    id_: str, of: Worded, at_least: Worded, over: str, *, bounds: Bounds | None = None
) -> IdentifiedStatement:
    """Return the smallest size at which a quantity reaches a target."""
    sizes = {**of.sizes, **at_least.sizes}
    found = with_domain(
        smallest(over, of=of.quantity, at_least=at_least.quantity, bounds=bounds), {**of.fixed, **at_least.fixed}
    )
    if found.value is None:
        text = f"at no {over} does {of.words} reach {at_least.words}"
    else:
        where = words.write_size(over, found.value, sizes)
        text = f"{of.words} reaches {at_least.words} at {where}, and at no smaller one"
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found, sentence=words.finish(text, found, sizes),
        where=words.write_domain(found.domain, sizes),
        claim=_claim(of.quantity, at_least.quantity, over, found.fits, bounds),
    )  # fmt: skip


def ask_order(
    id_: str, of: Worded, over: str, *, bounds: Bounds | None = None, within: Fraction = WITHIN
) -> IdentifiedStatement:
    """Return how a quantity grows over a size, and from where on it is close to its leading term."""
    sizes = of.sizes
    found = with_domain(order(of.quantity, over, within=within, bounds=bounds), of.fixed)
    question = ask((of.quantity,), over, bounds=bounds)
    assert found.formula is not None
    growth = _write_growth(found, over)
    if found.is_constant:
        number = words.write_number(found.coefficient or 0)
        is_plain = not question.formulas[0].free_symbols
        text = f"does not depend on {over}: it is {number}" if is_plain else f"is {number}, whatever {over} is"
    elif found.is_exact:
        text = f"is {growth.removeprefix('grows as ')}"
    else:
        text = growth + say_closeness(found, words.write_size(over, found.from_size or 0, sizes))
    holds = () if found.from_size is None else (Interval(found.from_size, question.range.last),)
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found,
        sentence=words.finish(f"{of.words} {text}", found, sizes),
        where=words.write_domain(found.domain, sizes),
        # Squares, so that it is one comparison on both sides of the leading term.
        claim=Claim(
            left=(found.formula * within.numerator / within.denominator) ** 2,
            right=(question.formulas[0] - found.formula) ** 2, over=over,
            intervals=holds or None, known_from=(found.from_size or 1) - 1,
        ),
    )  # fmt: skip


def ask_growth(id_: str, of: Worded, over: str) -> IdentifiedStatement:
    """Return how a quantity grows over a size; where the size has an end, which way it goes."""
    allowed = ask((of.quantity,), over).range
    return ask_order(id_, of, over) if allowed.last is None else ask_monotone(id_, of, over)


def ask_limit(id_: str, of: Worded, over: str, *, bounds: Bounds | None = None) -> IdentifiedStatement:
    """Return what a quantity, often a quotient, tends to, and from which side."""
    sizes = of.sizes
    found = with_domain(limit(of.quantity, over, bounds=bounds), of.fixed)
    if found.value is None:
        text = f"{of.words} grows without end as {over} grows"
    else:
        side = {
            "below": ", and is never more", "above": ", and is never less", "equal": ", which it always is",
        }.get(found.side or "", "")  # fmt: skip
        exact = words.write_number(found.value)
        about = "" if found.value.denominator == 1 else f" (about {words.write_rounded(found.value)})"
        text = f"{of.words} tends to {exact}{about} as {over} grows{side}"
    question = ask((of.quantity,), over, bounds=bounds)
    if found.value is not None and not question.formulas[0].free_symbols:
        text = f"{of.words} does not depend on {over}: it is {words.write_number(found.value)}"
    bound, formula = sympy.sympify(found.formula), question.formulas[0]
    everywhere = (Interval(question.range.first, question.range.last),)
    is_above = found.side == "above"
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found, sentence=words.finish(text, found, sizes),
        where=words.write_domain(found.domain, sizes),
        claim=Claim(
            left=formula if is_above else bound, right=bound if is_above else formula, over=over,
            intervals=everywhere if found.side in ("above", "below", "equal") else None,
        ),
    )  # fmt: skip


def ask_monotone(id_: str, of: Worded, over: str, *, bounds: Bounds | None = None) -> IdentifiedStatement:
    """Return which way a quantity goes over a size."""
    sizes = of.sizes
    found = with_domain(monotone(of.quantity, over, bounds=bounds), of.fixed)
    ways = {1: "never falls", -1: "never rises", 0: "stays the same", None: "rises and falls"}
    turn = f", first turning at {words.write_size(over, found.turns[0], sizes)}" if found.turns else ""
    question = ask((of.quantity,), over, bounds=bounds)
    here, size = question.formulas[0], question.symbols[over]
    following = put_sizes(here, {over: size + question.range.multiple_of})
    last = None if question.range.last is None else question.range.last - question.range.multiple_of
    everywhere = (Interval(question.range.first, last),)
    left, right = (here, following) if found.direction == -1 else (following, here)
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found,
        sentence=words.finish(f"{of.words} {ways[found.direction]} as {over} grows{turn}", found, sizes),
        where=words.write_domain(found.domain, sizes),
        claim=Claim(
            left=left, right=right, over=over, intervals=None if found.direction is None else everywhere,
            known_to=last,
        ),
    )  # fmt: skip


def _write_growth(found: Order, over: str) -> str:
    if found.coefficient is None:  # other sizes are free, too
        return f"grows as {found.formula}"
    coefficient = words.write_number(found.coefficient)
    if not found.degree:
        return f"tends to {coefficient}"
    power = over if found.degree == 1 else f"{over}^{found.degree}"
    return f"grows as {coefficient} x {power}"


def _claim(
    left: Quantity, right: Quantity, over: str, intervals: tuple[Interval, ...] | None, bounds: Bounds | None
) -> Claim:
    one, other = of_one_unit(left, right)
    question = ask((one, other), over, bounds=bounds)
    return Claim(left=question.formulas[0], right=question.formulas[1], over=over, intervals=intervals)
