"""Counts what one forward does by watching it run: independent of every formula of the cost model.

Four watchers run at once. Hooks and a torch-function mode see the operators (leaf modules, functions), and
what they read and write. A dispatch mode sees the ATen operators below, and weighs their vector arithmetic.
``torch.utils.flop_counter.FlopCounterMode`` counts the matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.cost import Work
from modelmeter.errors import CountError
from modelmeter.verify.aten import AtenCounter, storage_key
from modelmeter.verify.operators import CountedOperator, OperatorRecorder


@frozen(kw_only=True)
class ForwardCount:
    """What one forward was seen to do.

    Parameters
    ----------
    operators
        The operators in the order in which they ended.
    aten_calls
        How often each ATen operator ran.
    cached_shapes
        For each tensor of the KV cache that was touched, the largest part that one operator touched:
        (batch_size, num_key_value_heads, positions, head_dim).
    """

    operators: tuple[CountedOperator, ...]
    aten_calls: Mapping[str, int]
    cached_shapes: tuple[tuple[int, ...], ...]

    @property
    def work(self) -> Work:
        """The sum over all operators."""
        return Work.of(self.operators)

    @property
    def kv_elements(self) -> int:
        """Elements that stand in the KV cache."""
        return sum(prod(shape) for shape in self.cached_shapes)

    def by_path(self) -> dict[str, Work]:
        """Return the work of each module, with everything below it; the whole model is at ``""``."""
        totals: dict[str, Work] = {}
        for operator in self.operators:
            names = operator.path.split(".") if operator.path else []
            work = Work.of([operator])
            for depth in range(len(names) + 1):
                path = ".".join(names[:depth])
                totals[path] = totals.get(path, Work()) + work
        return totals


def count_forward(model: nn.Module, forward: Callable[[], object], *, cache: Sequence[Tensor] = ()) -> ForwardCount:
    """Run ``forward`` and count its work.

    Parameters
    ----------
    model
        The module that ``forward`` calls, or one that contains it; module paths start here.
    forward
        Calls the model, on meta or on real tensors.
    cache
        The tensors of the KV cache. What ``forward`` writes there stays.

    Raises
    ------
    CountError
        When the forward does something that nothing accounts for.
    """
    aten, flops = AtenCounter(), FlopCounterMode(display=False)
    recorder = OperatorRecorder(model, cache, aten, flops)
    # Inference mode is what AtenCounter needs. Only the math path of attention is made of operators that
    # FlopCounterMode knows on every device; it counts nothing for the fused path on a CPU.
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), flops, aten, recorder.watch_modules(), recorder:
        forward()
    counted = sum(operator.tensor_core_flops for operator in recorder.operators)
    if counted != flops.get_total_flops():
        raise CountError(
            "matrix products outside all operators", place=type(model).__name__,
            expected=flops.get_total_flops(), found=counted,
        )  # fmt: skip
    shapes = (recorder.cached_shapes.get(storage_key(tensor)) for tensor in cache)
    return ForwardCount(
        operators=tuple(recorder.operators),
        aten_calls=dict(aten.calls),
        cached_shapes=tuple(shape for shape in shapes if shape is not None),
    )
