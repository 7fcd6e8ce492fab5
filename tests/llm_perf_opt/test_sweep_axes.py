"""The axes of a sweep: what can be written, and what is taken from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_perf_opt.sweep import Axis, parse_axis
from modelmeter.support.errors import WorkloadError

SIZES = st.integers(0, 2**63 - 1)


def list_values(axis: Axis) -> list[int]:
    return axis.take(np.arange(axis.length)).tolist()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seq_len=7", [7]),
        ("seq_len=8,2,4,4", [8, 2, 4, 4]),
        ("seq_len=3:7", [3, 4, 5, 6]),
        ("seq_len=1:32:10", [1, 11, 21, 31]),
        ("seq_len=1:31:10", [1, 11, 21]),
        ("seq_len=9:0:-4", [9, 5, 1]),
        ("seq_len=1_000,5:11:3,0", [1000, 5, 8, 0]),
        (f"seq_len={2**63 - 1}", [2**63 - 1]),
        (f"seq_len=0:{2**63}:{2**63 - 1},5:6:{10**20}", [0, 2**63 - 1, 5]),
    ],
)
def test_an_axis_is_as_it_is_written(text: str, values: list[int]) -> None:
    """Ranges are Python's, and everything comes in the order in which it stands."""
    axis = parse_axis(text)
    assert (axis.name, axis.length) == ("seq_len", len(values))
    assert list_values(axis) == values
    assert axis.bounds == (min(values), max(values))
    assert parse_axis(str(axis)) == axis


@given(st.lists(st.builds(range, st.integers(0, 50), st.integers(0, 50), st.sampled_from([-7, -1, 1, 3]))))
def test_any_ranges(ranges: list[range]) -> None:
    """An axis of ranges is their concatenation; one without a value is refused."""
    if ranges and all(ranges):
        assert list_values(Axis("seq_len", tuple(ranges))) == [value for values in ranges for value in values]
    else:
        with pytest.raises(WorkloadError, match="no value"):
            Axis("seq_len", tuple(ranges))


@given(st.lists(SIZES, min_size=1))
def test_of_values(values: list[int]) -> None:
    assert list_values(Axis.of("seq_len", values)) == values
    assert Axis.of("seq_len", np.array(values)) == Axis.of("seq_len", values)


def test_values_are_integers() -> None:
    with pytest.raises(TypeError, match="integer"):
        Axis.of("seq_len", [3, 4.5])  # type: ignore[list-item]  # what a reader of a table may have


def test_a_long_axis_takes_no_memory() -> None:
    """Its ends are there at once, beyond what any array of its values could hold."""
    axis = parse_axis(f"seq_len=1:{2**62}:3")
    assert axis.length == (2**62 - 1 + 2) // 3
    assert axis.take(np.array([0, axis.length - 1])).tolist() == [1, 1 + 3 * (axis.length - 1)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seq_len", ("name=1,2,4", "start:stop", "seq_len")),
        ("=1,2", ("name=1,2,4",)),
        ("", ("name=1,2,4",)),
        ("seq_len=", ("seq_len", "not an integer")),
        ("seq_len=1,", ("seq_len", "not an integer")),
        ("seq_len=1,,2", ("seq_len", "not an integer")),
        ("seq_len=1.5", ("seq_len", "not an integer", "1.5")),
        ("seq_len=1e3", ("not an integer", "1e3")),
        ("seq_len=many", ("not an integer", "many")),
        ("seq_len=:9", ("not an integer",)),
        ("seq_len=1:", ("not an integer",)),
        ("seq_len=1:9:0", ("seq_len", "step of 0", "1:9:0")),
        ("seq_len=1:9:2:3", ("seq_len", "start:stop[:step]", "1:9:2:3")),
        ("seq_len=5:5", ("seq_len", "no value", "5:5")),
        ("seq_len=1,9:5", ("seq_len", "no value", "9:5")),
        ("seq_len=-1:5", ("seq_len", "no size", "expected 0 to 2**63 - 1", "found -1")),
        (f"seq_len=0,{2**63}", ("seq_len", "no size", f"found {2**63}")),
        ("seq_len=1:" + "9" * 90, ("seq_len", "no size")),
        ("seq_len=1:" + "9" * 101, ("seq_len", "at most 100 digits")),
    ],
)
def test_refuses_what_is_no_axis(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(WorkloadError) as refused:
        parse_axis(text)
    for word in words:
        assert word in str(refused.value)
