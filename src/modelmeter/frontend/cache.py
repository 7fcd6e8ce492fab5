"""A cache of keys and values that is appended to in place, as serving engines do, in the form that transformers calls.

transformers' own cache makes new tensors at every step, and copies all that is cached into them; ``io_bytes`` does not
have that traffic. Which layers keep what (all of a sequence, or a window of it) is what transformers says.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import torch
from attrs import frozen
from torch import Tensor, nn
from transformers.cache_utils import (
    DummyLayer,
    DynamicCache,
    DynamicIndexedLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionLayer,
)

from modelmeter.frontend.cached_layers import (
    InPlaceIndexedLayer,
    InPlaceLayer,
    InPlaceLayerAndStates,
    InPlaceReference,
    InPlaceWindow,
    InPlaceWindowAndStates,
)
from modelmeter.frontend.cached_states import CachedState, hold_states, list_states, read_states
from modelmeter.frontend.windows import REFERENCE_WINDOW
from modelmeter.support.errors import CountError


@frozen(kw_only=True)
class CachedShape:
    """What one layer keeps for one sequence: heads and channels of keys and values, if it has any, and states.

    An indexer has one key of ``indexer_channels`` for each position.
    """

    key_heads: int = 0
    key_channels: int = 0
    value_heads: int = 0
    value_channels: int = 0
    indexer_channels: int = 0
    states: tuple[CachedState, ...] = ()


_WITHOUT_STATES: Final = frozenset({InPlaceLayer, InPlaceIndexedLayer, InPlaceWindow, InPlaceReference})
_get_kept: Final = attrgetter("kept")


def name_cache(model: nn.Module) -> str:
    """Return what the forward of a model calls its cache; decoders of states alone have a name of their own for it."""
    taken = signature(model.forward).parameters
    return next((name for name in ("past_key_values", "cache_params") if name in taken), "past_key_values")


def call_model(model: nn.Module, tokens: Tensor, cache: DynamicCache) -> object:
    """Call a model with tokens behind those that are cached, for logits of the last one."""
    return model(input_ids=tokens, **{name_cache(model): cache}, use_cache=True, logits_to_keep=1)


def make_cache(model: nn.Module) -> DynamicCache:
    """Return an empty cache for ``model``.

    Raises
    ------
    CountError
        If a layer keeps anything but keys and values of all positions or of a window, and states of one size.
    """
    cache = DynamicCache(config=model.config)
    cache.layers = [_replace(layer) for layer in cache.layers]
    cache.layer_class_to_replicate = InPlaceLayer if cache.layer_class_to_replicate is not None else None
    return cache


def _replace(layer: Any) -> Any:
    if isinstance(layer, DynamicSlidingWindowLayer) and layer._layer_type == REFERENCE_WINDOW:
        return InPlaceReference(layer.sliding_window)
    if type(layer) is DynamicLayer:
        return InPlaceLayer()
    if type(layer) is DynamicIndexedLayer:
        return InPlaceIndexedLayer()
    if type(layer) is DynamicSlidingWindowLayer:
        return InPlaceWindow(layer.sliding_window)
    if type(layer) in (LinearAttentionLayer, DummyLayer):
        return layer  # one writes into what it keeps, and one keeps nothing
    if type(layer) is LinearAttentionAndFullAttentionLayer:
        return InPlaceLayerAndStates(number_of_states=layer.number_of_states)
    if type(layer) is LinearAttentionAndSlidingWindowAttentionLayer:
        return InPlaceWindowAndStates(layer.sliding_window, number_of_states=layer.number_of_states)
    raise CountError(
        "a layer of the cache is neither keys and values of all positions or of a window, nor states of one size",
        found=type(layer).__name__,
    )


def list_tensors(cache: DynamicCache) -> list[Tensor]:
    """Return the tensors that hold keys and values now, as far as they are kept."""
    if _WITHOUT_STATES.issuperset(map(type, cache.layers)):  # at every operator, so that it may take no time
        return list(chain.from_iterable(map(_get_kept, cache.layers)))
    found: list[Tensor] = []
    for layer in cache.layers:
        found += getattr(layer, "kept", ())
        if type(layer) not in _WITHOUT_STATES:
            found += list_states(layer)
    return found


def has_positions(layer: Any) -> bool:
    """Tell whether a layer keeps anything of each position."""
    return bool(getattr(layer, "is_initialized", False)) and layer.keys is not None


def read_shapes(cache: DynamicCache) -> tuple[CachedShape | None, ...]:
    """Return what each layer keeps, after a prefill; None for one that keeps nothing of its own."""
    return tuple(map(_read_shape, cache.layers))


def _read_shape(layer: Any) -> CachedShape | None:
    states, indexed = read_states(layer), getattr(layer, "indexer_keys", None)
    if has_positions(layer):
        return CachedShape(
            key_heads=layer.keys.shape[1], key_channels=layer.keys.shape[3],
            value_heads=layer.values.shape[1], value_channels=layer.values.shape[3], states=states,
            indexer_channels=0 if indexed is None else indexed.shape[2],
        )  # fmt: skip
    return CachedShape(states=states) if states else None


def fill_cache(
    model: nn.Module,
    shapes: Sequence[CachedShape | None],
    *,
    batch_size: Any,
    length: Any,
    dtype: torch.dtype,
    prompt: Any = None,
    is_full: bool | None = None,
) -> DynamicCache:
    """Return a cache with ``length`` positions of ``batch_size`` sequences in it, and room for one more.

    A window behind a ``prompt`` is full where ``is_full`` says so; without it, as numbers say.
    """
    cache = make_cache(model)
    while len(cache.layers) < len(shapes):
        cache.layers.append(InPlaceLayer())
    for layer, shape in zip(cache.layers, shapes, strict=True):
        if shape is None:
            continue
        hold_states(layer, shape.states, batch_size)
        if not shape.key_heads:
            continue
        positions = layer.begin_at(length, prompt, is_full)
        keys, values = (
            torch.empty(batch_size, heads, positions, channels, dtype=dtype, device="meta")
            for heads, channels in ((shape.key_heads, shape.key_channels), (shape.value_heads, shape.value_channels))
        )
        layer.hold(keys, values)
        if shape.indexer_channels:
            layer.hold_indexer(torch.empty(batch_size, positions, shape.indexer_channels, dtype=dtype, device="meta"))
    return cache
