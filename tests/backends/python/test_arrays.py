"""Functions over arrays: what the functions on integers give, or an OverflowError; never a wrong number."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_package import load_package, render_small_package

numpy = pytest.importorskip("numpy")

STAGES = ("vision", "projector", "prefill", "decode", "request", "training_step")
INT64_MAX = 2**63 - 1


def at(cost: Any, place: tuple[int, ...]) -> tuple[int, ...]:
    """Return the metrics at one place of the arrays."""
    for metric in cost:
        assert metric.dtype == numpy.int64
    return tuple(int(metric[place]) for metric in cost)


@pytest.mark.parametrize("stage", STAGES)
def test_sizes_broadcast_and_every_element_is_exact(costs: ModuleType, stage: str) -> None:
    """A row of batches against a column: of sides around the trained one, of prompts, or of tile grids."""
    batches = [1, 3, 7, 10_007]
    columns = {
        "base_size": [9, 62, 63, 64, 170, 171, 179, 180, 1000],
        "seq_len": [1, 2, 17, 331, 1_000_003],
        "num_width_tiles": [3, 1, 2, 5],
        "decode_steps": [0, 1, 28],
    }
    names = {"vision": ("base_size", "num_width_tiles"), "projector": ("base_size", "num_width_tiles"),
             "prefill": ("seq_len",), "decode": ("seq_len", "decode_steps"),
             "request": ("base_size", "num_width_tiles", "decode_steps"),
             "training_step": ("base_size", "num_width_tiles")}[stage]  # fmt: skip
    for name in names:
        found = getattr(costs.arrays, stage)(batch_size=batches, **{name: numpy.array(columns[name])[:, None]})
        assert found.tensor_core_flops.shape == (len(columns[name]), len(batches))
        for row, size in enumerate(columns[name]):
            for column, batch in enumerate(batches):
                expected = getattr(costs, stage)(batch_size=batch, **{name: size})
                assert at(found, (row, column)) == expected, (name, size, batch)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stage=st.sampled_from(STAGES),
    batch=st.lists(st.integers(1, 2**40), min_size=2, max_size=2),
    base=st.lists(st.integers(9, 2**20), min_size=2, max_size=2),
    width=st.lists(st.integers(1, 2**12), min_size=2, max_size=2),
    steps=st.lists(st.integers(0, 2**20), min_size=2, max_size=2),
    routing=st.sampled_from(("uniform", "even")),
)
def test_results_are_exact_or_refused_around_the_end_of_int64(
    costs: ModuleType, stage: str, batch: list[int], base: list[int], width: list[int], steps: list[int], routing: str
) -> None:
    sizes = {"batch_size": batch, "base_size": base, "num_width_tiles": width, "seq_len": None, "decode_steps": steps}
    taken = {
        "vision": ("batch_size", "base_size", "num_width_tiles"),
        "projector": ("batch_size", "base_size", "num_width_tiles"),
        "prefill": ("batch_size",),
        "decode": ("batch_size", "decode_steps"),
        "request": ("batch_size", "base_size", "num_width_tiles", "decode_steps"),
        "training_step": ("batch_size", "base_size", "num_width_tiles"),
    }[stage]
    given_sizes: dict[str, Any] = {name: sizes[name] for name in taken}
    extra = {"expert_routing": routing} if stage not in ("vision", "projector") else {}
    expected = [
        getattr(costs, stage)(**{name: values[place] for name, values in given_sizes.items()}, **extra)
        for place in range(2)
    ]
    try:
        found = getattr(costs.arrays, stage)(**given_sizes, **extra)
    except OverflowError:
        return
    assert [at(found, (place,)) for place in range(2)] == expected


def test_the_largest_results_that_fit_are_given_and_larger_ones_refused(costs: ModuleType) -> None:
    """The projector has 65 * 42 weights of an eighth of a byte for each bit, 1365 / 4; what fits is given."""
    most = 4 * INT64_MAX // 1365
    found = costs.arrays.projector(weight_bits=[1, most])
    assert at(found, (1,)) == costs.projector(weight_bits=most)
    with pytest.raises(OverflowError, match="more than int64 holds"):
        costs.arrays.projector(weight_bits=[1, most + 1])


@pytest.mark.parametrize("kind", ["int8", "int32", "uint16", "int64", "uint64", "object"])
def test_integers_of_any_width_are_widened(costs: ModuleType, kind: str) -> None:
    found = costs.arrays.prefill(seq_len=numpy.array([5, 111], dtype=kind), batch_size=70_001)
    assert at(found, (1,)) == costs.prefill(seq_len=111, batch_size=70_001)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_data_frames_are_arrays(costs: ModuleType, library: str) -> None:
    series = pytest.importorskip(library).Series
    found = costs.arrays.prefill(seq_len=series([5, 111]), batch_size=series([3, 70_001]))
    assert at(found, (1,)) == costs.prefill(seq_len=111, batch_size=70_001)
    with pytest.raises(TypeError, match="seq_len must"):
        costs.arrays.prefill(seq_len=series([5, None]))
    with pytest.raises(TypeError, match="seq_len must hold integers, not float64"):
        costs.arrays.prefill(seq_len=series([5.0, 7.0]))


@pytest.mark.parametrize("scalar", [numpy.int32(3), numpy.array(3), numpy.array(3, dtype=object)])
def test_scalars_give_arrays_without_dimensions(costs: ModuleType, scalar: Any) -> None:
    assert at(costs.arrays.request(batch_size=scalar), ()) == costs.request(batch_size=3)
    assert at(costs.arrays.request(batch_size=scalar, decode_steps=[5, 7]), (1,)) == costs.request(
        batch_size=3, decode_steps=7
    )


def test_masked_elements_are_no_sizes(costs: ModuleType) -> None:
    """What lies below a mask is not meant, and results have no mask that could say so."""
    seq_len = numpy.ma.array([5, 111])
    assert at(costs.arrays.prefill(seq_len=seq_len), (1,)) == costs.prefill(seq_len=111)
    seq_len[0] = numpy.ma.masked
    with pytest.raises(TypeError, match="seq_len must hold integers everywhere"):
        costs.arrays.prefill(seq_len=seq_len)


def test_a_call_between_two_operations_of_another_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler of signals may make one: here, every sum does."""
    costs = load_package(tmp_path, render_small_package(), "interrupted_costs")
    operations = importlib.import_module("interrupted_costs._operations")
    interrupting: list[bool] = []

    def add(one: Any, other: Any, result: Any) -> None:
        numpy.add(one, other, result)
        if not interrupting:
            interrupting.append(True)
            costs.arrays.prefill(seq_len=[9, 17], batch_size=[5, 3])
            interrupting.pop()

    monkeypatch.setitem(operations._FUNCTIONS, "add", add)
    found = costs.arrays.prefill(seq_len=[5, 111], batch_size=[3, 70_001])
    assert at(found, (0,)) == costs.prefill(seq_len=5, batch_size=3)
    assert at(found, (1,)) == costs.prefill(seq_len=111, batch_size=70_001)


