"""How wrong rules of thumb are, against values one by one."""

from __future__ import annotations

from fractions import Fraction

import sympy
from hypothesis import given, settings
from questions import LAST, QUESTIONS, N, costs, values

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div
from modelmeter.scaling import Quantity

M = sympy.Symbol("m", integer=True, positive=True)


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs, costs)
def test_an_error_is_what_values_say(rule: Quantity, exact: Quantity) -> None:
    exact = exact + 1
    answer = scaling.rule_of_thumb(rule, exact, "n")
    answer.check() if answer.certificates else None
    errors = [Fraction(a, b) - 1 for a, b in zip(values(rule, LAST), values(exact, LAST), strict=True)]
    for bound, at, sign in ((answer.lowest, answer.lowest_at, -1), (answer.highest, answer.highest_at, 1)):
        if bound is None:
            continue
        assert all(sign * error <= sign * bound for error in errors)
        if at is not None and at["n"] <= LAST:
            assert errors[at["n"] - 1] == bound
        elif at is None:
            assert bound not in errors


def test_a_rule_over_two_sizes() -> None:
    rule, exact = Quantity(2 * N * M, "rule"), Quantity(2 * N * M + 6 * M, "exact")  # wrong by -3 / (n + 3)
    answer = scaling.rule_of_thumb(rule, exact, ("n", "m"), bounds={"n": (3, 97), "m": (5, 7)})
    answer.check()
    assert (answer.lowest, answer.highest) == (Fraction(-3, 6), Fraction(-3, 100))
    assert answer.value == Fraction(1, 2)


def test_two_flops_for_each_parameter_and_token() -> None:
    model = modelmeter.load()
    prefill = scaling.stage(model, "prefill")
    tokens = scaling.size(model, "seq_len")
    rule = (prefill.weight_bytes / 2 * tokens * 2 / Quantity(sympy.Integer(1), "1 byte", "bytes")).named("2 N a token")
    answer = scaling.rule_of_thumb(
        rule * Quantity(sympy.Integer(1), "1 FLOP", "FLOPs"), prefill.tensor_core_flops, "seq_len"
    )
    answer.check()
    # All experts have weights, and few of them are used; attention, which has none, wins in the end.
    assert answer.lowest == -1
    assert answer.lowest_at is None
    assert answer.highest_at == {"seq_len": 1}
    weights = model.evaluate("prefill", seq_len=1).weight_bytes // 2
    assert answer.highest == Fraction(2 * weights, model.evaluate("prefill", seq_len=1).tensor_core_flops) - 1


def test_an_error_with_a_rounding() -> None:
    answer = scaling.rule_of_thumb(Quantity(N, "n"), Quantity(64 * ceil_div(N, 64), "rounded"), "n")
    answer.check()
    assert (answer.lowest, answer.lowest_at) == (Fraction(1, 64) - 1, {"n": 1})
    assert (answer.highest, answer.highest_at) == (0, {"n": 64})


def test_an_error_that_does_not_depend_on_the_size_says_so() -> None:
    """2 (n^2 + n) for n^2 + n is twice as much, at every size; and 3 m n for m n three times."""
    exact = Quantity(N**2 + N, "exact")
    answer = scaling.rule_of_thumb(2 * exact, exact, "n")
    answer.check()
    assert answer.sentence == "2 * exact is wrong for exact by +100.00 %, which does not depend on n."
    limits = {"n": (1, 5), "m": (1, 7)}
    answer = scaling.rule_of_thumb(Quantity(3 * N * M, "rule"), Quantity(N * M, "exact"), ("n", "m"), bounds=limits)
    assert answer.sentence == "rule is wrong for exact by +200.00 %, which does not depend on n or m."
