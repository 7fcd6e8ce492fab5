"""Watches the ATen operators of a forward: which memory they touch, and what vector arithmetic they do."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

import torch
from attrs import define, field
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from modelmeter.errors import CountError
from modelmeter.operator_table import FREE_OPERATORS, MATRIX_OPERATORS, VECTOR_FLOPS

OVERWRITING = frozenset({"copy_", "fill_", "index_put_"})
"""ATen operators that write their first tensor without reading it."""


def tensors_in(*tree: object) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and dictionaries, in order."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def storage_key(tensor: Tensor) -> int:
    """Return what identifies the memory behind ``tensor`` while it is alive, also on the meta device."""
    key: int = tensor.untyped_storage()._cdata
    return key


def next_node_number() -> int:
    """Return the sequence number that the next autograd node of a forward will get."""
    number: int = torch._C._autograd._get_sequence_nr()
    return number


@define(kw_only=True)
class Tally:
    """What the ATen operators inside one counted operator did.

    Parameters
    ----------
    path, name
        The module whose forward called the operator, and what the operator is called.
    is_linear
        In an ``nn.Linear`` a lone ``add`` adds the bias, which is counted nowhere.
    cuda_core_flops
        Vector arithmetic, weighed with the published table.
    read, written
        Storages that were read before anything inside wrote them, and storages that were written.
    """

    path: str
    name: str
    is_linear: bool = False
    cuda_core_flops: int = 0
    read: set[int] = field(factory=set)
    written: set[int] = field(factory=set)

    @property
    def place(self) -> str:
        """The path and the name, for messages."""
        return f"{self.path}: {self.name}" if self.path else self.name


class AtenCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Counts every ATen operator, and adds what it does to the tally that is open.

    Operators that :mod:`modelmeter.operator_table` lists are taken whole; all others are decomposed as far
    as ATen can. For its arithmetic it has to run in inference mode: with the autograd keys out of the way,
    attention arrives here as one operator, before its decomposition. Where gradients are wanted, attention
    arrives in parts; while ``in_attention`` is set, the memory that they touch is noted, and no arithmetic.

    Raises
    ------
    CountError
        When an operator touches floating-point numbers and the table does not have it, or when there is
        arithmetic while no tally is open.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self.calls: Counter[str] = Counter()
        self.tally: Tally | None = None
        self.in_attention = False

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Decompose or run ``func``, and count it."""
        kwargs = kwargs or {}
        name: str = func._overloadpacket.__name__
        if func.namespace == "prim":  # fake tensors are asked for their device
            return func(*args, **kwargs)
        if not _is_listed(name) and not self.in_attention:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        self.calls[name] += 1
        inputs, outputs = tensors_in(args, kwargs), tensors_in(result)
        if not self.in_attention:
            self._weigh(name, inputs, outputs)
        self._touch(name, inputs, outputs)
        return result

    def _weigh(self, name: str, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        tally = self.tally
        is_integer_work = not any(tensor.is_floating_point() for tensor in inputs + outputs)
        is_arithmetic = name not in FREE_OPERATORS and not is_integer_work
        if is_arithmetic and (tally is None or not _is_listed(name)):
            raise CountError(
                "arithmetic that nothing accounts for", place=tally.place if tally else "between operators",
                found=f"aten.{name}", remedy="add the operator to modelmeter.operator_table, or to verify.operators",
            )  # fmt: skip
        if tally is not None and is_arithmetic and not (tally.is_linear and name == "add"):
            tally.cuda_core_flops += _vector_flops(name, inputs, outputs)

    def _touch(self, name: str, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        tally = self.tally
        if tally is None:
            return
        read = {storage_key(tensor) for tensor in inputs[1 if name in OVERWRITING else 0 :]}
        written = {storage_key(tensor) for tensor in outputs} - read
        if outputs and not written:
            return  # a view: it only shares memory
        tally.read |= read - tally.written
        tally.written |= written


def _is_listed(name: str) -> bool:
    return name in VECTOR_FLOPS or name in MATRIX_OPERATORS or name in FREE_OPERATORS


def _vector_flops(name: str, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    if name == "convolution_backward" and outputs[-1].dim() == 1:  # the gradient of a bias; a kernel's has four
        return VECTOR_FLOPS[f"{name}_bias"].flops * inputs[0].numel()
    if name in MATRIX_OPERATORS:
        return 0
    weight = VECTOR_FLOPS[name]
    match weight.basis:
        case "input":
            return weight.flops * inputs[0].numel()
        case "output":
            return weight.flops * outputs[0].numel()
        case "values":
            return weight.flops * inputs[-1].numel()
        case "score":
            query, key, _, *mask = inputs
            bias = VECTOR_FLOPS[f"{name}_bias"].flops if mask else 0
            return (weight.flops + bias) * count_scores(query, key)


def count_scores(query: Tensor, key: Tensor) -> int:
    """Return the number of pairs of a query and a key, over all heads."""
    return prod(query.shape[:-1]) * key.shape[-2]
