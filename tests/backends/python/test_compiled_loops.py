"""Arrays in one compiled loop: what blocks of points give, and refusals where they have some."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from array_calls import points, scalar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deepseek_ocr_costs

numpy = pytest.importorskip("numpy")

STRIP = 128
"""Points that a loop with many rows computes together."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(st.integers(1, 2**33), min_size=1, max_size=600), steps=st.integers(0, 999))
def test_a_compiled_loop_gives_what_blocks_give(costs: ModuleType, batch: list[int], steps: int) -> None:
    pytest.importorskip("numba")
    sizes = {"batch_size": batch, "decode_steps": [steps + place for place in range(len(batch))]}
    results = []
    for engine in ("fused", "numpy"):
        try:
            results.append(points(costs.arrays.decode(**sizes, engine=engine)))
        except OverflowError as error:
            results.append([(str(error),)])
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"seq_len": [5, 0]}, "seq_len must be at least 1, not 0"),
        ({"seq_len": [5, 9], "logits_tokens": [5, 10]}, "logits_tokens must be at most seq_len: 10 > 9"),
        ({"seq_len": [5, 2**62]}, "more than int64 holds"),
        ({"seq_len": [5, 2**63 + 3]}, "more than int64 holds"),
        ({"seq_len": numpy.array([5, 2**63 + 3], dtype="uint64")}, "more than int64 holds"),
    ],
)
def test_a_compiled_loop_refuses_what_blocks_refuse(costs: ModuleType, sizes: dict[str, Any], message: str) -> None:
    pytest.importorskip("numba")
    with pytest.raises((OverflowError, costs.CostError), match=message):
        costs.arrays.prefill(**sizes, engine="fused")


@pytest.mark.parametrize("pages", [1, 3, 7])
def test_a_compiled_loop_checks_that_the_pages_of_a_call_divide_those_of_a_batch(pages: int) -> None:
    pytest.importorskip("numba")
    sizes = {"num_width_tiles": [1, 3, 5], "batch_size": [pages * times for times in (1, 5, 11)]}
    found = deepseek_ocr_costs.arrays.vision(**sizes, vision_batch_size=pages, engine="fused")
    assert points(found) == scalar(deepseek_ocr_costs, "vision", sizes, vision_batch_size=pages)
    sizes["batch_size"][2] += 1
    if pages > 1:  # every batch is a multiple of one page
        with pytest.raises(deepseek_ocr_costs.CostError, match=f"batch_size .*multiple.*{11 * pages + 1}"):
            deepseek_ocr_costs.arrays.vision(**sizes, vision_batch_size=pages, engine="fused")


@pytest.mark.parametrize("kind", [">i2", ">i8", ">u8"])
def test_a_compiled_loop_takes_bytes_in_any_order(costs: ModuleType, kind: str) -> None:
    pytest.importorskip("numba")
    found = costs.arrays.prefill(seq_len=numpy.array([5, 331], dtype=kind), engine="fused")
    assert points(found) == scalar(costs, "prefill", {"seq_len": [5, 331]})


def test_a_compiled_loop_is_not_for_a_single_point_without_dimensions(costs: ModuleType) -> None:
    pytest.importorskip("numba")
    found = costs.arrays.prefill(seq_len=numpy.array(331, dtype=object), engine="fused")
    assert tuple(metric.item() for metric in found) == costs.prefill(seq_len=331)


@pytest.mark.parametrize("count", [1, STRIP - 1, STRIP, STRIP + 1, 3 * STRIP + 7])
def test_strips_of_many_rows_and_the_points_after_them_are_what_blocks_give(
    costs: ModuleType, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Columns of every kind: of 16 bits, and with gaps between their elements."""
    pytest.importorskip("numba")
    fused = __import__(f"{costs.__name__}._fused", fromlist=["_"])
    assert fused.STRIP == STRIP
    place = numpy.arange(count)
    sizes = {
        "batch_size": (place * 37 % 101 + 1).astype(numpy.int16),
        "seq_len": numpy.repeat(place * 53 % 1009 + 400, 3)[::3],
        "decode_steps": place * 29 % 5,
    }
    results: list[Any] = []
    run = fused.Fused.run
    monkeypatch.setattr(fused.Fused, "run", lambda *call: results.append(run(*call)) or results[-1])
    found, blocks = (costs.arrays.stages(**sizes, engine=engine) for engine in ("fused", "numpy"))
    (result,) = results
    assert len({metric.ctypes.data for metric in result.metrics}) > fused.FEW_ROWS
    assert [points(cost) for cost in found] == [points(cost) for cost in blocks]
    for point in range(0, count, 5):  # the functions on integers take long for all of them
        expected = costs.stages(**{name: int(column[point]) for name, column in sizes.items()})
        assert tuple(tuple(int(metric[point]) for metric in cost) for cost in found) == expected


@pytest.mark.parametrize("place", [0, STRIP - 1, STRIP, 2 * STRIP, 2 * STRIP + 6])
@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("batch_size", 0, "batch_size must be at least 1, not 0"),
        ("seq_len", 3, "must be at most seq_len: .* > 3"),
        ("batch_size", 2**62, "more than int64 holds"),
    ],
)
def test_a_wrong_point_in_a_strip_or_after_all_strips_is_refused(
    costs: ModuleType, place: int, name: str, size: int, message: str
) -> None:
    """Two strips and 7 points."""
    pytest.importorskip("numba")
    sizes = {"batch_size": numpy.full(2 * STRIP + 7, 5), "seq_len": numpy.full(2 * STRIP + 7, 997)}
    sizes[name][place] = size
    messages = []
    for engine in ("fused", "numpy"):
        with pytest.raises((OverflowError, costs.CostError), match=message) as refused:
            costs.arrays.stages(**sizes, engine=engine)
        messages.append(str(refused.value))
    assert messages[0] == messages[1]


def test_a_loop_is_compiled_only_where_it_pays(costs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few points never compile; many small calls with one formula do in the end."""
    pytest.importorskip("numba")
    fused = __import__(f"{costs.__name__}._fused", fromlist=["_"])
    compiled: list[object] = []
    compile_loop = fused._compile
    monkeypatch.setattr(fused, "_compile", lambda *key: compiled.append(key) or compile_loop(*key))
    monkeypatch.setattr(fused, "WORTH_CALLING", 5)
    monkeypatch.setattr(fused, "WORTH_COMPILING", 17)
    for number, expected in ((3, 0), (7, 0), (7, 0), (7, 1), (7, 2)):
        costs.arrays.projector(weight_bits=list(range(1, number + 1)))
        assert len(compiled) == expected
