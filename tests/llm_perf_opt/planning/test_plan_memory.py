"""What fits: the largest batch does and one more does not; and what engines report when they start."""

from __future__ import annotations

from typing import Any

import pytest
from planned import draw_pages, make_pages_mix

import deepseek_ocr_costs as costs
from llm_perf_opt.hardware import find_hardware, list_hardware
from llm_perf_opt.planning.memory import EngineMemory
from llm_perf_opt.planning.pages import Page
from modelmeter.model.serving import find_serving

GIB = 2**30

# Cache of DeepSeek-OCR in 16 bits: 12 layers x 2 x 1280 x 2 bytes.
TOKEN_BYTES = 12 * 2 * 1280 * 2


@pytest.mark.parametrize(
    ("card", "reported"),
    # "GPU KV cache size" in public start-up logs of vLLM at a utilisation of 0.90; for the L40S, what 0.90 of the 44.39
    # GiB that it sees leaves beside the 7.485 GiB that it kept on the others.
    [("l4", 215_680), ("a100-sxm-80gb", 1_115_616), ("l40s", int((0.9 * 44.39 - 7.485) * GIB / TOKEN_BYTES))],
)
def test_tokens_of_the_cache_are_those_of_public_logs(card: str, reported: int) -> None:
    memory = EngineMemory(card=find_hardware(card), mix=make_pages_mix([Page(1191, 1684, 1024)]))
    assert memory.token_bytes == TOKEN_BYTES
    assert memory.cache_tokens == pytest.approx(reported, rel=0.01)
    assert memory.cache_tokens % 16 == 0


def count_bytes(memory: EngineMemory, sizes: dict[str, int], output_tokens: int, batch: int) -> int:
    """What a batch needs, from the evaluators alone: for pages that are all alike."""
    bits = dict(memory.mix.model.bits)
    tokens = costs.image_tokens(**sizes) + 10
    blocks = -(-(tokens + output_tokens - 1) // 16)
    block_bytes = costs.prefill(seq_len=16, **bits).kv_cache_bytes
    stage_bits = {name: bits[name] for name in ("weight_bits", "activation_bits")}
    step = tokens + batch - 1
    peaks = (
        costs.vision_peak_activation_bytes(**sizes, **stage_bits, seq_len=tokens),
        costs.projector_peak_activation_bytes(**sizes, **stage_bits, seq_len=tokens),
        costs.prefill_peak_activation_bytes(seq_len=step, logits_tokens=min(batch, step), **bits),
    )
    return costs.request(**bits).weight_bytes + batch * blocks * block_bytes + max(peaks)


@pytest.mark.parametrize("bits", [16, 8, 32])
@pytest.mark.parametrize("mode", sorted(find_serving().modes))
@pytest.mark.parametrize("card", list_hardware())
def test_the_largest_batch_fits_and_one_more_does_not(card: str, mode: str, bits: int) -> None:
    mix = make_pages_mix([Page(2039, 3001, 1009)], mode=mode, weight_bits=bits, activation_bits=bits, kv_bits=bits)
    memory = EngineMemory(card=find_hardware(card), mix=mix)
    sizes, largest = dict(mix.classes[0].views), memory.largest_batch
    assert memory.measure(largest or 1) == count_bytes(memory, sizes, 1009, largest or 1)
    assert largest == 0 or count_bytes(memory, sizes, 1009, largest) <= memory.usable_bytes
    assert count_bytes(memory, sizes, 1009, largest + 1) > memory.usable_bytes
    # Nine tenths of what the card shows, less 1.25 GiB.
    assert memory.usable_bytes == pytest.approx(0.9 * find_hardware(card).visible_bytes - 1.25 * GIB, abs=2)
    if bits == 16:
        assert largest > 1


def test_a_batch_of_a_mix_fits_even_if_all_of_its_pages_are_the_longest() -> None:
    pages = draw_pages(97, 17)
    mix = make_pages_mix(pages)
    memory = EngineMemory(card=find_hardware("l4"), mix=mix)
    longest = max(each.cached_tokens for each in mix.classes)
    alone = [make_pages_mix([page]) for page in pages if page.output_tokens > 3000]
    assert memory.page_blocks == -(-longest // 16)
    for each in alone:
        assert EngineMemory(card=find_hardware("l4"), mix=each).largest_batch >= memory.largest_batch


def test_a_card_that_is_too_small_takes_none() -> None:
    mix = make_pages_mix([Page(1191, 1684, 1024)])
    from attrs import evolve

    card: Any = evolve(find_hardware("l4"), visible_gib=7.0)
    memory = EngineMemory(card=card, mix=mix)
    assert (memory.largest_batch, memory.cache_tokens) == (0, 0)
