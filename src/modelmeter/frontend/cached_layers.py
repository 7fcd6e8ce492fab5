"""Layers of a cache that are appended to in place: of all positions, of a window, of a window behind a prompt."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionLayer

from modelmeter.frontend.cached_states import write_positions
from modelmeter.frontend.windows import REFERENCE_WINDOW


class InPlaceLayer(DynamicLayer):  # type: ignore[misc]  # transformers ships no types
    """Keeps every position: those of a prefill as they are, later ones behind what is there.

    Attributes
    ----------
    length
        How many positions are cached.
    kept
        What is kept from one step to the next.
    """

    def __init__(self) -> None:
        super().__init__()
        self.length: Any = 0
        self.kept: tuple[Tensor, ...] = ()

    def get_seq_length(self) -> Any:
        """Return how many positions are cached."""
        return self.length

    def begin_at(self, length: Any, prompt: Any, is_full: bool | None) -> Any:
        """Be where ``length`` positions are cached, and return how many its buffers have room for."""
        self.length = length
        return length + 1

    def hold(self, keys: Tensor, values: Tensor) -> None:
        """Take buffers for what is cached."""
        self.keys, self.values = self.kept = (keys, values)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Cache keys and values, and return all that are cached."""
        start = self.length
        self.length = start + key_states.shape[-2]
        if not self.is_initialized:
            self.hold(key_states, value_states)
            return key_states, value_states
        write_positions(self, start, self.length, key_states, value_states)
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class InPlaceIndexedLayer(InPlaceLayer):
    """Keeps every position, and beside keys and values a key of the indexer that chooses positions.

    Attributes
    ----------
    indexer_keys
        Of shape (sequences, positions, channels); None before there are any.
    """

    def __init__(self) -> None:
        super().__init__()
        self.indexer_keys: Tensor | None = None
        self._indexed: Any = 0

    def begin_at(self, length: Any, prompt: Any, is_full: bool | None) -> Any:
        """Be where ``length`` positions are cached, and return how many its buffers have room for."""
        self._indexed = length
        return super().begin_at(length, prompt, is_full)

    def hold_indexer(self, keys: Tensor) -> None:
        """Take a buffer for the keys of the indexer, after those for keys and values."""
        self.indexer_keys = keys
        self.kept = (*self.kept, keys)

    def update_indexer(self, indexer_key_states: Tensor) -> Tensor:
        """Cache keys of the indexer, and return all that are cached."""
        start = self._indexed
        self._indexed = start + indexer_key_states.shape[1]
        if self.indexer_keys is None:
            self.hold_indexer(indexer_key_states)
            return indexer_key_states
        self.indexer_keys[:, start : self._indexed].copy_(indexer_key_states)
        return self.indexer_keys[:, : self._indexed]


