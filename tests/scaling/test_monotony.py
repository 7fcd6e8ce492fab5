"""Signs on boxes and ways over sizes, against values one by one."""

from __future__ import annotations

from itertools import pairwise

import pytest
import sympy
from hypothesis import given, settings
from questions import LAST, QUESTIONS, N, costs, values

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div, exceeds
from modelmeter.scaling import Quantity

M = sympy.Symbol("m", integer=True, positive=True)


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs, costs)
def test_a_way_is_what_values_say(one: Quantity, other: Quantity) -> None:
    answer = scaling.monotone(one - other, "n")
    found = [a - b for a, b in zip(values(one, LAST), values(other, LAST), strict=True)]
    rises = any(a < b for a, b in pairwise(found))
    falls = any(a > b for a, b in pairwise(found))
    assert answer.is_proved
    assert not rises or answer.direction in (1, None)
    assert not falls or answer.direction in (-1, None)
    answer.check()


@settings(max_examples=QUESTIONS, deadline=None)
@given(costs, costs)
def test_a_sign_is_what_values_say(one: Quantity, other: Quantity) -> None:
    answer = scaling.sign(one - other, "n")
    found = {(a > b) - (a < b) for a, b in zip(values(one, LAST), values(other, LAST), strict=True)}
    assert answer.is_proved
    assert found <= answer.signs
    answer.check()


@pytest.mark.parametrize(
    ("formula", "signs"),
    [
        (N * M - N - M + 1, {0, 1}),  # (n - 1) (m - 1)
        (N * M - N - M + 2, {1}),
        (-N * M, {-1}),
        (N**2 + M**2 - 2 * N * M + 1, {1}),  # (n - m)^2 + 1: of no sign by coefficients, on a box of few points
        (N - M, {-1, 0, 1}),
        (M * (64 * ceil_div(N, 64) - N), {0, 1}),
        (exceeds(N, 3) * M - M, {-1, 0}),
    ],
    ids=str,
)
def test_signs_on_a_box(formula: sympy.Expr, signs: set[int]) -> None:
    answer = scaling.sign(Quantity(formula, "f"), ("n", "m"), bounds={"n": (1, 101), "m": (1, 97)})
    assert answer.is_proved
    assert answer.signs == signs
    answer.check()


def test_a_cost_grows_with_the_batch_whatever_the_prompt() -> None:
    prefill = scaling.stage(modelmeter.load(), "prefill")
    for metric in ("tensor_core_flops", "io_bytes"):
        answer = scaling.monotone(prefill.metric(metric), "batch_size", free=("seq_len", "activation_bits"))
        assert answer.is_proved, metric
        assert answer.direction == 1
        answer.check()


def test_more_bytes_in_a_row_do_not_make_a_quotient_grow() -> None:
    prefill = scaling.stage(modelmeter.load(), "prefill")
    answer = scaling.monotone(prefill.weight_bytes / prefill.tensor_core_flops, "seq_len")
    assert answer.direction == -1
    answer.check()
