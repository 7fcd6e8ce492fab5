"""Keys and values of every decoder layer of the reference model, as they stand after some positions."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.support.errors import TraceError


class KeyValueCache:
    """Keeps what a prefill has made, as it is; later positions are appended in place.

    Parameters
    ----------
    architecture
        Gives the layers, the key/value heads and their size.
    batch_size, capacity
        Sequences, and the most positions that each can hold once there is room for more than a prefill.
    device, dtype
        Of the buffers, whose shape is (batch_size, num_key_value_heads, capacity, head_dim).
    """

    def __init__(
        self,
        architecture: DeepSeekOCRArchitecture,
        *,
        batch_size: int,
        capacity: int,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        head_dim = architecture.hidden_size // architecture.num_attention_heads
        self._shape = (batch_size, architecture.num_key_value_heads, capacity, head_dim)
        self._layers = range(architecture.num_hidden_layers)
        self._device, self._dtype = device, dtype
        self.length = 0
        self.keys: list[Tensor | None] = [None for _ in self._layers]
        self.values: list[Tensor | None] = [None for _ in self._layers]

    def tensors(self) -> list[Tensor]:
        """Return the tensors that hold keys and values now."""
        return [tensor for tensor in (*self.keys, *self.values) if tensor is not None]

    def layer_tensors(self, layer_index: int) -> list[Tensor]:
        """Return those of one layer."""
        return [tensor for tensor in (self.keys[layer_index], self.values[layer_index]) if tensor is not None]

    def hold(self, length: int) -> None:
        """Reserve all buffers, and take ``length`` positions in them as cached, whatever they hold.

        Raises
        ------
        TraceError
            If torch cannot hold buffers as large.
        """
        try:
            for held in (self.keys, self.values):
                held[:] = [torch.empty(self._shape, device=self._device, dtype=self._dtype) for _ in self._layers]
        except (RuntimeError, TypeError):  # more bytes, or a larger size, than 64 bits count; torch's words are C++'s
            raise TraceError(
                "torch cannot hold a cache of these sizes", place="batch_size, seq_len",
                found=f"{self._shape[0]}, {self._shape[2]}",
            ) from None  # fmt: skip
        self.length = length

    def make_room(self) -> None:
        """Move what a prefill has made into buffers with room for more.

        Engines have a prefill write there at once, so this is no part of any forward.

        Raises
        ------
        TraceError
            If the buffers would be smaller than what is cached.
        """
        made, length = (list(self.keys), list(self.values)), self.length
        if length > self._shape[2]:
            raise TraceError(
                "the cache has no room for what it holds", place="KeyValueCache", expected=f"at least {length}",
                found=self._shape[2], remedy="give it a larger capacity",
            )  # fmt: skip
        self.hold(length)
        for old, new in zip((*made[0], *made[1]), self.tensors(), strict=True):
            new[:, :, :length].copy_(cast(Tensor, old)[:, :, :length])

    def update(self, layer_index: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Cache ``key`` and ``value`` of one layer, and return all that the layer has cached.

        Those of a prefill become the cache; those of a later position are copied behind what is there. The length
        moves only in :meth:`advance`, after the last layer.

        Raises
        ------
        TraceError
            If there is no room behind what is cached.
        """
        if not self.length:
            self.keys[layer_index], self.values[layer_index] = key, value
            return key, value
        stop = self.length + key.shape[2]
        keys, values = self.keys[layer_index], self.values[layer_index]
        if keys is None or values is None or stop > keys.shape[2]:
            raise TraceError(
                "the cache has no room for another position", place="KeyValueCache", expected=f"at least {stop}",
                found=self._shape[2], remedy="call make_room after the prefill, or give it a larger capacity",
            )  # fmt: skip
        keys[:, :, self.length : stop].copy_(key)
        values[:, :, self.length : stop].copy_(value)
        return keys[:, :, :stop], values[:, :, :stop]

    def advance(self, positions: int) -> None:
        """Count ``positions`` more as cached, in every layer."""
        self.length += positions


class WithoutCache(KeyValueCache):
    """Keeps nothing, as in training: every layer sees the keys and values of this forward, as they are."""

    def __init__(self) -> None:
        self.length = 0

    def tensors(self) -> list[Tensor]:
        """Return nothing."""
        return []

    def update(self, layer_index: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``key`` and ``value``."""
        return key, value

    def advance(self, positions: int) -> None:
        """Stay empty."""
