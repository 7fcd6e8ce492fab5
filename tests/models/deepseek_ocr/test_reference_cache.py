"""The cache of the reference model: what a prefill has made, and what is appended to it."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from layer_case import GROUPED
from model_inputs import build_cache, ids_on_meta
from oracle import TINY

from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache, WithoutCache
from modelmeter.support.errors import TraceError

# 2 layers, of 3 heads with 14 channels each; 2 sequences of at most 11 positions.
SMALL = evolve(GROUPED, num_key_value_heads=3, num_hidden_layers=2)


def make_cache(capacity: int = 11, dtype: torch.dtype = torch.float64) -> KeyValueCache:
    return KeyValueCache(SMALL, batch_size=2, capacity=capacity, device="cpu", dtype=dtype)


def draw(positions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return new keys and values (2 sequences, 3 heads, positions, 14 channels)."""
    keys, values = torch.randn(2, 2, 3, positions, 14, dtype=torch.float64)
    return keys, values


def test_a_new_cache_holds_nothing_and_no_memory() -> None:
    cache = make_cache()
    assert (cache.length, cache.tensors(), cache.layer_tensors(1)) == (0, [], [])


def test_what_a_prefill_has_made_becomes_the_cache_as_it_is() -> None:
    cache = make_cache()
    made = [draw(5), draw(5)]
    for layer, (keys, values) in enumerate(made):
        seen = cache.update(layer, keys, values)
        assert seen[0] is keys
        assert seen[1] is values
    assert cache.length == 0, "every layer of a forward begins at the same length"
    cache.advance(5)
    assert cache.length == 5
    assert [id(tensor) for tensor in cache.layer_tensors(1)] == [id(tensor) for tensor in made[1]]
    assert {id(tensor) for tensor in cache.tensors()} == {id(tensor) for pair in made for tensor in pair}


def test_later_positions_stand_behind_the_earlier_ones_in_memory_that_stays() -> None:
    cache = make_cache()
    pieces = [[draw(5), draw(2), draw(1)] for _ in range(2)]
    for layer in range(2):
        cache.update(layer, *pieces[layer][0])
    cache.advance(5)
    cache.make_room()
    places = [tensor.data_ptr() for tensor in cache.tensors()]
    for part, positions in ((1, 2), (2, 1)):
        for layer in range(2):
            seen = cache.update(layer, *pieces[layer][part])
            for kind in (0, 1):  # keys, then values
                whole = torch.cat([pieces[layer][before][kind] for before in range(part + 1)], dim=2)
                assert torch.equal(seen[kind], whole)
        cache.advance(positions)
    assert cache.length == 8
    assert [tensor.data_ptr() for tensor in cache.tensors()] == places
    assert {tuple(tensor.shape) for tensor in cache.tensors()} == {(2, 3, 11, 14)}


def test_room_keeps_what_is_cached_whenever_it_is_made() -> None:
    cache = make_cache()
    keys, values = draw(5)
    for layer in range(2):
        cache.update(layer, keys, values)
    cache.advance(5)
    for _ in range(2):
        cache.make_room()
        for layer in range(2):
            for held, made in zip(cache.layer_tensors(layer), (keys, values), strict=True):
                assert torch.equal(held[:, :, :5], made)
        assert cache.length == 5


def test_room_for_less_than_is_cached_is_refused() -> None:
    cache = make_cache(capacity=4)
    for layer in range(2):
        cache.update(layer, *draw(5))
    cache.advance(5)
    with pytest.raises(TraceError, match="no room for what it holds; expected at least 5; found 4"):
        cache.make_room()
    assert (cache.length, cache.layer_tensors(0)[0].shape[2]) == (5, 5), "it is as it was"


@pytest.mark.parametrize("has_room", [True, False])
def test_a_position_without_room_is_refused(has_room: bool) -> None:
    """Behind a prefill without room, and behind the last position of a full buffer."""
    cache = make_cache(capacity=5)
    for layer in range(2):
        cache.update(layer, *draw(5))
    cache.advance(5)
    if has_room:
        cache.make_room()
    with pytest.raises(TraceError, match=r"no room for another position; expected at least 6; .*make_room"):
        cache.update(0, *draw(1))


def test_a_layer_that_has_cached_nothing_cannot_append() -> None:
    cache = make_cache()
    cache.update(0, *draw(5))
    cache.advance(5)
    with pytest.raises(TraceError, match="no room for another position"):
        cache.update(1, *draw(1))


def test_positions_may_be_taken_as_cached_whatever_they_are() -> None:
    """For steps behind a prompt that nobody has run."""
    cache = make_cache(dtype=torch.bfloat16)
    cache.hold(7)
    assert cache.length == 7
    assert len(cache.tensors()) == 4
    assert {(tuple(tensor.shape), tensor.dtype) for tensor in cache.tensors()} == {((2, 3, 11, 14), torch.bfloat16)}
    before = cache.tensors()
    cache.hold(3)
    assert cache.length == 3
    places = {tensor.data_ptr() for tensor in before}
    assert not places & {tensor.data_ptr() for tensor in cache.tensors()}, "another prompt, in memory of its own"


def test_without_a_cache_every_layer_sees_what_is_there_and_nothing_is_kept() -> None:
    nothing = WithoutCache()
    keys, values = draw(5)
    for layer in range(7):
        seen = nothing.update(layer, keys, values)
        assert seen[0] is keys
        assert seen[1] is values
    nothing.advance(5)
    assert (nothing.length, nothing.tensors()) == (0, [])


def test_a_model_fills_every_layer_with_grouped_heads() -> None:
    """4 layers; 6 query heads of 4 channels share 2 heads of keys and of values."""
    model = build_reference(TINY, expert_routing="even")
    cache = build_cache(TINY, 3, 9)
    model(ids_on_meta(3, 7), cache)
    assert cache.length == 7
    assert [tuple(tensor.shape) for tensor in cache.tensors()] == [(3, 2, 7, 4)] * 8
    cache.make_room()
    model(ids_on_meta(3, 1), cache)
    assert cache.length == 8
    assert [tuple(tensor.shape) for tensor in cache.tensors()] == [(3, 2, 9, 4)] * 8
