"""Follows the module calls of a forward: what those who watch torch functions have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from modelmeter.errors import CountError


class ModuleFollower(TorchFunctionMode, ABC):
    """Knows which module runs. A leaf module is one operator; the others call functions and modules.

    Raises
    ------
    CountError
        When a module runs inside an operator, or is not part of ``model``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._paths = {module: path for path, module in model.named_modules()}
        self._running: list[str] = []

    @property
    def path(self) -> str:
        """The path of the module whose forward runs, if it has modules below it; outside of all, that of the model."""
        return self._running[-1] if self._running else ""

    @contextmanager
    def watch_modules(self) -> Iterator[None]:
        """Follow module calls while the context is open."""
        with ExitStack() as hooks:
            hooks.callback(register_module_forward_pre_hook(self._enter).remove)
            hooks.callback(register_module_forward_hook(self._leave, with_kwargs=True).remove)
            yield

    @abstractmethod
    def is_inside_operator(self) -> bool:
        """Tell whether an operator runs."""

    @abstractmethod
    def begin_leaf(self, path: str, module: nn.Module) -> None:
        """Take note that a leaf module begins."""

    @abstractmethod
    def end_leaf(self, path: str, module: nn.Module, inputs: tuple[Any, Any], result: object) -> None:
        """Take note that a leaf module has ended; ``inputs`` are its arguments, by position and by name."""

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self.is_inside_operator() or module not in self._paths:
            raise CountError(
                "a module runs inside an operator, or is not part of the model", place=type(module).__name__
            )
        if next(module.children(), None) is None:
            self.begin_leaf(self._paths[module], module)
        else:
            self._running.append(self._paths[module])

    def _leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: object) -> None:
        if self.is_inside_operator():
            self.end_leaf(self._paths[module], module, (args, kwargs), result)
        else:
            self._running.pop()
