"""Our counters, on the reference model at full size, see what others counted on the vendor's own modules."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor
from vendor_counts import DECODE, PREFILL, VISION, Table

from modelmeter.graph.dtypes import default_dtype
from modelmeter.metrics.cost import Precision
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM, build_reference
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.models.deepseek_ocr.trace_reference import DTYPE
from modelmeter.verify.counting import count_forward
from modelmeter.verify.live_storages import watch_storages
from modelmeter.verify.operators import CountedOperator

ARCHITECTURE = DeepSeekOCRArchitecture()
BITS = Precision(weight_bits=16, activation_bits=16, kv_bits=16)


@pytest.fixture(scope="module")
def model() -> DeepseekOCRForCausalLM:
    return build_reference(ARCHITECTURE, expert_routing="even")


def tabulate(operators: Iterable[CountedOperator]) -> Table:
    table: Table = {}
    for operator in operators:
        calls, read, written = table.get(operator.name, (0, 0, 0))
        moved = int(operator.reads.to_bytes(BITS)), int(operator.writes.to_bytes(BITS))
        table[operator.name] = (calls + 1, read + moved[0], written + moved[1])
    return table


def sum_bytes(table: Table) -> int:
    return sum(read + written for _, read, written in table.values())


def make_pixels(views: int, side: int) -> Tensor:
    return torch.empty(views, 3, side, side, dtype=DTYPE, device="meta")


def make_ids(positions: int) -> Tensor:
    return torch.zeros(1, positions, dtype=torch.int64, device="meta")


def count_towers(model: DeepseekOCRForCausalLM, pixels: Tensor) -> Table:
    towers = model.model

    def forward() -> None:
        towers.vision_model(pixels, towers.sam_model(pixels))

    with default_dtype(DTYPE):
        return tabulate(count_forward(model, forward).operators)


def test_the_towers_dispatch_what_the_vendors_do(model: DeepseekOCRForCausalLM) -> None:
    found = count_towers(model, make_pixels(1, 1024))
    assert found == VISION
    assert sum_bytes(found) == 9721533072


def test_six_tiles_in_one_call_move_what_the_vendors_do(model: DeepseekOCRForCausalLM) -> None:
    assert sum_bytes(count_towers(model, make_pixels(6, 640))) == 16836650232


@pytest.mark.parametrize(("views", "side", "peak_bytes"), [(1, 1024, 465567744), (6, 640, 549273600)])
def test_the_towers_and_the_projector_keep_alive_what_the_vendors_do(
    model: DeepseekOCRForCausalLM, views: int, side: int, peak_bytes: int
) -> None:
    pixels = make_pixels(views, side)
    with default_dtype(DTYPE):
        watched = watch_storages(model, lambda: model.model.encode_views(pixels))
    assert max(live.alive.to_bytes(BITS) for live in watched) == peak_bytes


class Prompt:
    """A prefill of 913 tokens into a new cache."""

    def __init__(self, model: DeepseekOCRForCausalLM) -> None:
        self.model = model
        self.ids = make_ids(913)
        self.cache = KeyValueCache(ARCHITECTURE, batch_size=1, capacity=913, device="meta", dtype=DTYPE)

    def run(self) -> object:
        return self.model(self.ids, self.cache)


def test_a_prefill_dispatches_what_the_vendors_does(model: DeepseekOCRForCausalLM) -> None:
    prompt = Prompt(model)
    with default_dtype(DTYPE):
        found = tabulate(count_forward(model, prompt.run, cache=prompt.cache.tensors).operators)
    # The vendor's was given embeddings: ours also reads 913 ids and as many rows, and writes these.
    assert found.pop("embedding") == (1, 913 * 8 + 913 * 1280 * 2, 913 * 1280 * 2)
    assert found == PREFILL
    assert sum_bytes(found) == 13326950472


def test_a_prefill_keeps_alive_what_the_vendors_does(model: DeepseekOCRForCausalLM) -> None:
    prompt = Prompt(model)
    embeddings = torch.empty(913, 1280, dtype=DTYPE, device="meta")  # that the vendor's was given, and its caller held
    with default_dtype(DTYPE):
        watched = watch_storages(model, prompt.run, cache=prompt.cache.tensors, inputs=[embeddings])
    largest = max(watched, key=lambda live: live.alive.to_bytes(BITS))
    assert (largest.path, largest.name) == ("", "_to_copy"), "the float32 copy of the logits"
    assert largest.alive.to_bytes(BITS) == 712877704


def test_a_decode_step_dispatches_what_the_vendors_does_but_for_the_copy_of_the_cache(
    model: DeepseekOCRForCausalLM,
) -> None:
    cache = KeyValueCache(ARCHITECTURE, batch_size=1, capacity=914, device="meta", dtype=DTYPE)
    cache.hold(913)
    ids = make_ids(1)
    with default_dtype(DTYPE):
        found = tabulate(count_forward(model, lambda: model(ids, cache), cache=cache.tensors).operators)
    assert found.pop("embedding") == (1, 8 + 1280 * 2, 1280 * 2)
    # Keys and values of twelve layers: ours appends one position to each, theirs copies 914 positions.
    assert found.pop("copy_") == (24, 24 * 1280 * 2, 24 * 1280 * 2)
    calls, read, written = found.pop("cat")
    copied = 24 * 914 * 1280 * 2
    assert (calls + 24, read + copied, written + copied) == DECODE["cat"]
    assert found == {name: row for name, row in DECODE.items() if name != "cat"}
