"""Formulas with unknown sizes: integers where everything is known, polynomials where it is not.

The functions of the formulas take either. On polynomials they are opaque unknowns, unless what they give is known.
Where a width is a fraction, so are coefficients on the way: to the type checker they are integers, and what is traced
is rounded up in the end.
"""

from collections.abc import Callable
from functools import partial
from math import gcd, lcm

from ._polynomials import Call, Check, Polynomial, Value, collect, terms_of
from ._rules import broken_rule, is_broken
from ._runtime import CostError
from ._runtime import routed_reads as scalar_routed_reads


def settle(value: Value) -> Value:
    """Return ``value`` with n (n + 1) / 2 multiplied out wherever its coefficient is even."""
    if not isinstance(value, Polynomial):
        return value
    settled: Value = 0
    for monomial, coefficient in value.terms.items():
        product: Value = 1
        for number in monomial:
            what = value.space.unknowns[number]
            if isinstance(what, Call) and what.function == "triangular" and coefficient % 2 == 0:
                (n,) = what.operands
                product, coefficient = product * n * (n + 1), coefficient // 2
            else:
                product = product * Polynomial(value.space, {(number,): 1})
        settled = settled + coefficient * product
    return settled


def ceil_div(a: Value, divisor: Value) -> Value:
    """Return ``a / divisor``, rounded up."""
    if isinstance(divisor, Polynomial):
        return divisor.space.unknown(Call("ceil_div", (a, divisor)))
    return _divide("ceil_div", a, divisor) if isinstance(a, Polynomial) else -(-a // divisor)


def floor_div(a: Value, divisor: Value) -> Value:
    """Return ``a / divisor``, rounded down."""
    if isinstance(divisor, Polynomial):
        return divisor.space.unknown(Call("floor_div", (a, divisor)))
    return _divide("floor_div", a, divisor) if isinstance(a, Polynomial) else a // divisor


def _divide(function: str, a: Polynomial, divisor: int) -> Value:
    """Divide what can be divided exactly, so that as little as possible is rounded.

    The unknowns are integers, so an integer times one of them is whole; of a fraction, only its whole part is.
    """
    settled = settle(a)
    assert isinstance(settled, Polynomial)
    space, terms = settled.space, settled.terms
    ((number, *others), *more) = terms
    what = space.unknowns[number] if not others and not more else None
    if isinstance(what, Call) and what.function == "largest" and function == "ceil_div":
        return largest(*(ceil_div(settled.terms[(number,)] * operand, divisor) for operand in what.operands))
    whole = collect(space, {monomial: coefficient // divisor for monomial, coefficient in terms.items()})
    rest = collect(space, {monomial: coefficient % divisor for monomial, coefficient in terms.items()})
    if not isinstance(rest, Polynomial):
        return whole + (ceil_div(rest, divisor) if function == "ceil_div" else 0)
    # Coefficients that are fractions become integers over a common denominator.
    scale = lcm(*(coefficient.denominator for coefficient in rest.terms.values()))
    terms = {monomial: int(scale * coefficient) for monomial, coefficient in rest.terms.items()}
    divisor *= scale
    common = gcd(divisor, *(coefficient for monomial, coefficient in terms.items() if monomial))
    constant = terms.get((), 0)
    constant = -(-constant // common) if function == "ceil_div" else constant // common
    reduced = {monomial: coefficient // common for monomial, coefficient in terms.items()} | {(): constant}
    return whole + space.unknown(Call(function, (collect(space, reduced),), (divisor // common,)))


def triangular(n: Value) -> Value:
    """Return ``1 + 2 + ... + n``."""
    return n * (n + 1) // 2 if isinstance(n, int) else n.space.unknown(Call("triangular", (n,)))


def differs(a: Value, b: Value) -> Value:
    """Return 1 where ``a`` is not ``b``, else 0."""
    rest = a - b
    if isinstance(rest, Polynomial):
        return 1 if _is_broken(rest) else rest.space.unknown(Call("differs", (a, b)))
    return int(rest != 0)


def equals(a: Value, b: Value) -> Value:
    """Return 1 where ``a`` is ``b``, else 0."""
    rest = a - b
    if isinstance(rest, Polynomial):
        return 0 if _is_broken(rest) else rest.space.unknown(Call("equals", (a, b)))
    return int(rest == 0)


def _is_broken(rest: Polynomial) -> bool:
    """Tell whether a difference is never whole, and so never 0: of a known width that is a fraction, and a size."""
    return rest.terms.get((), 0) % 1 != 0 and all(
        coefficient % 1 == 0 for monomial, coefficient in rest.terms.items() if monomial
    )


def exceeds(a: Value, b: Value) -> Value:
    """Return 1 where ``a`` is more than ``b``, else 0."""
    rest = a - b
    return int(rest > 0) if isinstance(rest, int) else rest.space.unknown(Call("exceeds", (a, b)))


def largest(*values: Value) -> Value:
    """Return the largest value; what can never be the largest is left out.

    Operands of a call are whole: what widths that are fractions make of them is compared as multiples.
    """
    kept: list[Value] = []
    for value in values:
        if not any(never_exceeds(value, other) for other in kept):
            kept = [other for other in kept if not never_exceeds(other, value)] + [value]
    if len(kept) == 1:
        return kept[0]
    spaces = [value.space for value in kept if isinstance(value, Polynomial)]
    multiple = lcm(*(coefficient.denominator for value in kept for coefficient in terms_of(value).values()))
    whole = tuple(collect(spaces[0], {m: int(multiple * c) for m, c in terms_of(value).items()}) for value in kept)
    if multiple == 1:
        return spaces[0].unknown(Call("largest", whole))
    from fractions import Fraction  # known already where a width is one

    share: int = Fraction(1, multiple)  # type: ignore[assignment]  # see above
    return share * spaces[0].unknown(Call("largest", whole))


def routed_reads(experts: Value, per_token: Value, tokens: Value, weights: Value, expert_routing: str) -> Value:
    """Return the weights that ``tokens`` tokens read of ``experts`` experts.

    Raises
    ------
    CostError
        If more than the tokens is unknown, by which reads are looked up. Weights may grow by a number with each.
    """
    experts, per_token = _know(experts), _know(per_token)
    if isinstance(tokens, int):
        return scalar_routed_reads(experts, per_token, tokens, _know(weights), expert_routing)
    monomial = max(tokens.terms)
    growth, rest = divmod(terms_of(weights).get(monomial, 0), tokens.terms[monomial])
    fixed = weights - growth * tokens
    if rest or growth < 0 or isinstance(fixed, Polynomial) or fixed < 0:
        fixed, growth = _know(weights), 0
    return tokens.space.unknown(Call("routed_reads", (tokens,), (experts, per_token, fixed, growth, expert_routing)))


def enough_tokens(experts: int, per_token: int, fixed: int, growth: int) -> int:
    """Return a number of tokens more than which read every expert for sure; ``functions.enough_tokens`` shows why."""
    return experts * ((2 * experts * (fixed + growth * experts)).bit_length() + (growth > 0)) // per_token


def _know(value: Value) -> int:
    if isinstance(value, Polynomial):
        unknowns = {value.space.unknowns[number] for monomial in value.terms for number in monomial}
        names = ", ".join(sorted(name for name in unknowns if isinstance(name, str)))
        raise CostError(f"{names} must be one number each, not arrays: the reads of experts are looked up by tokens")
    return value


def abbreviate(value: Value) -> Value:
    """Return ``value``, under a name of its own if it is long or takes something away.

    Multiplied out, its powers would be longer yet, and float64 would lose the difference of two large terms.
    """
    if isinstance(value, int) or (len(value.terms) < 4 and min(value.terms.values()) > 0):
        return value
    return value.space.unknown(Call("abbreviate", (value,)))


def at_most(name: str, size: Value, limit_name: str, limit: Value) -> None:
    """Raise an error if a size exceeds another; where that is not known, remember the rule."""
    enforce(Check("exceeds", name, size, limit_name, limit))


def agree(name: str, size: Value, other_name: str, other: Value) -> None:
    """Raise an error if a size is not what it follows from; where that is not known, remember the rule."""
    enforce(Check("differs", name, size, other_name, other))


def zero_together(name: str, size: Value, other_name: str, other: Value) -> None:
    """Raise an error if only one of two sizes is 0; where that is not known, remember the rule."""
    enforce(Check("differs_in_zero", name, size, other_name, other))


def multiple_of(name: str, size: Value, divisor_name: str, divisor: Value) -> None:
    """Raise an error if a size is no multiple of another; where that is not known, remember the rule."""
    enforce(Check("leaves_rest", name, size, divisor_name, divisor))


def not_negative(formula: str, value: Value) -> None:
    """Raise an error if a formula is negative; where that is not known, remember the rule."""
    enforce(Check("is_negative", formula, value, "0", 0))


def enforce(check: Check) -> None:
    """Raise the error of a rule that is broken; where that is not known, remember the rule."""
    sides = [value for value in (check.size, check.limit) if isinstance(value, Polynomial)]
    if not sides:
        if is_broken(check.broken, check.size, check.limit):
            raise broken_rule(*check)
    elif not _always_holds(check):
        sides[0].space.checks.append(check)


def _always_holds(check: Check) -> bool:
    if check.broken == "exceeds":
        return never_exceeds(check.size, check.limit)
    if check.broken == "leaves_rest":
        return check.size == check.limit or check.limit == 1
    return check.size == check.limit or (check.broken == "is_negative" and never_exceeds(check.limit, check.size))


def never_exceeds(value: Value, limit: Value) -> bool:
    """Tell whether ``value`` is at most ``limit`` for all unknowns, none of which is negative."""
    return all(coefficient >= 0 for coefficient in terms_of(limit - value).values())


def apply(call: Call, *operands: Value) -> Value:
    """Return the function of a call, of other operands."""
    return bind(call)(*operands)


def bind(call: Call) -> Callable[..., Value]:
    """Return a call as a function of its operands."""
    if call.function == "routed_reads":
        *numbers, routing = call.constants
        experts, per_token, fixed, growth = map(int, numbers)
        return lambda tokens: routed_reads(experts, per_token, tokens, fixed + growth * tokens, str(routing))
    if call.function in ("ceil_div", "floor_div") and call.constants:
        (divisor,) = call.constants
        assert isinstance(divisor, int)
        return partial(ceil_div if call.function == "ceil_div" else floor_div, divisor=divisor)
    return _FUNCTIONS[call.function]


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "abbreviate": abbreviate,
    "ceil_div": ceil_div,
    "differs": differs,
    "equals": equals,
    "exceeds": exceeds,
    "floor_div": floor_div,
    "largest": largest,
    "triangular": triangular,
}
