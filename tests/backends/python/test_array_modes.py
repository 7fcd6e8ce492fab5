"""Arrays beyond int64: exact in Python integers, bounded in float64, refused by default; and in one compiled loop."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from array_calls import points, scalar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_package import ARCHITECTURE

numpy = pytest.importorskip("numpy")

INT64_MAX = 2**63 - 1
TAKEN = {
    "vision": ("batch_size", "base_size", "image_size", "num_width_tiles", "activation_bits", "weight_bits"),
    "projector": ("batch_size", "base_size", "num_height_tiles", "activation_bits"),
    "prefill": ("batch_size", "seq_len", "weight_bits"),
    "decode": ("batch_size", "seq_len", "decode_steps", "kv_bits"),
    "request": ("batch_size", "base_size", "num_width_tiles", "decode_steps", "prompt_tokens"),
    "training_step": ("batch_size", "base_size", "prompt_tokens"),
}
SMALLEST = {"base_size": 9, "image_size": 9, "decode_steps": 0, "prompt_tokens": 0}


@st.composite
def calls(draw: st.DrawFn, most: int = 10**31, exponents: tuple[int, ...] = (3, 31, 53, 63, 103)) -> Any:
    """Draw a stage and some of its sizes as columns, small ones and ones around powers of 2."""
    stage = draw(st.sampled_from(sorted(TAKEN)))
    names = draw(st.lists(st.sampled_from(TAKEN[stage]), min_size=1, unique=True))
    around = st.sampled_from(exponents).flatmap(lambda power: st.integers(2**power - 2, 2**power + 2))
    count = draw(st.integers(1, 3))
    sizes = {}
    for name in names:
        size = (st.integers(0, 400) | around).map(partial(_confine, SMALLEST.get(name, 1), most))
        sizes[name] = draw(st.lists(size, min_size=count, max_size=count))
    return stage, sizes


def _confine(least: int, most: int, size: int) -> int:
    return min(max(size, least), most)


quickly = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quickly
@given(call=calls())
def test_python_integers_are_exact_however_large(costs: ModuleType, call: Any) -> None:
    """Sizes up to 10^31 are far beyond int64, and results are far beyond them."""
    stage, sizes = call
    found = getattr(costs.arrays, stage)(**sizes, overflow="exact")
    assert points(found) == scalar(costs, stage, sizes)
    kinds = {metric.dtype for metric in found}
    assert kinds in ({numpy.dtype(object)}, {numpy.dtype(numpy.int64)})


def test_python_integers_are_exact_without_any_array(costs: ModuleType) -> None:
    exact = costs.arrays.prefill(seq_len=10**12, overflow="exact")
    assert tuple(metric.item() for metric in exact) == tuple(costs.prefill(seq_len=10**12))
    assert {type(metric.item()) for metric in exact} == {int}


@quickly
@given(call=calls(most=2**62, exponents=(3, 13, 20, 31, 40)))
def test_int64_is_exact_or_refused_and_float64_is_within_its_bound(costs: ModuleType, call: Any) -> None:
    stage, sizes = call
    expected = scalar(costs, stage, sizes)
    function = getattr(costs.arrays, stage)
    try:
        found = function(**sizes)
    except OverflowError:
        found = None
    if found is not None:
        assert points(found) == expected
    rounded = function(**sizes, overflow="float64")
    allowed = Fraction(costs.arrays.FLOAT64_RELATIVE_ERROR)
    for place, cost in enumerate(expected):
        for metric, exact in zip(rounded, cost, strict=True):
            error = abs(Fraction(metric[place].item()) - exact)
            assert error <= (0 if metric.dtype == numpy.int64 else allowed * exact)
    if found is not None:
        assert points(rounded) == expected


def test_what_is_missing_is_named_with_a_remedy(costs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(str(costs.__file__)).parents[1]
    script = f"import sys; sys.path.insert(0, {str(folder)!r}); import small_costs; small_costs.arrays"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.endswith("arrays need NumPy: pip install numpy (No module named 'numpy')\n")
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ModuleNotFoundError, match='engine="fused" needs numba: pip install numba'):
        costs.arrays.prefill(seq_len=[3, 5], weight_bits=37, engine="fused")


@pytest.mark.parametrize(
    ("stage", "sizes"),
    [
        # Of one token to generate, the prefill makes all.
        ("decode", {"max_new_tokens": [1, 2, 2**70], "activation_bits": 10**16 + 61}),
        # Patches of 9 pixels: the embeddings of a view that is not of 19 x 19 patches are resized.
        ("vision", {"base_size": [9 * 19, 9 * 18], "activation_bits": 10**30}),
    ],
)
def test_float64_is_within_its_bound_where_something_is_taken_away(
    costs: ModuleType, stage: str, sizes: dict[str, Any]
) -> None:
    rounded = getattr(costs.arrays.stages(**sizes, overflow="float64"), stage)
    assert any(metric.dtype == numpy.float64 for metric in rounded)
    allowed = Fraction(costs.arrays.FLOAT64_RELATIVE_ERROR)
    for place in range(len(next(iter(sizes.values())))):
        point = {name: size[place] if isinstance(size, list) else size for name, size in sizes.items()}
        for metric, exact in zip(rounded, getattr(costs.stages(**point), stage), strict=True):
            assert abs(Fraction(metric[place].item()) - exact) <= allowed * exact


@pytest.mark.parametrize("prompt", [10**308, [10**308, 5]], ids=["known", "column"])
def test_what_float64_cannot_hold_is_refused(costs: ModuleType, prompt: Any) -> None:
    with pytest.raises(OverflowError, match="more than float64 holds"):
        costs.arrays.prefill(seq_len=prompt, overflow="float64")


def test_float64_does_not_guess_whether_sizes_contradict_each_other(costs: ModuleType) -> None:
    """The next number of float64 after 10^20 is 2^14 more."""
    sizes = {"seq_len": [10**20, 10**20 + 1], "logits_tokens": [10**20 + 1, 1]}
    with pytest.raises(OverflowError, match="logits_tokens and seq_len are too large to be compared in float64"):
        costs.arrays.prefill(**sizes, overflow="float64")
    sizes["logits_tokens"] = [1, 10**20]
    assert costs.arrays.prefill(**sizes, overflow="float64").io_bytes.dtype == numpy.float64


@pytest.mark.parametrize("most", [2**31, 2**53, 2**63])
def test_a_result_at_a_border_of_machine_numbers_is_exact(costs: ModuleType, most: int) -> None:
    """42 heads' keys: the prefill keeps 2 * 5 * 1 * (42 // 3) * 3 / 8 = 52.5 bytes a token; sizes on both sides."""
    tokens = [2 * most // 105 + step for step in (-2, -1, 0, 1, 2)]
    found = costs.arrays.prefill(seq_len=tokens, overflow="exact")
    expected = [-(-105 * token // 2) for token in tokens]
    assert min(expected) < most < max(expected)
    assert [int(number) for number in found.kv_cache_bytes] == expected
    assert points(found) == scalar(costs, "prefill", {"seq_len": tokens})


@pytest.mark.parametrize("engine", ["numpy", "fused"])
def test_every_side_of_a_ceiling_is_exact(costs: ModuleType, engine: str) -> None:
    """Patches of 9 pixels, 4 patches a token, windows of 7 patches: all sides up to 3 windows."""
    if engine == "fused":
        pytest.importorskip("numba")
    sides = list(range(9, 3 * 7 * 9 + 2))
    found = costs.arrays.vision(base_size=sides, image_size=sides[::-1], engine=engine)
    assert points(found) == scalar(costs, "vision", {"base_size": sides, "image_size": sides[::-1]})


@pytest.mark.parametrize("routing", ["uniform", "even"])
@pytest.mark.parametrize("engine", ["numpy", "fused"])
def test_every_number_of_tokens_reads_the_experts_that_the_function_on_integers_says(
    costs: ModuleType, routing: str, engine: str
) -> None:
    """Up to where all 11 experts are read for sure: 4 N > 11 * bits of 2 * 11 * 42 * 17, 14 bits, so N > 38."""
    if engine == "fused":
        pytest.importorskip("numba")
    assert (2 * ARCHITECTURE["n_routed_experts"] * ARCHITECTURE["hidden_size"] * 17).bit_length() == 14
    tokens = list(range(1, 60))
    found = costs.arrays.prefill(seq_len=tokens, expert_routing=routing, engine=engine)
    assert points(found) == scalar(costs, "prefill", {"seq_len": tokens}, expert_routing=routing)


@pytest.mark.parametrize(("name", "value"), [("overflow", "wrap"), ("engine", "gpu")])
def test_other_choices_are_refused(costs: ModuleType, name: str, value: str) -> None:
    with pytest.raises(costs.CostError, match=f"{name} must be .*{value}"):
        costs.arrays.prefill(**{name: value})
