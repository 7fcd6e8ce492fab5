"""Watches the ATen operators that a forward dispatches, with the module whose forward calls each one.

An operator is what reaches the kernels: functions that are made of others (``reshape``, ``einsum``, ``linear``) are
taken apart first. Attention is the exception: it is one operator, since its kernels never store the scores.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from modelmeter.metrics.operator_table import (
    ATTENTION,
    FRESH_MEMORY,
    MATRIX_OPERATORS,
    MOVING_OPERATORS,
    VIEW_OPERATORS,
    find_weight,
)
from modelmeter.support.errors import UnpricedOperatorError
from modelmeter.verify.known_results import Known, KnownResults
from modelmeter.verify.module_calls import ModuleFollower
from modelmeter.verify.plain_mode import PlainDispatchMode

_NUMBERS: Final = (bool, int, float, torch.dtype, torch.device)
"""Types of arguments that hold no tensor: most are of these."""


def tensors_in(*tree: object) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and dictionaries, in order."""
    found: list[Tensor] = []
    for branch in tree:
        if isinstance(branch, Tensor):
            found.append(branch)
        elif isinstance(branch, tuple | list):
            found += tensors_in(*branch)
        elif branch is not None and type(branch) not in _NUMBERS:
            found += [leaf for leaf in tree_leaves(branch) if isinstance(leaf, Tensor)]
    return found


def storage_key(tensor: Tensor) -> int:
    """Return what identifies the memory behind ``tensor`` while it is alive, also on the meta device."""
    key: int = tensor.untyped_storage()._cdata
    return key


def next_node_number() -> int:
    """Return the sequence number that the next autograd node of a forward will get."""
    number: int = torch._C._autograd._get_sequence_nr()
    return number


@frozen(kw_only=True)
class Dispatched:
    """An operator as it was dispatched.

    Parameters
    ----------
    path
        The module whose forward calls it.
    name
        Its ATen name; in-place operators end in ``_``.
    inputs, outputs
        Its tensors, in the order of its arguments and of its results.
    known
        What is known of an operator that is given such tensors.
    arguments
        All arguments by position, numbers among them; none of an attention that was kept whole.
    """

    path: str
    name: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    known: Known | None = None
    arguments: tuple[Any, ...] = ()

    @property
    def has_floats(self) -> bool:
        """Whether it works on floating-point numbers at all."""
        return any(tensor.is_floating_point() for tensor in (*self.inputs, *self.outputs))


class DispatchFollower(PlainDispatchMode):
    """Sees every operator of a forward that is neither a view nor a mere reservation of memory.

    Attention arrives whole only in inference mode. Where gradients are wanted, :meth:`follow_attention` keeps it whole.

    Parameters
    ----------
    model
        Gives the module paths.
    known
        Runs the operators, and those that are known not again; it is asked for what they are counted at. Without it,
        all of them run.

    Raises
    ------
    UnpricedOperatorError
        When an operator is in no list of :mod:`modelmeter.metrics.operator_table`, or a module is no part of the model.
    """

    def __init__(self, model: nn.Module, known: KnownResults | None = None) -> None:
        super().__init__()
        self.modules = ModuleFollower(model)
        self.known = known
        self._in_attention = False

    @abstractmethod
    def note(self, operator: Dispatched) -> None:
        """Take note of an operator that has just run."""

    def before(self) -> None:
        """Take note that an operator is about to run."""

    def reserve(self, outputs: list[Tensor]) -> None:
        """Take note of memory that was only reserved."""

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Take ``func`` apart, or run it and note it."""
        kwargs = kwargs or {}
        name: str = func._overloadpacket.__name__
        if func.namespace == "prim" or self._in_attention:  # fake tensors are asked for their device
            return func(*args, **kwargs)
        if not is_listed(name):
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
            raise UnpricedOperatorError("an operator that nothing accounts for", path=self.modules.path, operator=name)
        if name in VIEW_OPERATORS:
            return func(*args, **kwargs) if self.known is None else self.known.view(func, args, kwargs)
        self.before()
        if name in FRESH_MEMORY:
            result = func(*args, **kwargs)
            self.reserve(tensors_in(result))
            return result
        finish = lay_out_heads if name == ATTENTION else _leave
        known = self.known
        result = finish(func(*args, **kwargs)) if known is None else known.run(func, args, kwargs, finish)
        inputs, outputs = tensors_in(args, kwargs), tensors_in(result)
        self.note(
            Dispatched(
                path=self.modules.path, name=name, inputs=inputs, outputs=outputs, arguments=args,
                known=None if known is None else known.last,
            )
        )  # fmt: skip
        return result

    @contextmanager
    def follow_attention(self) -> Iterator[None]:
        """Keep attention whole while the context is open.

        The function is replaced: where gradients are wanted, autograd takes it apart before any operator is
        dispatched.
        """
        original = functional.scaled_dot_product_attention

        def attend(
            query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **options: Any
        ) -> Tensor:
            self.before()
            self._in_attention = True
            try:
                result = lay_out_heads(original(query, key, value, attn_mask, **options))
            finally:
                self._in_attention = False
            inputs = tensors_in(query, key, value, attn_mask)
            self.note(Dispatched(path=self.modules.path, name=ATTENTION, inputs=inputs, outputs=[result]))
            return result

        functional.scaled_dot_product_attention = attend  # type: ignore[assignment]  # its options are passed on
        try:
            yield
        finally:
            functional.scaled_dot_product_attention = original


def _leave(result: Any) -> Any:
    return result


def lay_out_heads(attended: Tensor) -> Tensor:
    """Return the output of attention (batch, heads, queries, channels) with the heads last but one in memory.

    So do torch's own kernels on every device, but for the one that FlopCounterMode can count on the meta device:
    joining the heads is a view.
    """
    return attended.transpose(1, 2).contiguous().transpose(1, 2)


@cache
def is_listed(name: str) -> bool:
    """Tell whether an ATen operator is in one of the lists of :mod:`modelmeter.metrics.operator_table`."""
    lists = (MATRIX_OPERATORS, MOVING_OPERATORS, VIEW_OPERATORS, FRESH_MEMORY)
    return find_weight(name) is not None or any(name in operators for operators in lists)
