"""A stage of a model as a module of its own, which any counter of FLOPs can run, with data and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from attrs import evolve, field, frozen
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode


@frozen(kw_only=True)
class CountedStage:
    """A stage to count.

    Parameters
    ----------
    name
        As in the formulas. ``decode`` is the first step.
    module
        Runs it.
    inputs
        The arguments of ``module`` by name, in their order.
    """

    name: str
    module: nn.Module = field(repr=False)
    inputs: Mapping[str, Tensor] = field(repr=False)

    def run(self) -> None:
        """Run it once."""
        with torch.no_grad():
            self.module(**self.inputs)


@contextmanager
def without_data(build_stages: Callable[[], Mapping[str, CountedStage]]) -> Iterator[dict[str, CountedStage]]:
    """Give the stages on the CPU device with tensors that have no data: operators are chosen as for real ones."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield {name: evolve(stage, module=_WithoutData(stage.module)) for name, stage in build_stages().items()}


class _WithoutData(nn.Module):
    """Runs a module on tensors without data, so that counters see of it what they would see of real ones."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def to(self, *args: Any, **kwargs: Any) -> _WithoutData:
        """Stay: tensors without data cannot move, and counters only ask to move to the device at hand."""
        return self

    def forward(self, **inputs: Tensor) -> Any:
        with _TorchBelow():
            return self.module(**inputs)


class _TorchBelow(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Runs operators with torch's own functions in the places where a counter has put others.

    Without data an operator is Python code that may call such a function, and the counter would count what is inside
    of the operator too. With data it is C++ code, which calls none.
    """

    _ORIGINALS = tuple(
        (owner, name, value)
        for owner in (torch, torch.Tensor, functional)
        for name, value in vars(owner).items()
        if callable(value)
    )

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self._replaced = [
            (owner, name, value, vars(owner)[name])
            for owner, name, value in self._ORIGINALS
            if vars(owner)[name] is not value
        ]

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run ``func``."""
        for owner, name, original, _ in self._replaced:
            setattr(owner, name, original)
        try:
            return func(*args, **(kwargs or {}))
        finally:
            for owner, name, _, replacement in self._replaced:
                setattr(owner, name, replacement)
