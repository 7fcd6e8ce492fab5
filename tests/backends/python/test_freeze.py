"""Frozen evaluators: short functions of the sizes that are left, with the same results as the full ones."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_package import DEFAULTS

import deepseek_ocr_costs

STAGES = ("vision", "projector", "prefill", "decode", "request", "training_step")
LEAST = {"base_size": 9, "image_size": 9, "decode_steps": 0}
LEAST |= {"prompt_tokens": 0}
DERIVED = ("seq_len", "logits_tokens", "decode_steps")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), stage=st.sampled_from(STAGES))
def test_a_frozen_stage_costs_what_the_stage_costs(costs: ModuleType, data: st.DataObject, stage: str) -> None:
    """Any sizes are frozen, any others are free; results, and refusals, are those of the function of the stage."""
    names = list(inspect.signature(getattr(costs, stage)).parameters)
    routing = data.draw(st.sampled_from(("uniform", "even"))) if "expert_routing" in names else None
    others = {"expert_routing": routing} if routing else {}
    names = [name for name in names if name != "expert_routing"]
    size = {name: st.integers(LEAST.get(name, 1), 400) | st.integers(10**9, 10**31) for name in names}
    frozen = {name: data.draw(size[name]) for name in data.draw(st.lists(st.sampled_from(names), unique=True))}
    rest = [name for name in names if name not in frozen]
    free = data.draw(st.lists(st.sampled_from(rest), unique=True)) if rest else []
    sizes = {name: data.draw(size[name]) for name in free}
    try:
        expected: Any = getattr(costs, stage)(**frozen, **sizes, **others)
    except costs.CostError as error:
        expected = type(error)
    try:
        found: Any = costs.freeze(stage, free=free, **frozen, **others)(**sizes)
    except costs.CostError as error:
        found = type(error)
    assert found == expected


@pytest.mark.parametrize("field", range(6))
def test_one_metric_is_an_integer(costs: ModuleType, field: int) -> None:
    metric = costs.Cost._fields[field]
    function = costs.freeze("decode", metric=metric, batch_size=7)
    assert function(seq_len=1009, decode_steps=31) == costs.decode(batch_size=7, seq_len=1009, decode_steps=31)[field]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), stage=st.sampled_from(STAGES[:5]))
def test_a_frozen_peak_and_its_array_are_those_on_integers(costs: ModuleType, data: st.DataObject, stage: str) -> None:
    """A peak is no part of a cost, so it has a function of its own, of which the first size is frozen."""
    name = f"{stage}_peak_activation_bytes"
    function = getattr(costs, name)
    names = [size for size in inspect.signature(function).parameters if size not in ("expert_routing", *DERIVED)]
    sizes = {
        size: data.draw(st.lists(st.integers(LEAST.get(size, 1), 400), min_size=2, max_size=2))
        for size in data.draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    }
    if "vision_batch_size" in sizes:  # has to divide the pages
        sizes["batch_size"] = [(place + 1) * size for place, size in enumerate(sizes["vision_batch_size"])]
    expected = [function(**{size: column[place] for size, column in sizes.items()}) for place in range(2)]
    (first, *columns) = sizes
    frozen = [
        costs.freeze(
            stage, metric="peak_activation_bytes", free=columns, **{first: sizes[first][place]}
        )(**{size: sizes[size][place] for size in columns})
        for place in range(2)
    ]  # fmt: skip
    assert frozen == expected
    numpy = pytest.importorskip("numpy")
    found = getattr(costs.arrays, name)(**sizes)
    assert found.dtype == numpy.int64
    assert found.tolist() == expected


def test_in_one_size_the_matrix_flops_of_the_prefill_are_a_quadratic(costs: ModuleType) -> None:
    """4 N^2 * 42 of attention, 6 N * 42 * (2 * 103 + 3 * 4 * 17) of layers and 2 N * 42 * 211 of the head: 121044 N."""
    assert 6 * 42 * (2 * 103 + 3 * 4 * 17) + 2 * 42 * 211 == 121_044
    function = costs.freeze("prefill", metric="tensor_core_flops", free=["seq_len"])
    assert function.source.splitlines()[-1].strip() == "return seq_len * (168 * seq_len + 121044)"
    assert repr(function) == "<frozen prefill_tensor_core_flops(seq_len: int = 331) -> int; its code is in .source>"
    assert function(1_000_003) == 168 * 1_000_003**2 + 121_044 * 1_000_003


def test_common_factors_are_taken_out_of_sums(costs: ModuleType) -> None:
    """3 a^2 + 5 a b + 7 b: ``a`` is in two products first; what has one product is no sum."""
    program, freeze = (__import__(f"{costs.__name__}.{name}", fromlist=["_"]) for name in ("_program", "_freeze"))
    nested = program.nest({(0, 0): 3, (0, 1): 5, (1,): 7}, ["a", "b"])
    assert freeze.show(nested, {}) == "a * (3 * a + 5 * b) + 7 * b"
    assert program.nest({(0, 1): 11}, ["a", "b"]) == program.Operation("*", ("a", "b", 11))
    assert program.nest({(): 0}, []) == 0


def test_the_docstring_says_what_is_frozen(costs: ModuleType) -> None:
    function = costs.freeze("decode", free=["seq_len"], batch_size=1013)
    assert "``decode``" in function.__doc__
    assert "batch_size=1013" in function.__doc__
    assert f"decode_steps={DEFAULTS['decode_steps']}" in function.__doc__
    assert function.__doc__ in function.source


def test_freezing_imports_the_standard_library_only() -> None:
    code = (
        "import sys, deepseek_ocr_costs as c; c.freeze('request')(); print(*{n.partition('.')[0] for n in sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in ran.stdout.split() if name not in sys.stdlib_module_names}
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*{n.partition('.')[0] for n in sys.modules})"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert loaded - set(bare.stdout.split()) == {"deepseek_ocr_costs"}


def test_sizes_that_follow_from_others_do_so_unless_they_are_free(costs: ModuleType) -> None:
    assert "logits_tokens" not in inspect.signature(costs.freeze("prefill")).parameters
    both = costs.freeze("prefill", free=["seq_len", "logits_tokens"])
    assert both(logits_tokens=1, seq_len=101) == costs.prefill(seq_len=101, logits_tokens=1)
    with pytest.raises(TypeError, match="logits_tokens"):
        both(seq_len=101)


def test_arguments_are_checked_as_those_of_the_stage(costs: ModuleType) -> None:
    function = costs.freeze("prefill", free=["seq_len"])
    with pytest.raises(TypeError, match="seq_len must be an integer, not float"):
        function(1.5)
    with pytest.raises(costs.CostError, match="seq_len must be at least 1, not 0"):
        function(0)
    with pytest.raises(costs.CostError, match="at most seq_len: 7 > 5"):
        costs.freeze("prefill", free=["seq_len"], logits_tokens=7)(5)


def test_processes_that_start_anew_take_frozen_functions() -> None:
    """12 layers keep keys and values of 1280 channels: at 5.5 bits 12 * 2 * 1280 * 5.5 / 8 = 21,120 bytes a token."""
    import deepseek_ocr_costs

    cached = deepseek_ocr_costs.freeze(
        "prefill", metric="kv_cache_bytes", free=["seq_len"], kv_bits=Fraction(11, 2), expert_routing="even"
    )
    lengths = [1, 7, 1009]
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(cached, lengths)) == [21_120 * length for length in lengths]


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_are_the_same_function(costs: ModuleType, clone: Any) -> None:
    for function in (
        costs.freeze("request", free=["decode_steps", "batch_size"], prompt_tokens=17),
        costs.freeze("decode", metric="peak_activation_bytes", activation_bits=Fraction(31, 7)),
    ):
        copied = clone(function)
        assert (copied.source, copied.__doc__) == (function.source, function.__doc__)
        assert copied(decode_steps=11) == function(decode_steps=11)
        assert inspect.signature(copied) == inspect.signature(function)


@pytest.mark.parametrize(
    ("stage", "arguments", "error", "message"),
    [
        ("pretrain", {}, "CostError", "there is no stage 'pretrain', only vision"),
        ("prefill", {"metric": "joules"}, "CostError", "there is no metric 'joules'"),
        ("training_step", {"metric": "peak_activation_bytes"}, "CostError", "there is no metric 'peak_activation_"),
        ("prefill", {"hidden_size": 5}, "TypeError", "prefill has no size 'hidden_size'"),
        ("prefill", {"free": ["tokens"]}, "TypeError", "prefill has no size 'tokens'"),
        (
            "prefill",
            {"free": ["expert_routing"]},
            "TypeError",
            "kv_bits; expert_routing is an argument, too, and no size",
        ),
        ("vision", {"seq_len": 5}, "TypeError", "vision has no size 'seq_len': its sizes are .*activation_bits$"),
        ("prefill", {"free": ["seq_len"], "seq_len": 7}, "CostError", "seq_len is both frozen and free"),
        ("prefill", {"seq_len": 0}, "CostError", "seq_len must be at least 1"),
        ("prefill", {"seq_len": True}, "TypeError", "seq_len must be an integer"),
        ("prefill", {"seq_len": 5, "logits_tokens": 6}, "CostError", "at most seq_len: 6 > 5"),
        ("prefill", {"expert_routing": "odd"}, "CostError", "expert_routing"),
    ],
)
def test_what_cannot_be_frozen_is_named(
    costs: ModuleType, stage: str, arguments: dict[str, Any], error: str, message: str
) -> None:
    with pytest.raises((TypeError, costs.CostError), match=message) as caught:
        costs.freeze(stage, **arguments)
    assert type(caught.value).__name__ == error


def test_a_frozen_peak_of_fractions_that_make_whole_numbers_of_bytes() -> None:
    """5.625 bits are 45 / 8: the widths of 1280 channels and of all 8 x 160 of them are whole numbers of bits."""
    costs = deepseek_ocr_costs
    width = Fraction(45, 8)
    peak = costs.freeze("prefill", metric="peak_activation_bytes", free=["seq_len"], activation_bits=width)
    for length in (907, 3001):
        assert peak(length) == costs.prefill_peak_activation_bytes(seq_len=length, activation_bits=width)
