"""Differences of two costs, term by term."""

from __future__ import annotations

import pytest
import sympy
from questions import N

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.functions import ceil_div
from modelmeter.scaling import Quantity
from modelmeter.support.errors import FormulaError

M = sympy.Symbol("m", integer=True, positive=True)


def test_by_hand() -> None:
    answer = scaling.difference(Quantity(3 * N**2 + 5 * ceil_div(N, 4) + 7, "a"), Quantity(2 * N**2 + 6 * N, "b"), "n")
    answer.check()
    assert {each.name: (each.first, each.second, each.difference) for each in answer.terms} == {
        "n^2": (3, 2, 1), "n": (0, 6, -6), "ceil_div(n, 4)": (5, 0, 5), "1": (7, 0, 7),
    }  # fmt: skip
    # n^2 - 6 n + 5 ceil(n / 4) + 7: 1 - 6 + 5 + 7 = 7, 4, 3, 4, 12 ...: never 0
    assert answer.signs == {1}


def test_two_pages_by_stage() -> None:
    model = modelmeter.load()
    stages = {name: scaling.stage(model, name).tensor_core_flops for name in model.definition.stage_names}
    small = {name: cost.at(base_size=640, num_width_tiles=1, num_height_tiles=1) for name, cost in stages.items()}
    answer = scaling.difference(stages, small)
    answer.check()
    both = (
        model.evaluate("request").tensor_core_flops,
        model.evaluate("request", base_size=640, num_width_tiles=1, num_height_tiles=1).tensor_core_flops,
    )
    assert answer.value == both[0] - both[1]
    assert answer.value == sum(each.difference for each in answer.terms)
    assert [each.name for each in answer.terms] == list(model.definition.stage_names)


def test_a_part_that_the_other_lacks_is_zero_there() -> None:
    answer = scaling.difference({"a": Quantity(N, "a"), "b": Quantity(M, "b")}, {"a": Quantity(3 * N, "a")}, ("n", "m"))
    assert {each.name: each.difference for each in answer.terms} == {"a": -2 * N, "b": M}
    assert answer.signs == {-1, 0, 1}


def test_units_must_be_the_same() -> None:
    prefill = scaling.stage(modelmeter.load(), "prefill")
    with pytest.raises(FormulaError, match="different units"):
        scaling.difference(prefill.io_bytes, prefill.tensor_core_flops)
