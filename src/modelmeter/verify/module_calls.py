"""Follows the module calls of a forward: what those who watch operators have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from modelmeter.support.errors import CountError


class ModuleFollower:
    """Knows which module runs.

    A module that code makes while it runs, and that has no parameters, such as ``nn.Softmax(dim=-1)``, is a function
    of the module that calls it.

    Parameters
    ----------
    model
        The module at which paths start.

    Raises
    ------
    CountError
        When a module with parameters runs that is not part of ``model``.
    """

    def __init__(self, model: nn.Module) -> None:
        self._paths = {module: path for path, module in model.named_modules()}
        self._running: list[str] = []

    @property
    def path(self) -> str:
        """The path of the innermost module whose forward runs; outside of all, that of the model."""
        return self._running[-1] if self._running else ""

    @contextmanager
    def watch_modules(self) -> Iterator[None]:
        """Follow module calls while the context is open."""
        with ExitStack() as hooks:
            hooks.callback(register_module_forward_pre_hook(self._enter).remove)
            # A module that fails is left too: its caller may go on.
            hooks.callback(register_module_forward_hook(self._leave, always_call=True).remove)
            yield
        self._running.clear()

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if module not in self._paths:
            if next(module.parameters(), None) is None:
                return
            raise CountError("a module runs that is not part of the model", place=type(module).__name__)
        self._running.append(self._paths[module])

    def _leave(self, module: nn.Module, args: tuple[Any, ...], result: object) -> None:
        if self._running and self._running[-1] == self._paths.get(module):  # not one that was refused
            self._running.pop()
