"""Many points are computed before their sizes are checked: results and refusals are those of few points."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

numpy = pytest.importorskip("numpy")


@pytest.fixture
def ran_ahead(costs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Make a few points many, in blocks of 4 with a sample of 2, and collect whether they were computed ahead."""
    names = ("_array_runtime", "_ahead", "_blocks")
    runtime, ahead, blocks = (__import__(f"{costs.__name__}.{name}", fromlist=["_"]) for name in names)
    monkeypatch.setattr(ahead, "MANY", 2)
    monkeypatch.setattr(ahead, "SAMPLE", 2)
    monkeypatch.setattr(blocks, "WORKING_SET", 0)
    monkeypatch.setattr(blocks, "SMALLEST_BLOCK", 4)
    done: list[bool] = []
    run_ahead = runtime.run_ahead

    def watch(*arguments: Any) -> Any:
        metrics = run_ahead(*arguments)
        done.append(metrics is not None)
        return metrics

    monkeypatch.setattr(runtime, "run_ahead", watch)
    return done


def check(costs: ModuleType, stage: str, sizes: dict[str, list[int]]) -> None:
    found = getattr(costs.arrays, stage)(
        **{name: numpy.array(column) for name, column in sizes.items()}, engine="numpy"
    )
    for place in range(len(next(iter(sizes.values())))):
        expected = getattr(costs, stage)(**{name: column[place] for name, column in sizes.items()})
        assert tuple(int(metric[place]) for metric in found) == expected


def test_points_like_the_sample_are_computed_ahead(costs: ModuleType, ran_ahead: list[bool]) -> None:
    check(costs, "decode", {"batch_size": [3, 5, 7, 11, 13], "decode_steps": [1, 2, 1, 4, 9]})
    assert ran_ahead == [True]


@pytest.mark.parametrize("steps", [[5, 5, 5, 0, 5, 5, 5], [0, 5, 0, 0, 0, 0, 0], [5, 6, 5, 5, 5, 5, 5]])
def test_a_rare_value_that_no_sample_shows_is_found(costs: ModuleType, ran_ahead: list[bool], steps: list[int]) -> None:
    """The sample holds places 0, 3 and 6, or fewer: after it, steps never differ, or there are always some."""
    check(costs, "decode", {"batch_size": [3, 5, 7, 11, 13, 17, 19], "decode_steps": steps})
    check(costs, "decode", {"batch_size": [3] * 7, "decode_steps": steps})
    assert len(ran_ahead) == 2


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"batch_size": [5, 0, 5, 5, 5, 5]}, "batch_size must be at least 1, not 0"),
        ({"batch_size": [5, 5, 5, 5, -3, 5]}, "batch_size must be at least 1, not -3"),
        ({"seq_len": [5] * 6, "logits_tokens": [5, 5, 7, 5, 5, 5]}, "logits_tokens must be at most seq_len: 7 > 5"),
        # -9 tokens are too few before they are fewer than 5.
        ({"seq_len": [5, 5, 5, 5, -9, 5], "logits_tokens": [5] * 6}, "seq_len must be at least 1, not -9"),
        ({"batch_size": [5, 5, 5, 5, 2**62, 5]}, "more than int64 holds"),
        ({"batch_size": [2**62, 5, 5, 5, 5, 5]}, "more than int64 holds"),
        ({"batch_size": numpy.array([5, 5, 5, 7, 2**63 + 3, 5], dtype="uint64")}, "more than int64 holds"),
        ({"batch_size": [5, 5, 5, 7, 2**64 + 3, 5]}, "more than int64 holds"),  # Python integers
    ],
)
def test_what_few_points_refuse_is_refused(
    costs: ModuleType, ran_ahead: list[bool], sizes: dict[str, Any], message: str
) -> None:
    with pytest.raises((OverflowError, costs.CostError), match=message):
        costs.arrays.prefill(**{name: numpy.array(column) for name, column in sizes.items()}, engine="numpy")
    assert ran_ahead == [False]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.lists(st.sampled_from((0, 1, 3, 2**40, 2**62)) | st.integers(1, 700), min_size=3, max_size=13),
    steps=st.sampled_from((0, 1, 5)),
    overflow=st.sampled_from(("error", "float64", "exact")),
)
def test_a_run_ahead_gives_what_a_checked_run_gives(
    costs: ModuleType, ran_ahead: list[bool], batch: list[int], steps: int, overflow: str
) -> None:
    ahead = __import__(f"{costs.__name__}._ahead", fromlist=["_"])
    results: list[Any] = []
    sizes = {"batch_size": numpy.array(batch), "decode_steps": numpy.array([steps] + [5] * (len(batch) - 1))}
    for many in (2, 10**9):
        ahead.MANY = many  # the fixture puts it back
        try:
            found = costs.arrays.request(**sizes, overflow=overflow, engine="numpy")
        except (OverflowError, costs.CostError) as error:
            results.append((type(error), str(error)))
        else:
            results.append([metric.tolist() for metric in found])
    assert results[0] == results[1]


def test_all_stages_at_once_cost_what_they_cost_on_integers(costs: ModuleType) -> None:
    sizes = {"batch_size": [1, 3, 700], "num_width_tiles": [5, 1, 2], "decode_steps": [0, 5, 13]}
    found = costs.arrays.stages(**sizes)
    assert type(found)._fields == costs.Stages._fields
    for place in range(3):
        expected = costs.stages(**{name: column[place] for name, column in sizes.items()})
        assert tuple(tuple(int(metric[place]) for metric in cost) for cost in found) == expected


def test_who_changes_a_metric_of_one_stage_changes_no_other(costs: ModuleType) -> None:
    """The decoder's weights are those of two stages, and the cache at the end is that of the request too."""
    found = costs.arrays.stages(batch_size=[3, 5], weight_bits=[4, 7])
    expected = costs.stages(batch_size=5, weight_bits=7)
    for stage, cost in zip(found, expected, strict=True):
        for metric, number in zip(stage, cost, strict=True):
            assert metric[1] == number
            if metric.flags.writeable:
                metric[:] = -1
    assert not found.decode.weight_bytes.flags.writeable
    assert found.decode.io_bytes[1] == -1


def test_all_stages_of_no_points_are_empty(costs: ModuleType) -> None:
    found = costs.arrays.stages(batch_size=numpy.array([], dtype=numpy.int64))
    assert [[len(metric) for metric in cost] for cost in found] == [[0] * 6] * 5


@pytest.mark.parametrize("stage", ["stages", "page"])
def test_a_grid_or_a_frozen_function_is_of_one_stage(costs: ModuleType, stage: str) -> None:
    for function in (costs.arrays.grid, costs.freeze):
        with pytest.raises(
            costs.CostError, match=f"there is no stage '{stage}', only vision, projector, prefill, decode, request"
        ):
            function(stage, batch_size=3)
