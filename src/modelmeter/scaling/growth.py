"""Which way a formula goes over a size, from which way its parts go: sums, products, roundings, brackets, experts."""

from __future__ import annotations

from collections.abc import Mapping

from modelmeter.scaling import box, normal_form
from modelmeter.scaling.domain import Range
from modelmeter.scaling.normal_form import Monomial, NormalForm
from modelmeter.scaling.terms import CHOICES, ROUNDINGS, Term, is_call, names_of


def find_direction(form: NormalForm, name: str, ranges: Mapping[str, Range]) -> int | None:
    """Return 1 where a formula never falls over a size on a box, -1 where it never rises, 0 where it stays.

    None: that is not proved. Sizes are not negative.
    """
    by_calls: dict[Monomial, NormalForm] = {}
    for monomial, coefficient in form.items():
        calls = tuple((each, times) for each, times in monomial if is_call(each) and name in names_of(each))
        rest = tuple((each, times) for each, times in monomial if (each, times) not in calls)
        by_calls.setdefault(calls, {})[rest] = coefficient
    directions: set[int | None] = set()
    for calls, coefficient_form in by_calls.items():
        directions.add(_direction_of_product(calls, coefficient_form, name, ranges))
        if None in directions:
            return None
    return join(directions)


def join(directions: set[int | None]) -> int | None:
    """Return the one way that all of some directions are."""
    moving = directions - {0}
    if not moving:
        return 0
    return moving.pop() if len(moving) == 1 else None


def _direction_of_plain(form: NormalForm, name: str, ranges: Mapping[str, Range]) -> int | None:
    """Return which way a formula goes that has the size in no call: its difference has one sign."""
    if all(each != name for monomial in form for each, _ in monomial):
        return 0
    step = ranges[name].multiple_of
    following = normal_form.add(normal_form.generator(name), normal_form.constant(step))
    if any(each == name and times < 0 for monomial in form for each, times in monomial):
        return None
    difference = normal_form.add(box.put(form, name, following), normal_form.scale(form, -1))
    if box.proves(difference, ranges, strict=False):
        return 1
    return -1 if box.proves(normal_form.scale(difference, -1), ranges, strict=False) else None


def _direction_of_product(
    calls: Monomial, coefficient: NormalForm, name: str, ranges: Mapping[str, Range]
) -> int | None:
    """Return which way a product of calls and of a coefficient without the size in a call goes."""
    own = _direction_of_plain(coefficient, name, ranges)
    if not calls or own is None:
        return own
    directions: set[int | None] = set()
    for call, times in calls:
        assert isinstance(call, tuple)
        if call[0] in CHOICES and (own or len(calls) > 1 or times != 1):
            return None  # it may be negative, and then a product of it does not go its way
        direction = _direction_of_call(call, name, ranges)
        directions.add(None if direction is None else direction * (1 if times > 0 else -1))
    together = join(directions)
    for sign in (1, -1):
        if together is not None and box.proves(normal_form.scale(coefficient, sign), ranges, strict=False):
            return join({own, together * sign})
    return None


def _direction_of_call(call: Term, name: str, ranges: Mapping[str, Range]) -> int | None:
    if name not in names_of(call):
        return 0
    assert isinstance(call, tuple)
    head, arguments = call[0], [normal_form.read(argument) for argument in call[1:]]
    directions = [find_direction(argument, name, ranges) for argument in arguments]
    if head in CHOICES:
        return join(set(directions))
    if head in ROUNDINGS or head == "exceeds":
        other = directions[1]
        return join({directions[0], None if other is None else -other})
    if head in ("differs", "equals"):
        return _direction_of_difference(head, arguments, directions, ranges)
    # Routed experts: with more tokens, choices or weights more is read; and with more experts, since fewer are chosen
    # twice: the derivative of E (1 - (1 - k/E)^N) by E is the chance that an expert is chosen by two tokens or more.
    return join(set(directions)) if head == "routed_reads" else None


def _direction_of_difference(
    head: str, arguments: list[NormalForm], directions: list[int | None], ranges: Mapping[str, Range]
) -> int | None:
    """Return which way ``[a != b]`` goes: that of ``[a > b]``, where ``a >= b`` everywhere."""
    one, other = directions
    difference = normal_form.add(arguments[0], normal_form.scale(arguments[1], -1))
    direction = join({one, None if other is None else -other})
    if direction is None:
        return None
    if box.proves(difference, ranges, strict=False):
        return direction if head == "differs" else -direction
    if box.proves(normal_form.scale(difference, -1), ranges, strict=False):
        return -direction if head == "differs" else direction
    return None
