"""Tensors of numbers that code writes down, ``torch.tensor(-1e9)``, while sizes are symbols.

Under symbols all tensors are fake ones. What torch makes of numbers on the meta device is a real one, which no fake
tensor mode lets in, although its size is known and its numbers take no part in the count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves


class FakeConstants(TorchFunctionMode):
    """Makes a fake tensor of what ``torch.tensor`` is given, if that is numbers.

    Parameters
    ----------
    mode
        Whose fake tensors they are.
    """

    def __init__(self, mode: FakeTensorMode) -> None:
        super().__init__()
        self._mode = mode

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run ``func``; ``torch.tensor`` of numbers is made where no mode sees it."""
        options = dict(kwargs or {})
        if func is not torch.tensor or not all(isinstance(leaf, bool | int | float) for leaf in tree_leaves(args)):
            return func(*args, **options)
        with _disable_current_modes():
            made = torch.tensor(*args, **{**options, "device": "meta"})
        return self._mode.fake_tensor_converter.from_real_tensor(self._mode, made)


def find_fake_mode() -> FakeTensorMode:
    """Return the fake tensor mode that is on."""
    mode = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE)
    assert isinstance(mode, FakeTensorMode)
    return mode
