"""States of a cache that do not grow with the positions: of a convolution, and of a scan or linear attention.

The layers of transformers for them write into what they keep, as serving engines do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import torch
from attrs import frozen
from torch import Tensor

from modelmeter.frontend.positions import SHORTEST_PROMPT

_NAMES: Final = ("conv_states", "recurrent_states")
"""What a layer of transformers calls its states, each a mapping from their numbers."""


@frozen(kw_only=True)
class CachedState:
    """A state of one sequence: where a layer has it, its shape, and what it is stored in."""

    name: str
    number: int
    shape: tuple[int, ...]
    dtype: torch.dtype


def _walk(layer: Any) -> Iterator[tuple[str, int, Tensor]]:
    for name in _NAMES:
        for number, state in getattr(layer, name, {}).items():
            if state is not None:
                yield name, number, state


def find_shortest(layers: Iterable[Iterable[CachedState]]) -> int:
    """Return of how many tokens a prompt fills the states of all convolutions: those of a shorter one are padded."""
    kernels = [state.shape[-1] for states in layers for state in states if state.name == _NAMES[0]]
    return max([SHORTEST_PROMPT, *kernels])


def list_states(layer: Any) -> tuple[Tensor, ...]:
    """Return the states that a layer of a cache keeps now."""
    return tuple(state for _, _, state in _walk(layer))


def read_states(layer: Any) -> tuple[CachedState, ...]:
    """Return what a layer keeps of one sequence, the first dimension aside."""
    return tuple(
        CachedState(name=name, number=number, shape=tuple(state.shape[1:]), dtype=state.dtype)
        for name, number, state in _walk(layer)
    )


def hold_states(layer: Any, states: Iterable[CachedState], batch_size: Any) -> None:
    """Take states of ``batch_size`` sequences, as they are after a prompt."""
    for state in states:
        held = torch.empty(batch_size, *state.shape, dtype=state.dtype, device="meta")
        getattr(layer, state.name)[state.number] = held
        getattr(layer, f"is_{state.name}_initialized")[state.number] = True
        layer.has_previous_state[state.number] = True
        if state.name == _NAMES[0]:
            layer.conv_kernel_size[state.number] = state.shape[-1]


def write_positions(layer: Any, start: Any, stop: Any, keys: Tensor, values: Tensor) -> None:
    """Copy new keys and values into the buffers of a layer, at positions from ``start`` to before ``stop``."""
    for buffer, states in ((layer.keys, keys), (layer.values, values)):
        buffer[:, :, start:stop].copy_(states)