def test_a_number_is_kept_until_its_rule_is_checked(costs: ModuleType) -> None:
    """A square below its limit, though not their sum: nothing else needs the square once the sum is known."""
    program, tape, blocks = (
        importlib.import_module(f"{costs.__name__}.{name}") for name in ("_program", "_tape", "_blocks")
    )
    square = program.Operation("*", ("side", "side"))
    formulas = program.Program(
        (),
        (program.Check("exceeds", "square", square, "limit", "limit"),),
        (program.Operation("+", (square, "limit")),),
    )
    recorded = tape.Recorder({"side": (0,), "limit": (0,)}, (3,)).record(formulas)
    kinds = dict.fromkeys(("side", "limit", *recorded.steps), numpy.int64)
    routine = blocks.Routine(recorded, kinds, is_exact=False)
    (total,) = routine.run({"side": numpy.array([3, 5, 7]), "limit": numpy.array([9, 25, 50])}, (3,))
    assert total.tolist() == [9 + 9, 25 + 25, 49 + 50]
    with pytest.raises(costs.CostError, match="square must be at most limit: 49 > 48"):
        routine.run({"side": numpy.array([3, 5, 7]), "limit": numpy.array([9, 25, 48])}, (3,))


def test_int64_is_that_of_numpy(costs: ModuleType) -> None:
    tape = importlib.import_module(f"{costs.__name__}._tape")
    assert numpy.iinfo(numpy.int64).max == tape.INT64_MAX


