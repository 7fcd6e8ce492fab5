"""The emitted functions of a serving engine's steps."""

from __future__ import annotations

import pytest

import deepseek_ocr_costs as costs
from modelmeter.metrics.metric import METRICS


def test_a_step_of_equal_lengths_is_a_decode_step_but_for_its_positions() -> None:
    together = costs.step(contexts=[913, 913, 913])
    decode = costs.decode(batch_size=3, seq_len=913, decode_steps=1)
    # Sequences of a decode share a row of positions; here each has its own, of 8 bytes, in each of 12 layers.
    assert together.io_bytes - decode.io_bytes == 2 * 12 * 8
    others = [metric for metric in METRICS if metric != "io_bytes"]
    assert [getattr(together, metric) for metric in others] == [getattr(decode, metric) for metric in others]


def test_the_cache_of_a_step_is_the_sum_over_its_sequences() -> None:
    # Keys and values of 12 layers x 10 heads x 128 channels, 2 bytes each, for every position and the new one.
    a_position = 2 * 12 * 10 * 128 * 2
    assert costs.step(contexts=[7, 101, 913]).kv_cache_bytes == a_position * (8 + 102 + 914)


def test_attention_of_a_step_grows_with_the_sum_of_the_lengths() -> None:
    # Two products of 12 layers x 1,280 channels with each further key: 4 FLOPs each.
    one = costs.step(contexts=[7, 101])
    other = costs.step(contexts=[7, 104])
    assert other.tensor_core_flops - one.tensor_core_flops == 3 * 4 * 12 * 1280


def test_chunks_of_a_prefill_leave_its_cache_and_do_its_products() -> None:
    whole = costs.prefill(seq_len=913, logits_tokens=1)
    first = costs.prefill(seq_len=401, logits_tokens=1)
    rest = costs.chunk(seq_len=512, cached_tokens=401, logits_tokens=1)
    assert rest.kv_cache_bytes == whole.kv_cache_bytes
    # The whole prefill also attends from the first chunk to the second (it counts the full rectangle), and has its
    # logits once, not twice: 4 x 12 x 1,280 FLOPs a pair, and a product of 1,280 x 129,280 for the logits.
    pairs, logits = 401 * 512 * 4 * 12 * 1280, 2 * 1280 * 129280
    assert first.tensor_core_flops + rest.tensor_core_flops == whole.tensor_core_flops - pairs + logits


def test_a_chunk_without_logits_does_not_read_the_head() -> None:
    with_one = costs.chunk(seq_len=7, cached_tokens=11, logits_tokens=1)
    without = costs.chunk(seq_len=7, cached_tokens=11, logits_tokens=0)
    assert with_one.tensor_core_flops - without.tensor_core_flops == 2 * 1280 * 129280
    # The head reads its weights and a hidden state, and writes logits, which are read again and written in float32.
    assert with_one.io_bytes - without.io_bytes == 2 * 1280 * 129280 + 2 * 1280 + (2 + 2 + 4) * 129280


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: costs.step(contexts=[]), costs.CostError, "contexts must have at least one sequence"),
        (lambda: costs.step(contexts=[3, 0]), costs.CostError, r"contexts\[1\] must be at least 1, not 0"),
        (lambda: costs.step(contexts=["7"]), TypeError, r"contexts\[0\] must be an integer"),
        (lambda: costs.chunk(cached_tokens=0), costs.CostError, "cached_tokens must be at least 1, not 0"),
        (lambda: costs.chunk(seq_len=7, logits_tokens=11), costs.CostError, "logits_tokens must be at most seq_len"),
    ],
)
def test_bad_sizes_are_refused(call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()  # type: ignore[operator]
