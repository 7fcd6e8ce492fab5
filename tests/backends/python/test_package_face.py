"""What the evaluator package says of itself, and of arguments and names that are wrong."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from small_package import (
    ARCHITECTURE,
    DEFAULTS,
    make_spec,
    render_small_package,
)

from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import METRICS

SPEC = make_spec()


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        ("prefill", {"seq_len": 0}, "CostError", "seq_len must be at least 1, not 0"),
        ("prefill", {"seq_len": -(10**5000)}, "CostError", "seq_len must be at least 1, not an integer of"),
        ("prefill", {"seq_len": True}, "TypeError", "seq_len must be an integer, not True"),
        ("prefill", {"seq_len": 5.0}, "TypeError", "seq_len must be an integer, not float 5.0"),
        ("prefill", {"seq_len": "5" * 999}, "TypeError", "seq_len must be an integer, not str '555"),
        ("prefill", {"logits_tokens": 0}, "CostError", "logits_tokens must be at least 1, not 0"),
        ("prefill", {"seq_len": 5, "logits_tokens": 6}, "CostError", "logits_tokens must be at most seq_len: 6 > 5"),
        ("prefill", {"expert_routing": "odd"}, "CostError", "must be \"uniform\" or \"even\", not 'odd'"),
        ("prefill", {"speed": 5}, "TypeError", "unexpected keyword argument 'speed'"),
        ("vision", {"base_size": 8}, "CostError", "base_size must be at least sam_patch_size: 8 < 9"),
        ("vision", {"num_width_tiles": -1}, "CostError", "num_width_tiles must be at least 0, not -1"),
        ("vision", {"batch_size": 7, "vision_batch_size": 3}, "CostError", "must be a multiple of vision_batch_size"),
        ("request", {"batch_size": 9, "vision_batch_size": 6}, "CostError", "multiple of vision_batch_size: 9 and 6"),
        ("request", {"seq_len": 93}, "CostError", "seq_len must be at least image_tokens: 93 < 94"),
        ("request", {"decode_steps": -1}, "CostError", "decode_steps must be at least 0, not -1"),
        ("prefill_weight_bytes", {"seq_len": 0}, "CostError", "seq_len must be at least 1, not 0"),
        ("general.prefill", {"hidden_size": 45}, "CostError", "must be a multiple of 2 * num_attention_heads"),
        ("general.prefill", {"num_key_value_heads": 2}, "CostError", "multiple of num_key_value_heads: 3 and 2"),
        ("general.prefill", {"num_experts_per_tok": 12}, "CostError", "must be at most n_routed_experts: 12 > 11"),
        ("general.decode", {"first_k_dense_replace": 6}, "CostError", "must be at most num_hidden_layers: 6 > 5"),
        ("layers.square_convolution", {"height": 3}, "CostError", "make height - kernel_size negative"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(
    costs: ModuleType, function: str, arguments: dict[str, Any], error: str, message: str
) -> None:
    found: Any = costs
    for name in function.split("."):
        found = getattr(found, name)
    with pytest.raises((TypeError, costs.CostError)) as caught:
        found(**arguments)
    assert type(caught.value).__name__ == error
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def test_numbers_that_say_they_are_integers_are_sizes(costs: ModuleType) -> None:
    numpy = pytest.importorskip("numpy")
    assert costs.prefill(seq_len=numpy.int32(77)) == costs.prefill(seq_len=77)
    with pytest.raises(TypeError, match="seq_len"):
        costs.prefill(seq_len=numpy.float64(77))


def test_a_cost_is_a_tuple_with_names(costs: ModuleType) -> None:
    cost = costs.prefill(seq_len=77)
    assert isinstance(cost, tuple)
    assert cost._asdict() == dict(zip(METRICS, cost, strict=True))
    assert [getattr(cost, metric) for metric in METRICS] == list(cost)
    assert repr(cost) == f"Cost({', '.join(f'{name}={value}' for name, value in cost._asdict().items())})"
    assert cost.as_dict() == cost._asdict()
    assert json.loads(json.dumps(costs.stages().as_dict()))["prefill"] == costs.stages().prefill.as_dict()
    assert "integer of" in repr(costs.prefill(seq_len=10**5000)), "Python prints no integer of that many digits"


def test_costs_do_not_add_up(costs: ModuleType) -> None:
    """Tuples would be joined, or repeated, without a word."""
    cost = costs.prefill(seq_len=77)
    for join in (lambda: cost + cost, lambda: sum([cost]), lambda: cost * 2, lambda: 2 * cost):
        with pytest.raises(TypeError, match=r"costs cannot be added or multiplied: .* add single metrics"):
            join()


def test_a_cost_equals_that_of_the_library(costs: ModuleType) -> None:
    cost = costs.prefill(seq_len=77)
    same = Cost(**cost.as_dict())
    assert (same == cost, cost == same, hash(cost)) == (True, True, hash(same))
    assert same != costs.prefill(seq_len=78)
    assert same != tuple(cost), "numbers without names"


def test_a_name_that_comes_close_is_offered(costs: ModuleType) -> None:
    """Python does so itself where it knows of which module."""
    with pytest.raises(AttributeError) as caught:
        _ = costs.prefil
    assert (caught.value.name, caught.value.obj) == ("prefil", costs)


def test_the_facts_are_those_of_the_spec(costs: ModuleType) -> None:
    assert {name: size.default for name, size in costs.DIMENSIONS.items()} == {**DEFAULTS, **ARCHITECTURE}
    assert costs.DIMENSIONS["num_width_tiles"].minimum == 0
    assert SPEC.conventions == costs.CONVENTIONS
    assert costs.PROVENANCE["source"] == 'a "test"'
    assert costs.PROVENANCE["evaluators"].startswith("sha256:")


def test_the_conventions_are_said_once(costs: ModuleType) -> None:
    """In the front of the package, as data; its docstring and other modules say where they are."""
    files = render_small_package()
    for line in SPEC.conventions:
        holders = [path for path, text in files.items() if line[:40] in text]
        assert holders == ["__init__.py"]
    assert "``CONVENTIONS``" in files["layers.py"]
    assert "``CONVENTIONS``" in str(costs.__doc__)


def test_a_name_that_the_package_lacks_is_an_error(costs: ModuleType) -> None:
    with pytest.raises(AttributeError, match="no attribute 'prefil'"):
        costs.prefil  # noqa: B018  # the access is what is tested
    assert set(costs.__all__) <= set(dir(costs))
    for name in costs.__all__:
        assert getattr(costs, name) is not None
