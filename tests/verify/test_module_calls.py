"""Which module runs, as those see it who watch torch functions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modelmeter.errors import CountError
from modelmeter.verify.module_calls import ModuleFollower


class Log(ModuleFollower):
    """Notes the leaves, and the module in which each function is called."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.leaf = ""
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if not self.leaf and func is torch.relu:
            self.seen.append(f"relu in {self.path!r}")
        return func(*args, **(kwargs or {}))

    def is_inside_operator(self) -> bool:
        return bool(self.leaf)

    def begin_leaf(self, path: str, module: nn.Module) -> None:
        self.leaf = path

    def end_leaf(self, path: str, module: nn.Module, inputs: tuple[Any, Any], result: object) -> None:
        ((given,), named) = inputs
        self.seen.append(f"{path}: {tuple(given.shape)} and {named} to {tuple(result.shape)}")  # type: ignore[attr-defined]
        self.leaf = ""


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Linear(5, 3)

    def forward(self, rows: Tensor) -> Tensor:
        return torch.relu(self.narrow(rows))


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, rows: Tensor) -> Tensor:
        return torch.relu(self.inner(rows))


def test_functions_and_leaves_are_at_the_paths_of_their_modules() -> None:
    model = Outer()
    log = Log(model)
    with log.watch_modules(), log:
        model(torch.zeros(7, 5))
    assert log.seen == ["inner.narrow: (7, 5) and {} to (7, 3)", "relu in 'inner'", "relu in ''"]
    model(torch.zeros(7, 5))
    assert len(log.seen) == 3, "nothing is watched any more"


def test_a_module_of_another_model_is_refused() -> None:
    log = Log(Outer())
    with (
        pytest.raises(CountError, match="Linear: a module runs inside an operator, or is not part of the model"),
        log.watch_modules(),
    ):
        nn.Linear(5, 3)(torch.zeros(7, 5))
