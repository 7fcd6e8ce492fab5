"""Counts what one forward does by watching it run: independent of every formula of the cost model.

A dispatch mode sees the operators, what they read and write, and weighs their vector arithmetic.
``torch.utils.flop_counter.FlopCounterMode`` counts the matrix products beneath it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import torch
from attrs import frozen
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.metrics.cost import Work
from modelmeter.support.errors import CountError
from modelmeter.verify.operators import CountedOperator, OperatorRecorder
from modelmeter.verify.tensor_kinds import Cache


@frozen(kw_only=True)
class ForwardCount:
    """What one forward was seen to do.

    Parameters
    ----------
    operators
        The operators in their order.
    cached_by_path
        Elements of the KV cache by the module that read or wrote them: of each tensor, the largest part that one
        operator touched.
    """

    operators: tuple[CountedOperator, ...]
    cached_by_path: Mapping[str, int]

    @property
    def work(self) -> Work:
        """The sum over all operators."""
        return Work.of(self.operators)

    @property
    def kv_elements(self) -> int:
        """Elements that stand in the KV cache."""
        return sum(self.cached_by_path.values())

    @property
    def calls(self) -> dict[str, int]:
        """How often each ATen operator ran."""
        return dict(Counter(operator.name for operator in self.operators))

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


def count_forward(model: nn.Module, forward: Callable[[], object], *, cache: Cache = tuple) -> ForwardCount:
    """Run ``forward`` and count its work.

    Parameters
    ----------
    model
        The module that ``forward`` calls, or one that contains it; module paths start here.
    forward
        Calls the model, on meta or on real tensors.
    cache
        The KV cache. What ``forward`` writes there stays.

    Raises
    ------
    CountError
        When the forward does something that nothing accounts for.
    """
    flops = FlopCounterMode(display=False)
    recorder = OperatorRecorder(model, cache, flops)
    # In inference mode attention arrives whole. Only its math path is made of operators that FlopCounterMode knows on
    # every device; it counts nothing for the fused path on a CPU.
    with (
        torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), flops, recorder.modules.watch_modules(), recorder,
    ):  # fmt: skip
        forward()
    counted = sum(operator.tensor_core_flops for operator in recorder.operators)
    if counted != recorder.flops.get_total_flops():
        raise CountError(
            "matrix products outside all operators", place=type(model).__name__,
            expected=recorder.flops.get_total_flops(), found=counted,
        )  # fmt: skip
    return ForwardCount(operators=tuple(recorder.operators), cached_by_path=recorder.cached_by_path())
