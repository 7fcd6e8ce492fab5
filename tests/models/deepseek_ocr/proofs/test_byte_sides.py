"""Both implementations as they are recorded."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from tiny import TINY

from modelmeter.graph.dtypes import default_dtype
from modelmeter.metrics.cost import Precision
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.sides import DTYPE, Models
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.verify.counting import count_forward
from modelmeter.verify.foreign_bytes.records import Recording

BFLOAT16 = Precision(weight_bits=16, activation_bits=16, kv_bits=16)


@pytest.fixture(scope="module")
def models() -> Models:
    return Models.build(TINY, "eager")


def count_calls(recording: Recording, name: str) -> int:
    return sum(operator.name == name for operator in recording.operators)


def test_the_second_count_of_the_reference_model_is_that_of_the_first(models: Models) -> None:
    """Of the same forward: one counts elements by kind, of operators in lists, the other bytes of any operator."""
    sides = models.record_prefill(batch_size=3, seq_len=7, logits_tokens=5)
    cache = KeyValueCache(TINY, batch_size=3, capacity=7, device="meta", dtype=DTYPE)
    token_ids = torch.empty(3, 7, dtype=torch.int64, device="meta")
    with torch.device("meta"), default_dtype(DTYPE):
        counted = count_forward(
            models.ours, lambda: models.ours(token_ids, cache, logits_tokens=5), cache=cache.tensors
        )
    read = sum(operator.read_bytes for operator in sides.ours.operators)
    written = sum(operator.written_bytes for operator in sides.ours.operators)
    assert (8 * read, 8 * written) == (counted.work.reads.to_bits(BFLOAT16), counted.work.writes.to_bits(BFLOAT16))
    calls = {name: count_calls(sides.ours, name) for name in counted.calls}
    assert calls == counted.calls


def test_views_go_through_our_towers_page_by_page_and_through_theirs_at_once(models: Models) -> None:
    sides = models.record_views(batch_size=3, num_views=2, view_size=85)
    assert sides.sizes == {"batch_size": 3, "num_views": 2, "view_size": 85, "grid_size": 5}  # 5 pixels are left over
    # The patches, the neck and two more convolutions.
    assert (count_calls(sides.ours, "convolution"), count_calls(sides.theirs, "convolution")) == (3 * 5, 5)


def test_a_step_sees_the_keys_that_were_cached_and_its_own(models: Models) -> None:
    sides = models.record_decode(batch_size=5, num_keys=13)
    assert sides.sizes == {"batch_size": 5, "num_queries": 1, "num_keys": 13, "logits_tokens": 1}
    for recording in (sides.ours, sides.theirs):
        read = {
            operator.read_bytes for operator in recording.operators if operator.name == "scaled_dot_product_attention"
        }
        # 6 query heads of one position and 2 key heads of 13, of 4 channels; keys and values.
        assert read == {2 * 5 * 4 * (6 + 2 * 2 * 13)}


def test_every_expert_with_a_token_runs_once_in_the_loop(models: Models) -> None:
    """Of 11 experts, a token takes 4, and 2 tokens 8: one layer has experts."""
    sparse = evolve(TINY, n_routed_experts=11, num_experts_per_tok=4)
    loop = Models.build(sparse, "eager").record_prefill(batch_size=2, seq_len=1, logits_tokens=1).theirs
    assert count_calls(loop, "index_add_") == 8
    assert count_calls(models.record_prefill(batch_size=2, seq_len=1, logits_tokens=1).theirs, "index_add_") == 3


def test_grouped_products_take_all_experts() -> None:
    wide = evolve(TINY, hidden_size=48, moe_intermediate_size=16)  # rows have to begin at multiples of 16 bytes
    recording = Models.build(wide, "grouped_mm").record_prefill(batch_size=2, seq_len=5, logits_tokens=5).theirs
    assert count_calls(recording, "_grouped_mm") == 2
    assert count_calls(recording, "index_add_") == 0


def test_choices_that_stand_in_for_those_of_a_router_are_no_activations(models: Models) -> None:
    recording = models.record_prefill(batch_size=3, seq_len=7, logits_tokens=5).theirs
    given = [storage.nbytes for storage in recording.storages if storage.name == "given" and storage.nbytes]
    assert given == [8 * 3 * 7]  # the token ids


def test_the_defaults_of_torch_are_as_before(models: Models) -> None:
    before = torch.get_default_dtype(), torch.get_default_device()
    models.record_decode(batch_size=1, num_keys=3)
    assert (torch.get_default_dtype(), torch.get_default_device()) == before
