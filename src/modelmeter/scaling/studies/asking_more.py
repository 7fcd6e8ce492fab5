"""More questions of studies: elasticities, errors of rules of thumb, and steps."""

from __future__ import annotations

from fractions import Fraction

import sympy

from modelmeter.scaling.elasticity import elasticity
from modelmeter.scaling.question import Bounds, ask
from modelmeter.scaling.rule_of_thumb import rule_of_thumb
from modelmeter.scaling.statement import Interval
from modelmeter.scaling.steps import Step, steps
from modelmeter.scaling.studies import words
from modelmeter.scaling.studies.asking import Worded
from modelmeter.scaling.studies.records import Claim, IdentifiedStatement, with_domain
from modelmeter.scaling.substitution import put_sizes
from modelmeter.scaling.terms import Number


def ask_elasticity(id_: str, of: Worded, over: str) -> IdentifiedStatement:
    """Return where a quantity grows at least as fast as a size: where its elasticity is 1 or more."""
    found = with_domain(elasticity(of.quantity, over), of.fixed)
    size = next((each for each in found.polynomial.free_symbols if each.name == over), sympy.Symbol(over))
    tends = "" if found.value is None else f"; its elasticity tends to {words.write_number(found.value)}"
    where = words.write_intervals(found.at_least_one) if found.at_least_one else "nowhere"
    text = f"{of.words} grows at least in proportion to {over} {where}{tends}"
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found, sentence=words.finish(text, found, of.sizes),
        where=words.write_domain(found.domain, of.sizes),
        claim=Claim(
            left=sympy.expand(size * sympy.diff(found.polynomial, size)), right=found.polynomial, over=over,
            intervals=found.at_least_one,
        ),
    )  # fmt: skip


def ask_rule(id_: str, rule: Worded, exact: Worded, over: str, *, bounds: Bounds | None = None) -> IdentifiedStatement:
    """Return by how much a rule of thumb is wrong, as a formula and at the most."""
    found = with_domain(rule_of_thumb(rule.quantity, exact.quantity, over, bounds=bounds), exact.fixed)
    question = ask((rule.quantity, exact.quantity), over, bounds=bounds)
    error = question.formulas[0] / question.formulas[1] - 1
    sizes = {**rule.sizes, **exact.sizes}
    text = f"for {exact.words}, {rule.words} gives between {_say_error(found.lowest)} and {_say_error(found.highest)}"
    if found.lowest is not None and found.lowest == found.highest:
        text = f"for {exact.words}, {rule.words} gives {_say_error(found.lowest)}, which does not depend on {over}"
    everywhere = (Interval(question.range.first, question.range.last),)
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found, sentence=words.finish(text, found, sizes),
        where=words.write_domain(found.domain, sizes),
        claim=Claim(
            left=error, right=sympy.sympify(0 if found.lowest is None else found.lowest), over=over,
            intervals=None if found.lowest is None else everywhere,
        ),
    )  # fmt: skip


def _say_error(value: Number | None) -> str:
    """Return an error as too little or too much; its exact number is the statement's."""
    if value is None:
        return "no bound"
    if value == 0:
        return "exactly it"
    percent = words.write_percent(abs(Fraction(value)))
    return f"{percent} too {'little' if value < 0 else 'much'}"


def ask_steps(id_: str, of: Worded, over: str) -> IdentifiedStatement:
    """Return where the roundings of a quantity jump, and what the first jump costs."""
    found = with_domain(steps(of.quantity, over), of.fixed)
    listed = "; ".join(_say_step(each, over) for each in found.steps) or "nowhere"
    here = ask((of.quantity,), over).formulas[0]
    size = next(each for each in here.free_symbols if each.name == over)
    before = put_sizes(here, {over: size - 1})
    first = min(found.steps, key=lambda each: each.first) if found.steps else None
    return IdentifiedStatement(
        id=f"{id_}/{found.kind}/{over}", statement=found,
        sentence=words.finish(f"{of.words} jumps as {over} grows: {listed}", found, of.sizes),
        where=words.write_domain(found.domain, of.sizes),
        claim=Claim(
            left=here - before, right=sympy.sympify(0 if first is None else first.first_cost), over=over,
            intervals=None if first is None else (Interval(first.first, first.first),),
            known_from=0 if first is None else first.first, known_to=None if first is None else first.first,
        ),
    )  # fmt: skip


def _say_step(step: Step, over: str) -> str:
    residues = ", ".join(f"{each:,}" for each in step.residues[:4]) + (" and more" if len(step.residues) > 4 else "")
    return (
        f"where {over} leaves {residues} by {step.modulus:,}, first at {step.first:,}, where it grows by "
        f"{words.write_number(step.first_cost)}"
    )
