"""What a stage calls: the torch functions with the shapes that they work on, and the modules that hold no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from math import prod
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from modelmeter.verify.dispatch import tensors_in
from modelmeter.verify.other_counters.stage import CountedStage

ATTENTION = ("scaled_dot_product_attention", "decomposed_relative_attention")

Shape = tuple[int, ...]


@frozen(kw_only=True)
class FunctionCall:
    """One call of a torch function.

    Parameters
    ----------
    name
        The function's.
    module
        The class of the module whose forward called it.
    inputs, output
        Shapes of its tensors, and of the first that it returned.
    """

    name: str
    module: str
    inputs: tuple[Shape, ...]
    output: Shape

    @property
    def tensor_core_flops(self) -> int:
        """The FLOPs of its matrix product, two for a multiply-add, from the shapes alone."""
        if self.name in ("linear", "einsum", "matmul"):
            return 2 * prod(self.output) * self.inputs[0][-1]
        if self.name == "conv2d":
            batch_size, _, *positions = self.output
            return 2 * batch_size * prod(positions) * prod(self.inputs[1])
        if self.name in ATTENTION:
            query, key, value, *_ = self.inputs
            return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
        return 0

    @property
    def has_bias(self) -> bool:
        """Whether it adds a bias to a product."""
        return self.name in ("linear", "conv2d") and len(self.inputs) == 3


@frozen(kw_only=True)
class ModuleCall:
    """One call of a module without modules inside.

    Parameters
    ----------
    class_name
        Its class.
    weights, others
        Elements of its parameter ``weight``, and of its other parameters.
    output
        The shape of the first tensor that it returned.
    """

    class_name: str
    weights: int
    others: int
    output: Shape


@frozen(kw_only=True)
class StageCalls:
    """All calls of a stage, in their order."""

    functions: tuple[FunctionCall, ...]
    modules: tuple[ModuleCall, ...]

    def named(self, *names: str) -> Iterable[FunctionCall]:
        """Yield the calls of some functions."""
        return (call for call in self.functions if call.name in names)

    @property
    def tensor_core_flops(self) -> int:
        """The FLOPs of all matrix products."""
        return sum(call.tensor_core_flops for call in self.functions)


def record_calls(stage: CountedStage) -> StageCalls:
    """Run ``stage`` and record its calls."""
    recorder = _Recorder()
    with ExitStack() as hooks:
        hooks.callback(register_module_forward_pre_hook(recorder.enter).remove)
        hooks.callback(register_module_forward_hook(recorder.leave).remove)
        with recorder:
            stage.run()
    return StageCalls(functions=tuple(recorder.functions), modules=tuple(recorder.modules))


class _Recorder(TorchFunctionMode):
    """Records functions that it sees, and modules that its hooks are called for."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: list[FunctionCall] = []
        self.modules: list[ModuleCall] = []
        self._running: list[nn.Module] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        outputs = tensors_in(result)
        if self._running and outputs:
            inputs = tensors_in(args, kwargs or {})
            self.functions.append(
                FunctionCall(
                    name=func.__name__,
                    module=type(self._running[-1]).__name__,
                    inputs=tuple(map(_shape, inputs)),
                    output=_shape(outputs[0]),
                )
            )
        return result

    def enter(self, module: nn.Module, args: object) -> None:
        self._running.append(module)

    def leave(self, module: nn.Module, args: object, result: object) -> None:
        self._running.pop()
        if next(module.children(), None) is None:
            sizes = {name: parameter.numel() for name, parameter in module.named_parameters()}
            weights = sizes.pop("weight", 0)
            outputs = tensors_in(result)
            self.modules.append(
                ModuleCall(
                    class_name=type(module).__name__, weights=weights, others=sum(sizes.values()),
                    output=_shape(outputs[0]),
                )
            )  # fmt: skip


def _shape(tensor: Tensor) -> Shape:
    return tuple(torch.Size(tensor.shape))
