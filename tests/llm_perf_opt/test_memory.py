"""What fits into a card."""

from __future__ import annotations

from typing import Any

import pytest
from predictions import make_hardware, make_prediction, make_stage

from llm_perf_opt.data import ActivationMemory, MemoryReserve
from llm_perf_opt.data.hardware import COMMON_RESERVE
from llm_perf_opt.reporting.memory import MemoryNeed, measure_memory

# Together 744 bytes at the peak; 784 if no activation is freed.
HELD = {"weight_bytes": 700, "kv_cache_bytes": 31, "activation_bytes": 53, "peak_activation_bytes": 13}


# Together 736 bytes at the peak; 778 if no activation is freed.
LAST = ActivationMemory(logits_tokens=1, activation_bytes=47, peak_activation_bytes=5)


def measure_all(reserve: MemoryReserve | None = None, **of_card: Any) -> tuple[MemoryNeed, ...]:
    stages = [make_stage("request", **HELD)]
    return measure_memory(
        make_prediction(
            hardware=make_hardware(**of_card), stages=stages, operators=[], reserve=reserve, last_logits=LAST
        )
    )


def measure(reserve: MemoryReserve | None = None, **of_card: Any) -> MemoryNeed:
    """What the request needs with the logits that it was asked for."""
    return measure_all(reserve, **of_card)[0]


def reserve_of(count: int) -> MemoryReserve:
    return MemoryReserve(reserve_gib=count / 2**30, reason="so many bytes")


@pytest.mark.parametrize(
    ("memory_bytes", "verdict"),
    # Weights, cache, activations at their peak and all of them: 700, 31, 13 and 53 bytes; so 731, 744 and 784.
    [
        (784, "fits"),
        (783, "fits, if activations are freed after their last use"),
        (744, "fits, if activations are freed after their last use"),
        (743, "does not fit"),
        (731, "does not fit"),
        (730, "does not fit: weights and cache alone are larger"),
    ],
)
def test_the_verdict(memory_bytes: int, verdict: str) -> None:
    """With a reserve, on a card that has so much more."""
    for reserve in (0, 17):
        need = measure(memory_bytes=memory_bytes + reserve, reserve=reserve_of(reserve))
        assert (need.total_bytes, need.usable_bytes) == (744, memory_bytes)
        assert need.verdict == verdict
        assert need.headroom_bytes == memory_bytes - 744
        assert need.fits == verdict.startswith("fits")


def test_the_reserve_is_the_one_asked_for_or_that_of_the_card_or_the_common_one() -> None:
    card = reserve_of(19)
    assert measure(reserve=reserve_of(23), memory_bytes=997).usable_bytes == 974
    assert (
        measure_memory(
            make_prediction(
                hardware=make_hardware(reserve=card), reserve=None, stages=[make_stage("request", **HELD)], operators=[]
            )
        )[0].reserve
        == card
    )
    # 1.25 x 2^30 bytes of 3 x 2^30.
    assert make_hardware(reserve=None).memory_reserve == COMMON_RESERVE
    need = measure(reserve=COMMON_RESERVE, memory_bytes=3 * 2**30)
    assert need.usable_bytes == 1_879_048_192


@pytest.mark.parametrize(
    ("memory_bytes", "verdicts"),
    [
        (784, ["fits", "fits"]),
        (778, ["fits, if activations are freed after their last use", "fits"]),
        (743, ["does not fit", "fits, if activations are freed after their last use"]),
        (735, ["does not fit", "does not fit"]),
    ],
)
def test_with_the_logits_of_all_positions_and_of_the_last(memory_bytes: int, verdicts: list[str]) -> None:
    needs = measure_all(memory_bytes=memory_bytes, reserve=reserve_of(0))
    assert [need.total_bytes for need in needs] == [744, 736]
    assert [need.words for need in needs] == ["logits of all 513 positions", "logits of the last position"]
    assert [need.verdict for need in needs] == verdicts


def test_with_the_logits_that_were_asked_for() -> None:
    """All that there are, the last few or the last one; that of the last one is not said twice."""
    for logits_tokens, words in (
        (513, ["logits of all 513 positions", "logits of the last position"]),
        (67, ["logits of the last 67 positions", "logits of the last position"]),
        (1, ["logits of the last position"]),
    ):
        sizes = {"seq_len": 513, "logits_tokens": logits_tokens}
        prediction = make_prediction(sizes=sizes, last_logits=LAST)
        assert [need.words for need in measure_memory(prediction)] == words
    # What earlier versions wrote says nothing of it.
    assert [need.words for need in measure_memory(make_prediction(last_logits=None))] == ["logits of all 513 positions"]


def test_a_reserve_of_more_than_the_card_leaves_nothing() -> None:
    need = measure(reserve=reserve_of(1009), memory_bytes=1000)
    assert (need.usable_bytes, need.headroom_bytes) == (0, -744)
    assert need.verdict == "does not fit: weights and cache alone are larger"


def test_a_part_of_a_byte_is_reserved_as_a_whole_one() -> None:
    assert MemoryReserve(reserve_gib=1.5 / 2**30, reason="a byte and a half").reserve_bytes == 2
