"""Signs on a box of several sizes, from the signs of coefficients.

Each size is its least value and a rest that is not negative; a size with an end is a mean of its two ends. What is
between bounds is replaced by the bound that makes the formula smallest, a bracket by 0 and by 1, a maximum by each of
what it may be. Where all coefficients are of one sign then, so is the formula. Where that fails, the box is halved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from math import comb, prod

from modelmeter.scaling import normal_form, terms
from modelmeter.scaling.domain import Range
from modelmeter.scaling.normal_form import ONE, NormalForm
from modelmeter.scaling.terms import BRACKETS, CALLS, CHOICES, ROUNDINGS, Number, Term

MOST_PARTS = 64
"""So often a box is halved at the most."""

MOST_POINTS = 20_000
"""A box of at most so many points is evaluated one by one, where nothing else helps."""

_DEEPEST = 12


def proves(form: NormalForm, ranges: Mapping[str, Range], *, strict: bool) -> bool:
    """Tell whether a formula is proved to be at least 0, or more than 0, on all integers of a box."""
    pending = [dict(ranges)]
    parts = 0
    while pending:
        box = pending.pop()
        parts += 1
        if _is_hopeless(form, box, strict=strict):
            return False
        if _proves_box(form, box, strict=strict, depth=0):
            continue
        halves = _halve(box) if parts + len(pending) < MOST_PARTS else []
        if not halves:
            return _proves_points(form, ranges, strict=strict)
        pending += halves
    return True


def proves_undivided(form: NormalForm, ranges: Mapping[str, Range], *, strict: bool) -> bool:
    """Tell whether a formula is proved to have its sign on a box as a whole, without halves and without points.

    Such a proof also holds between the integers of a size that no call in the formula rounds.
    """
    return _proves_box(form, ranges, strict=strict, depth=0)


def _proves_points(form: NormalForm, box: Mapping[str, Range], *, strict: bool) -> bool:
    """Evaluate all points of a box, where there are few."""
    counts = [None if each.last is None else (each.last - each.first) // each.multiple_of + 1 for each in box.values()]
    if None in counts or prod(count for count in counts if count) > MOST_POINTS:
        return False
    term = normal_form.to_normal_term(form)
    return all(
        (value := terms.evaluate(term, point)) > 0 or (not strict and value == 0)
        for point in list_points(box, MOST_POINTS)
    )


def list_points(box: Mapping[str, Range], most: int) -> Iterator[dict[str, Number]]:
    """Yield the points of a box, of each size its first values, so that they are about ``most``."""
    if not box:
        yield {}
        return
    sizes = [1 if each.last is None else (each.last - each.first) // each.multiple_of + 1 for each in box.values()]
    is_small = None not in [each.last for each in box.values()] and prod(sizes) <= most
    each_count = most if is_small else max(2, int(most ** (1 / len(box))))
    for values in product(*(list(each.sample(each_count)) for each in box.values())):
        yield dict(zip(box, values, strict=True))


def _is_hopeless(form: NormalForm, box: Mapping[str, Range], *, strict: bool) -> bool:
    """Tell whether the formula has the wrong sign at some corner: then there is no proof."""
    term = normal_form.to_normal_term(form)
    corners = [
        sorted({each.first, each.first + each.multiple_of} if each.last is None else {each.first, each.last})
        for each in box.values()
    ]
    for values in product(*corners):
        value = terms.evaluate(term, dict(zip(box, values, strict=True)))
        if value < 0 or (strict and value == 0):
            return True
    return False


def _halve(box: Mapping[str, Range]) -> list[dict[str, Range]]:
    """Return the two halves of a box, by its longest side; a side without end is cut at twice its beginning."""

    def length(name: str) -> float:
        each = box[name]
        end = 4 * each.first + 8 if each.last is None else each.last
        return (end - each.first + 1) / (each.first + 1)

    names = [name for name, each in box.items() if each.last != each.first]
    if not names:
        return []
    name = max(names, key=length)
    each = box[name]
    middle = 2 * each.first + each.multiple_of if each.last is None else (each.first + each.last) // 2
    lower = Range(each.first, middle, each.multiple_of)
    upper = Range((lower.last or 0) + each.multiple_of, each.last, each.multiple_of)
    return [{**box, name: lower}, {**box, name: upper}]


def _proves_box(form: NormalForm, box: Mapping[str, Range], *, strict: bool, depth: int) -> bool:
    if has_one_sign(form, box, strict=strict):
        return True
    calls = [each for each in normal_form.generators_of([form]) if terms.is_call(each)]
    if not calls or depth > _DEEPEST:
        return False
    call = max(calls, key=lambda each: (_depth(each), str(each)))

    def goes_on(cases: Sequence[NormalForm]) -> bool:
        return all(_proves_box(put(form, call, case), box, strict=strict, depth=depth + 1) for case in cases)

    return any(goes_on(cases) for cases in _list_cases(form, call, box))


def _list_cases(form: NormalForm, call: Term, box: Mapping[str, Range]) -> Iterator[list[NormalForm]]:
    """Yield what a call may be replaced by: it suffices to prove all cases of one of these lists."""
    assert isinstance(call, tuple)
    head, arguments = call[0], [normal_form.read(argument) for argument in call[1:]]
    if head in BRACKETS:
        yield [normal_form.constant(0), normal_form.constant(1)]
        return
    coefficients = split_powers(form, call)
    rest = [coefficient for times, coefficient in coefficients.items() if times]
    grows = all(has_one_sign(each, box, strict=False) for each in rest)
    falls = all(has_one_sign(normal_form.scale(each, -1), box, strict=False) for each in rest)
    if head in CHOICES:
        if max(coefficients) == 1 and (grows if head == "max" else falls):  # a maximum is at least each candidate
            yield from ([candidate] for candidate in arguments)
        yield list(arguments)
        return
    if head in ROUNDINGS and len(arguments[1]) == 1 and (grows or falls):
        dividend, divisor = arguments
        inverse = normal_form.power(divisor, -1)
        spare = normal_form.add(divisor, normal_form.constant(-1))
        if head == "ceil_div":
            above = dividend if grows else normal_form.add(dividend, spare)
        else:
            above = normal_form.add(dividend, normal_form.scale(spare, -1)) if grows else dividend
        if head == "ceil_div" or falls or max(coefficients) == 1:  # powers keep an order of what is not negative
            yield [normal_form.multiply(above, inverse)]
    if head in ROUNDINGS and grows:
        yield [normal_form.constant(0)]
    if head == "routed_reads":
        experts, per_token, tokens, weights = arguments
        if grows:
            some = normal_form.multiply(per_token, weights)
            if has_one_sign(normal_form.add(tokens, normal_form.constant(-1)), box, strict=False):
                yield [some]
            yield [normal_form.constant(0)]
        if falls:
            yield [normal_form.multiply(experts, weights)]
            yield [normal_form.multiply(normal_form.multiply(per_token, tokens), weights)]


def split_powers(form: NormalForm, generator: Term) -> dict[int, NormalForm]:
    """Return the coefficients of the powers of a size or a call."""
    found: dict[int, NormalForm] = {}
    for monomial, coefficient in form.items():
        powers = dict(monomial)
        times = powers.pop(generator, 0)
        rest = tuple((each, power) for each, power in monomial if each != generator)
        found.setdefault(times, {})[rest] = coefficient
    return found


def put(form: NormalForm, generator: Term, value: NormalForm) -> NormalForm:
    """Return a formula with another for a size or a call, where that is no part of a call."""
    parts = [
        normal_form.multiply(coefficient, normal_form.power(value, times))
        for times, coefficient in split_powers(form, generator).items()
    ]
    return normal_form.add(*parts)


def has_one_sign(form: NormalForm, box: Mapping[str, Range], *, strict: bool) -> bool:
    """Tell whether no coefficient is negative after the shift to the corner; calls count as not negative.

    For ``strict``, the value at the corner must be more than 0.
    """
    shifted = form
    degrees: dict[str, int] = {}
    for each_generator in normal_form.generators_of([form]):
        if each_generator not in box and not (isinstance(each_generator, tuple) and each_generator[0] in CALLS):
            return False  # of a maximum, and of what has no bounds, no sign is known
    for name, each in box.items():
        powers = split_powers(shifted, name)
        if any(times < 0 for times in powers):
            return False
        degree = max(powers, default=0)
        if not degree:
            continue
        if each.last is None:
            corner = normal_form.add(normal_form.generator(name), normal_form.constant(each.first))
            shifted = put(shifted, name, corner)
        else:
            shifted = _between(powers, name, each.first, each.last, degree)
            degrees[name] = degree
    if any(coefficient < 0 for coefficient in shifted.values()):
        return False
    if not strict:
        return True
    # Some term is more than 0 at every point: it has no size without end, and there is one at each end of the others.
    return all(
        shifted.get(tuple((name, degree) for name, degree in sorted(degrees.items()) if name in ends), 0) > 0
        for count in range(len(degrees) + 1)
        for ends in combinations(degrees, count)
    )


def _between(powers: Mapping[int, NormalForm], name: str, first: int, last: int, degree: int) -> NormalForm:
    """Return ``(1 + t)**degree`` times a formula at ``(first + last t) / (1 + t)``: t goes from 0 without end."""
    total: NormalForm = {}
    for times, coefficient in powers.items():
        mixed: NormalForm = {}
        for up in range(times + 1):
            for more in range(degree - times + 1):
                weight = comb(times, up) * last**up * first ** (times - up) * comb(degree - times, more)
                power = up + more
                key = ((name, power),) if power else ONE
                mixed[key] = mixed.get(key, 0) + weight
        total = normal_form.add(total, normal_form.multiply(coefficient, mixed))
    return total


def _depth(term: Term) -> int:
    return 1 + max((_depth(part) for part in term[1:]), default=0) if isinstance(term, tuple) else 0
