"""Which of several costs is the largest, over one size and over two, against values one by one."""

from __future__ import annotations

import pytest
import sympy
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import LAST, QUESTIONS, N, costs, values

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div, floor_div
from modelmeter.scaling import Quantity
from modelmeter.support.errors import CertificateError, FormulaError

M = sympy.Symbol("m", integer=True, positive=True)


@settings(max_examples=QUESTIONS, deadline=None)
@given(st.lists(costs, min_size=2, max_size=3), st.sampled_from(["largest", "smallest"]))
def test_regimes_are_what_values_say(listed: list[Quantity], goal: str) -> None:
    names = [f"cost {place}" for place in range(len(listed))]
    answer = scaling.regimes(dict(zip(names, listed, strict=True)), "n", goal=goal)  # type: ignore[arg-type]
    answer.check()
    rows = [values(each, LAST) for each in listed]
    for n in range(1, LAST + 1):
        at = [row[n - 1] for row in rows]
        best = max(at) if goal == "largest" else min(at)
        assert answer.winner_at(n) in (names[at.index(best)], None)


def test_what_decides_by_residue_is_said_so() -> None:
    odd = N - 2 * floor_div(N, 2)
    answer = scaling.regimes({"odd": Quantity(2 * odd, "odd"), "one": Quantity(sympy.Integer(1), "one")}, "n")
    assert answer.regimes[-1].winner is None
    assert "decided by the residue" in answer.sentence


def test_a_wrong_border_is_refused() -> None:
    answer = scaling.regimes({"a": Quantity(N**2, "a"), "b": Quantity(10 * N, "b")}, "n")
    assert [(each.first, each.winner) for each in answer.regimes] == [(1, "b"), (10, "a")]
    moved = tuple(evolve(each, first=each.first + (each.first > 1)) for each in answer.regimes)
    with pytest.raises(CertificateError):
        evolve(answer, regimes=moved).check()


def test_a_map_of_two_sizes() -> None:
    answer = scaling.regime_map(
        {"a": Quantity(N * M, "a"), "b": Quantity(30 + 2 * M, "b")}, ("n", "m"), bounds={"n": (1, 12), "m": (1, 40)}
    )
    answer.check()
    for n in range(1, 13):
        for m in range(1, 41):
            assert answer.winner_at(n, m) == ("a" if n * m >= 30 + 2 * m else "b")
    # n m >= 30 + 2 m from m = 30 / (n - 2) on
    assert {pair: sympy.simplify(curve - 30 / (N - 2)) for pair, curve in answer.curves.items()} == {("b", "a"): 0}


def test_the_stage_that_takes_longest() -> None:
    model = modelmeter.load()
    stages = {name: scaling.stage(model, name).tensor_core_flops for name in ("vision", "prefill", "decode")}
    answer = scaling.regimes(stages, "max_new_tokens")
    assert answer.regimes[0].winner == "vision"
    assert answer.regimes[-1].winner == "decode"
    border = answer.borders[0]
    assert (
        model.evaluate("decode", max_new_tokens=border).tensor_core_flops
        > (model.evaluate("vision").tensor_core_flops)
        >= model.evaluate("decode", max_new_tokens=border - 1).tensor_core_flops
    )


def test_costs_of_different_units_have_no_order() -> None:
    prefill = scaling.stage(modelmeter.load(), "prefill")
    with pytest.raises(FormulaError, match="different units"):
        scaling.regimes({"a": prefill.io_bytes, "b": prefill.tensor_core_flops}, "seq_len")


def test_costs_that_the_residue_decides_between_replay() -> None:
    """Of odd sizes the half rounded down is less; at even ones both are the same, and the first that is named wins."""
    costs = {"up": Quantity(ceil_div(N, 2), "up"), "down": Quantity(floor_div(N, 2), "down")}
    answer = scaling.regimes(costs, "n", goal="smallest")
    answer.check()
    assert answer.regimes[-1].winner is None