@pytest.mark.parametrize(
    ("function", "operands", "expected"),
    [("add", (2**62, 2**62), 2**63), ("multiply", (2**33, 2**31), 2**64), ("maximum", (2**53, 7), 2**53)],
)
def test_in_float64_operands_are_converted_first(
    costs: ModuleType, function: str, operands: tuple[int, int], expected: int
) -> None:
    """What these integers give leaves int64, and is a power of 2, which float64 holds."""
    operations = importlib.import_module(f"{costs.__name__}._operations")
    result = numpy.empty(1)
    operations.find_function(function, numpy.float64)(*(numpy.array([operand]) for operand in operands), result)
    assert int(result[0]) == expected


def test_arrays_may_be_empty(costs: ModuleType) -> None:
    assert costs.arrays.prefill(seq_len=[]).io_bytes.shape == (0,)


@pytest.mark.parametrize(
    ("stage", "sizes", "error", "message"),
    [
        ("prefill", {"seq_len": [5, 0]}, "CostError", "seq_len must be at least 1, not 0"),
        ("prefill", {"seq_len": numpy.array([-3])}, "CostError", "seq_len must be at least 1, not -3"),
        ("prefill", {"seq_len": None}, "TypeError", "seq_len must be an integer, not NoneType"),
        ("prefill", {"seq_len": [5.0]}, "TypeError", "seq_len must be an integer, not float 5.0"),
        ("prefill", {"seq_len": [True]}, "TypeError", "seq_len must be an integer, not True"),
        ("prefill", {"seq_len": numpy.array([5.0])}, "TypeError", "seq_len must hold integers, not float64"),
        ("prefill", {"seq_len": numpy.array([True])}, "TypeError", "seq_len must hold integers, not bool"),
        ("prefill", {"seq_len": [2**63]}, "OverflowError", "more than int64 holds"),
        ("prefill", {"seq_len": numpy.array([2**63], dtype="uint64")}, "OverflowError", "more than int64 holds"),
        ("prefill", {"seq_len": 10**30}, "OverflowError", "more than int64 holds"),
        ("prefill", {"seq_len": [5, 9], "logits_tokens": [5, 10]}, "CostError", "at most seq_len: 10 > 9"),
        (
            "prefill",
            {"seq_len": [5, 9], "batch_size": [1, 2, 3]},
            "CostError",
            "batch_size (3,), seq_len (2,)",
        ),
        ("prefill", {"expert_routing": "odd"}, "CostError", "expert_routing"),
        ("request", {"seq_len": [500, 93]}, "CostError", "image_tokens must be at most seq_len: 94 > 93"),
        ("request", {"base_size": [175, 2**33]}, "OverflowError", "more than int64 holds"),
        ("request", {"prompt_tokens": INT64_MAX}, "OverflowError", "more than int64 holds"),
        ("vision", {"base_size": [8]}, "CostError", "sam_patch_size must be at most base_size: 9 > 8"),
    ],
)
def test_wrong_arguments_are_named(
    costs: ModuleType, stage: str, sizes: dict[str, Any], error: str, message: str
) -> None:
    with pytest.raises((TypeError, OverflowError, costs.CostError)) as caught:
        getattr(costs.arrays, stage)(**sizes)
    assert type(caught.value).__name__ == error
    assert message in str(caught.value)