class InPlaceWindow(DynamicSlidingWindowLayer):  # type: ignore[misc]  # transformers ships no types
    """Keeps the last positions that the next one may see: a window less one, in which the newest replaces the oldest.

    Attributes
    ----------
    kept
        What of its buffers is kept from one step to the next.
    """

    def __init__(self, sliding_window: int) -> None:
        super().__init__(sliding_window)
        self.kept: tuple[Tensor, ...] = ()
        self.is_full = False

    def get_seq_length(self) -> Any:
        """Return how many positions there were."""
        return self.cumulative_length

    def get_mask_sizes(self, query_length: Any) -> tuple[Any, Any]:
        """Return how many keys new positions see, and the position of the first of them.

        The numbers are those of transformers, which asks for the same border in another way.
        """
        start = self.cumulative_length
        if start >= self.sliding_window - 1:
            return self.sliding_window - 1 + query_length, start - self.sliding_window + 1
        return start + query_length, 0

    def begin_at(self, length: Any, prompt: Any, is_full: bool | None) -> Any:
        """Be where there were ``length`` positions, and return how many its buffers have room for: a window at most."""
        self.cumulative_length, self.is_full = length, bool(length >= self.sliding_window - 1)
        return self.sliding_window if self.is_full else length + 1

    def hold(self, keys: Tensor, values: Tensor) -> None:
        """Take buffers for what is cached."""
        self.keys, self.values = self.kept = (keys, values)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Cache keys and values, and return those that the new positions may see."""
        start = self.cumulative_length
        self.cumulative_length = start + key_states.shape[-2]
        if not self.is_initialized:
            self.is_initialized = True
            self.keys, self.values = self.kept = (key_states, value_states)
            if self.cumulative_length >= self.sliding_window:
                self.kept = tuple(states[:, :, 1 - self.sliding_window :] for states in self.kept)
            return key_states, value_states
        if self.is_full:
            write_positions(self, None, 1, key_states, value_states)
            self.kept = (self.keys[:, :, 1:], self.values[:, :, 1:])
            return self.keys, self.values
        stop = self.cumulative_length
        write_positions(self, start, stop, key_states, value_states)
        return self.keys[:, :, :stop], self.values[:, :, :stop]


class InPlaceReference(DynamicLayer):  # type: ignore[misc]  # transformers ships no types
    """Keeps all of a prompt, and behind it the last positions that were generated: a window of them less one.

    Attributes
    ----------
    prefill_length
        Positions of the prompt; None before there is one.
    kept
        What of its buffers is kept from one step to the next.
    """

    def __init__(self, sliding_window: int) -> None:
        super().__init__()
        self._layer_type = REFERENCE_WINDOW  # of the object: transformers would register a class that has it
        self.sliding_window = sliding_window
        self.prefill_length: Any = None
        self.generated: Any = 0
        self.kept: tuple[Tensor, ...] = ()
        self.is_full = False

    def get_seq_length(self) -> Any:
        """Return how many positions there were."""
        return 0 if self.prefill_length is None else self.prefill_length + self.generated

    def get_mask_sizes(self, query_length: Any) -> tuple[Any, Any]:
        """Return how many keys new positions see, and how many of those that were generated are gone."""
        if self.prefill_length is None:
            return query_length, 0
        if self.is_full:
            last = self.sliding_window - 1
            return self.prefill_length + last + query_length, self.generated - last
        return self.get_seq_length() + query_length, 0

    def begin_at(self, length: Any, prompt: Any, is_full: bool | None) -> Any:
        """Be where there were ``length`` positions, and return how many its buffers have room for.

        The window behind the ``prompt`` is full where ``is_full`` says so; without it, as numbers say.
        """
        self.prefill_length, self.generated = prompt, length - prompt
        self.is_full = bool(self.generated >= self.sliding_window - 1) if is_full is None else is_full
        return prompt + self.sliding_window if self.is_full else length + 1

    def hold(self, keys: Tensor, values: Tensor) -> None:
        """Take buffers for what is cached."""
        self.keys, self.values = self.kept = (keys, values)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Cache keys and values, and return those that the new positions may see."""
        if not self.is_initialized:
            self.is_initialized, self.prefill_length = True, key_states.shape[-2]
            self.keys, self.values = self.kept = (key_states, value_states)
            return key_states, value_states
        place = self.prefill_length if self.is_full else self.get_seq_length()
        write_positions(self, place, place + 1, key_states, value_states)
        self.generated += 1
        if self.is_full:
            self.kept = (self.keys[:, :, 1:], self.values[:, :, 1:])
        return self.keys, self.values


class InPlaceLayerAndStates(LinearAttentionLayer, InPlaceLayer):  # type: ignore[misc]  # transformers ships no types
    """Keeps every position, and states beside them."""

    def __init__(self, number_of_states: int) -> None:
        InPlaceLayer.__init__(self)
        LinearAttentionLayer.__init__(self, number_of_states=number_of_states)


class InPlaceWindowAndStates(LinearAttentionLayer, InPlaceWindow):  # type: ignore[misc]  # transformers ships no types
    """Keeps the positions of a window, and states beside them."""

    def __init__(self, sliding_window: int, number_of_states: int) -> None:
        InPlaceWindow.__init__(self, sliding_window)
        LinearAttentionLayer.__init__(self, number_of_states=number_of_states)
