"""The functions of a package read as formulas, and one metric cut out of them, on those of a staircase."""

from __future__ import annotations

import inspect
from fractions import Fraction
from typing import Any

import pytest

from modelmeter.backends.python.runtime import _reading, _source, _stages, _symbolic
from modelmeter.backends.python.runtime._polynomials import Space
from modelmeter.backends.python.runtime._runtime import Cost, CostError
from modelmeter.backends.python.runtime._sizes import Size

MODULE = "tests.cut"


def test_sizes_have_their_smallest_value_their_default_and_what_follows_from_them() -> None:
    reading = _reading.read("bricks")
    assert reading.has_routing
    assert reading.sizes == {
        "num_columns": Size(0, 2),
        "num_rows": Size(0, 3),
        "landings": Size(0, 6, "steps"),
        "steps": Size(1, None),
        "kept_steps": Size(1, None),
        "weight_bits": Size(1, 16, may_be_fraction=True),
    }


def test_formulas_of_known_sizes_are_the_numbers_of_the_function() -> None:
    sizes = {"num_columns": 5, "num_rows": 3, "landings": None, "steps": 7, "kept_steps": 4, "weight_bits": 11}
    formulas = _reading.read("bricks").run(**sizes, expert_routing="even")
    assert formulas == _stages.bricks(**{**sizes, "expert_routing": "even"})
    # 15 stairs of 7 * 8 / 2 bricks of 11 bits each.
    assert formulas[2] == -(-15 * 28 * 11 // 8)


def test_unknown_sizes_stay_unknown_and_rules_between_them_are_kept() -> None:
    space = Space()
    sizes: dict[str, Any] = {name: space.unknown(name) for name in ("num_columns", "landings", "steps", "kept_steps")}
    formulas = _reading.read("bricks").run(**sizes, num_rows=1, weight_bits=8, expert_routing="even")
    columns, steps = sizes["num_columns"], sizes["steps"]
    assert formulas[1] == columns * _symbolic.triangular(steps) * _symbolic.differs(columns, 1)
    assert [(check.broken, check.name, check.limit_name) for check in space.checks] == [
        ("differs", "steps", "1 + landings"),
        ("exceeds", "kept_steps", "steps"),
    ]


def test_a_module_before_the_name_is_where_the_function_is() -> None:
    assert _reading.read("breakdown.gravel_states").run(steps=7) == (5, 21)


def test_a_package_without_its_text_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reading, "read_source", lambda module, function: "")
    with pytest.raises(CostError, match=r"made of the text of .*_stages, which is not there"):
        _reading.read.__wrapped__("gravel")


@pytest.mark.parametrize("metric", Cost._fields)
def test_one_metric_is_that_of_the_cost(metric: str) -> None:
    cut = _source.cut_metric(_stages.bricks, metric, MODULE)
    for sizes in ({}, {"num_columns": 7}, {"steps": 11, "weight_bits": Fraction(11, 2)}):
        assert cut(**sizes) == getattr(_stages.bricks(**sizes), metric)
    assert (cut.__name__, cut.__module__) == (f"bricks_{metric}", MODULE)
    assert inspect.signature(cut).parameters.keys() == inspect.signature(_stages.bricks).parameters.keys()
    with pytest.raises(CostError, match="kept_steps must be at most steps: 8 > 7"):
        cut(kept_steps=8)


def test_steps_of_other_metrics_are_left_out() -> None:
    text = _source.read_source(_stages.__name__, "bricks")
    cut = _source._cut("bricks_activation_bytes", text, _stages.__name__, None)
    assert "(num_columns * num_rows) * kept_steps" in cut  # a step that is needed once is put in its place
    assert "x1 = " not in cut
    assert "x1 = num_columns * num_rows\n" in _source._cut(
        "bricks_tensor_core_flops", text.replace("2 * x2", "x1 * x1"), _stages.__name__, None
    )
    assert "(steps * (steps + 1) // 2)" not in cut
    assert "routed_reads" not in cut
    assert "if kept_steps > steps:" in cut


def test_without_its_text_one_metric_is_taken_from_the_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_source, "_read", lambda module, function: "")
    assert _source.cut_metric(_stages.gravel, "io_bytes", MODULE)(steps=13) == 39
