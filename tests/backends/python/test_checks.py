"""Checks of arguments: two sizes that say one thing have to agree, in every function that takes both."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from small_package import make_parameter

import deepseek_ocr_costs
from modelmeter.backends.python.checks import check_sizes, derive
from modelmeter.evaluators.signature import Derivation, Parameter, Signature
from modelmeter.models.deepseek_ocr.model import MODEL

DECODE_STEPS = next(Derivation.make(each) for each in MODEL.derivations if each.name == "decode_steps")

# The page of the small package has 94 image tokens: see test_render.
TOKENS = 94

GIVEN: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "seq_len": ({"seq_len": TOKENS + 7, "prompt_tokens": 7}, {"seq_len": TOKENS + 7, "prompt_tokens": 5}),
    "decode_steps": ({"decode_steps": 5, "max_new_tokens": 6}, {"decode_steps": 5, "max_new_tokens": 1000}),
}
"""Sizes that agree and sizes that do not, by the one that follows from the other."""

CODE = {"seq_len": "image_tokens + prompt_tokens", "decode_steps": "max_new_tokens - 1"}

FUNCTIONS = {
    "seq_len": [
        *("request", "stages", "training_step", "request_io_bytes", "training_step_weight_bytes"),
        *("vision_peak_activation_bytes", "projector_peak_activation_bytes", "request_peak_activation_bytes"),
        *("general.request", "general.training_step"),
        *("arrays.request", "arrays.stages", "arrays.training_step", "arrays.vision_peak_activation_bytes"),
    ],
    "decode_steps": [
        *("request", "stages", "request_tensor_core_flops", "request_peak_activation_bytes", "general.request"),
        *("arrays.request", "arrays.stages", "arrays.request_peak_activation_bytes"),
    ],
}

CASES = [(derived, function) for derived, functions in FUNCTIONS.items() for function in functions]


def find(costs: Any, function: str) -> Callable[..., Any]:
    if function.startswith("arrays."):
        pytest.importorskip("numpy")
    for name in function.split("."):
        costs = getattr(costs, name)
    found: Callable[..., Any] = costs
    return found


@pytest.mark.parametrize(("derived", "function"), CASES)
def test_sizes_that_contradict_each_other_are_refused(costs: ModuleType, derived: str, function: str) -> None:
    _, contradicting = GIVEN[derived]
    size = contradicting[derived]
    follows = TOKENS + 5 if derived == "seq_len" else 1000 - 1
    message = rf"{derived} must be {CODE[derived]} where both are given: {size} is not {follows}".replace("+", r"\+")
    with pytest.raises(costs.CostError, match=message):
        find(costs, function)(**contradicting)


@pytest.mark.parametrize(("derived", "function"), CASES)
def test_sizes_that_agree_may_both_be_given(costs: ModuleType, derived: str, function: str) -> None:
    agreeing, _ = GIVEN[derived]
    evaluate = find(costs, function)
    both, alone = evaluate(**agreeing), evaluate(**{derived: agreeing[derived]})
    assert repr(both) == repr(alone)


def test_defaults_do_not_contradict_what_is_given(costs: ModuleType) -> None:
    """By default 13 tokens of prompt and 29 new ones: what is given stands, and what is not follows."""
    assert costs.request() == costs.request(seq_len=TOKENS + 13, decode_steps=28)
    assert costs.request(seq_len=TOKENS + 200) == costs.request(prompt_tokens=200)
    assert costs.request(decode_steps=5) == costs.request(max_new_tokens=6)
    with pytest.raises(costs.CostError, match="where both are given: 331 is not 107"):
        costs.request(seq_len=331, prompt_tokens=13)


def test_sizes_of_the_wrong_kind_are_named_first(costs: ModuleType) -> None:
    with pytest.raises(costs.CostError, match="prompt_tokens must be at least 0, not -1"):
        costs.request(prompt_tokens=-1)
    with pytest.raises(costs.CostError, match="decode_steps must be at least 0, not -1"):
        costs.request(decode_steps=-1, max_new_tokens=1)
    with pytest.raises(TypeError, match=r"max_new_tokens must be an integer, not float 5\.0"):
        costs.request(max_new_tokens=5.0)


def test_arrays_agree_element_by_element(costs: ModuleType) -> None:
    pytest.importorskip("numpy")
    steps, tokens = [5, 7, 11], [6, 8, 12]
    found = costs.arrays.request(decode_steps=steps, max_new_tokens=tokens).io_bytes
    assert found.tolist() == [costs.request(decode_steps=number).io_bytes for number in steps]
    with pytest.raises(costs.CostError, match="7 is not 9"):
        costs.arrays.request(decode_steps=steps, max_new_tokens=[6, 10, 12])
    grid = costs.arrays.grid("request", prompt_tokens=[3], seq_len=[TOKENS + 3], batch_size=[1, 5])
    assert grid.io_bytes.tolist() == [[[costs.request(prompt_tokens=3, batch_size=size).io_bytes for size in (1, 5)]]]


@pytest.mark.parametrize("engine", ["numpy", "fused"])
def test_many_points_agree_too(costs: ModuleType, engine: str) -> None:
    """So many that they are computed before they are looked at."""
    numpy = pytest.importorskip("numpy")
    if engine == "fused":
        pytest.importorskip("numba")
    steps = numpy.arange(1, 1_000_101) % 97
    evaluate = costs.arrays.request
    found = evaluate(decode_steps=steps, max_new_tokens=steps + 1, engine=engine).kv_cache_bytes
    assert int(found[-1]) == costs.request(decode_steps=1_000_100 % 97).kv_cache_bytes
    tokens = steps + 1
    tokens[500_009] += 1
    with pytest.raises(costs.CostError, match="decode_steps must be max_new_tokens - 1 where both are given"):
        evaluate(decode_steps=steps, max_new_tokens=tokens, engine=engine)


def test_a_bound_is_of_sizes_that_agree_everywhere(costs: ModuleType) -> None:
    pytest.importorskip("numpy")
    bound = costs.arrays.bound
    assert bound("request", seq_len=[TOKENS + 7] * 2, prompt_tokens=7) == costs.request(prompt_tokens=7)
    with pytest.raises(costs.CostError, match="decode_steps must be max_new_tokens - 1 where both are given"):
        bound("request", decode_steps=[5, 7], max_new_tokens=[6, 8])


def test_frozen_sizes_agree(costs: ModuleType) -> None:
    with pytest.raises(costs.CostError, match="where both are given: 5 is not 28"):
        costs.freeze("request", decode_steps=5, max_new_tokens=29)
    free = costs.freeze("request", free=["decode_steps", "max_new_tokens"])
    assert free(decode_steps=5, max_new_tokens=6) == costs.request(max_new_tokens=6)
    with pytest.raises(costs.CostError, match="where both are given: 5 is not 6"):
        free(decode_steps=5, max_new_tokens=7)
    half = costs.freeze("request", free=["decode_steps"], max_new_tokens=6)
    assert half(5) == costs.request(decode_steps=5)
    with pytest.raises(costs.CostError, match="where both are given: 4 is not 5"):
        half(4)


def test_what_follows_from_a_frozen_size_only_is_no_argument(costs: ModuleType) -> None:
    with pytest.raises(TypeError, match="max_new_tokens"):
        costs.freeze("request", decode_steps=5)(max_new_tokens=6)
    assert costs.freeze("request")(max_new_tokens=6) == costs.request(max_new_tokens=6)


def test_a_source_gets_its_default_where_nothing_is_given() -> None:
    signature = Signature(
        parameters=(
            make_parameter(name="max_new_tokens", default=29, target="decode_steps"),
            derived := make_parameter(
                name="decode_steps", default=28,
                derivation=DECODE_STEPS,
            ),
        ),
        has_routing=False,
        constants={},
    )  # fmt: skip
    assert derive(derived, signature) == [
        "    if decode_steps is None:",
        "        if max_new_tokens is None:",
        "            max_new_tokens = 29",
        "        decode_steps = max_new_tokens - 1",
        "    else:",
        "        if not (type(decode_steps) is int and decode_steps >= 0):",
        '            decode_steps = check_size("decode_steps", decode_steps, 0)',
        "        if max_new_tokens is not None and decode_steps != max_new_tokens - 1:",
        '            raise contradiction("decode_steps", decode_steps, "max_new_tokens - 1", max_new_tokens - 1)',
    ]


def make_signature(*sizes: Parameter) -> Signature:
    return Signature(parameters=sizes, has_routing=False, constants={})


def test_sizes_are_checked_together_and_what_is_no_plain_integer_apart() -> None:
    width, tiles = make_parameter(name="kv_bits", default=3), make_parameter(name="num_width_tiles", default=2)
    assert check_sizes("cost", make_signature(width, tiles)) == [
        "    if not (",
        "        int is type(kv_bits) is type(num_width_tiles) and kv_bits > 0 and num_width_tiles >= 0",
        "    ) and (found := check_again(cost, locals(), num_width_tiles=0)) is not None:",
        "        return found",
    ]
    assert check_sizes("cost", make_signature()) == []


def test_a_size_that_may_be_left_out_is_checked_where_it_is_given() -> None:
    size = make_parameter(name="max_new_tokens", default=29, target="decode_steps")
    _, condition, call, _ = check_sizes("cost", make_signature(size))
    assert condition.strip() == "(max_new_tokens is None or (type(max_new_tokens) is int and max_new_tokens > 0))"
    assert "locals(), max_new_tokens=1)" in call


def test_two_sizes_that_are_zero_together_are_refused_alike_everywhere() -> None:
    """The sweep of the widths meets 0 x 3 at its first point."""
    problem = "num_width_tiles and num_height_tiles must be 0 together: 0 and 3"
    costs = deepseek_ocr_costs
    calls = [
        lambda: costs.vision(num_width_tiles=0),
        lambda: costs.general.request(num_width_tiles=0),
        lambda: costs.layers.deepseek_ocr_model(num_width_tiles=0),
        lambda: costs.vision_fused_io_bytes(num_width_tiles=0),
        lambda: costs.image_tokens(num_width_tiles=0),
        lambda: costs.breakdown.operators("vision", num_width_tiles=0),
        lambda: costs.freeze("vision", free=["num_width_tiles"])(num_width_tiles=0),
        lambda: costs.arrays.vision(num_width_tiles=[0, 1]),
        lambda: costs.arrays.grid("request", num_width_tiles=[2, 0], num_height_tiles=[3]),
    ]
    for call in calls:
        with pytest.raises(costs.CostError, match=f"^{problem}$"):
            call()
    assert costs.vision(num_width_tiles=0, num_height_tiles=0) == costs.vision(num_width_tiles=1, num_height_tiles=1)
