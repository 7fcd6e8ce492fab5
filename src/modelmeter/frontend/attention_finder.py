"""Watches a forward for attention that code spells out: what is known of each memory while it is alive."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor, nn

from modelmeter.frontend.attention_kernel import Kernel, find_kernel
from modelmeter.frontend.attention_views import Layout, is_same
from modelmeter.frontend.fused_attention import CAST, COPIES, Attention, Given, Held, Source, Spot, begin, go_on
from modelmeter.metrics.operator_table import ATTENTION, PRODUCTS_OF_BATCHES
from modelmeter.verify.dispatch import Dispatched, storage_key
from modelmeter.verify.operators import count_stored
from modelmeter.verify.tensor_kinds import TensorKinds


class AttentionFinder:
    """Finds attention in the operators of a forward, see :mod:`modelmeter.frontend.fused_attention`.

    Buffers and what is made of sizes alone are constants; all else is data.

    Attributes
    ----------
    kernels
        What kernels read of attention of one operator, where that is given more; see
        :mod:`modelmeter.frontend.attention_kernel`.
    """

    def __init__(self, model: nn.Module, kinds: TensorKinds) -> None:
        self._kinds = kinds
        self._held: dict[int, tuple[Held, weakref.ref[Any]]] = {}
        self._constant = Held(is_data=False)
        self._constants = {storage_key(buffer) for buffer in model.buffers()}
        self._found: list[Attention] = []
        self.kernels: list[Kernel] = []
        self._taken: set[Spot] = set()

    def reserve(self, outputs: Iterable[Tensor], *, is_data: bool) -> None:
        """Note memory that was only reserved: what is in it is a constant, unless something unseen writes it."""
        for tensor in outputs:
            if self._find(tensor) is None:
                self._hold(tensor, Held(is_data=is_data))

    def follow(self, operator: Dispatched, place: int) -> None:
        """Look at an operator in a place among those that are recorded."""
        known = [self._find(tensor) for tensor in operator.inputs]
        made = Held(is_data=any(held is None or held.is_data for held in known))
        if operator.name == ATTENTION:
            self._follow_kernel(operator, place, known)
        found = [held.scores for held in known if held is not None and held.scores is not None]
        scores = {id(each): each for each in found if not each.is_broken}  # what is of a broken one is like any other
        if scores:
            given = self._describe(operator, known)
            for attention in scores.values():
                go_on(attention, operator, place, given, made)
                attention.is_broken = attention.is_broken or len(scores) > 1  # what is of two cannot be followed
        elif operator.name in PRODUCTS_OF_BATCHES:
            made.scores = begin(operator, place, self._describe(operator, known))
            if made.scores is not None:
                self._found.append(made.scores)
        elif (operator.name in COPIES or operator.name == CAST) and len(operator.inputs) == 1:
            made.source = self._find_source(operator, place, known)
        for tensor in operator.outputs:
            before = self._find(tensor)
            if before is None:
                self._hold(tensor, made)
            elif before is not self._constant:
                before.is_data = before.is_data or made.is_data
                before.source = None  # it was written again, and is no copy any more

    def list_found(self) -> list[Attention]:
        """Return each attention whose scores nothing else read, and nothing holds any more.

        What two of them would read in one place, as one copy of keys, is of the first, or of one of ``kernels``.
        """
        alive = {id(held.scores) for held, _ in self._held.values()}
        taken: set[object] = set(self._taken)
        found = []
        for each in self._found:
            if each.has_ended and not each.is_broken and id(each) not in alive and taken.isdisjoint(each.moved):
                taken.update(each.moved)
                found.append(each)
        return found

    def _follow_kernel(self, operator: Dispatched, place: int, known: list[Held | None]) -> None:
        kernel = find_kernel(place, operator.path, self._describe(operator, known), self._taken)
        if kernel is not None:
            self.kernels.append(kernel)
            self._taken.update(kernel.moved)

    def _find_source(self, operator: Dispatched, place: int, known: list[Held | None]) -> Source | None:
        """Return where the numbers of a copy come from, at the first of several copies one after the other.

        A kernel casts what it has read, so that a copy that is cast is one still. A cast alone is none: where the model
        computes in float32, it does not run, and what it read is nobody's.
        """
        (given,) = self._describe(operator, known)
        before = given.source
        if before is not None and before.path == operator.path and given.layout.shows_all():
            return before
        if operator.name == CAST:
            return None
        elements = given.layout.count_stored()
        return Source(
            spot=given.names(place), path=operator.path, read=given.read,
            elements=elements if before is None else before.elements,
            is_first=before is None or is_same(before.elements, elements), held=given.held,
        )  # fmt: skip

    def _describe(self, operator: Dispatched, known: list[Held | None]) -> list[Given]:
        return [
            Given(
                memory=storage_key(tensor), layout=Layout.of(tensor), held=held,
                is_weight=self._kinds.is_weight(storage_key(tensor)),
                read=self._kinds.measure(tensor, count_stored(tensor)),
            )
            for tensor, held in zip(operator.inputs, known, strict=True)
        ]  # fmt: skip

    def _find(self, tensor: Tensor) -> Held | None:
        key = storage_key(tensor)
        held = self._held.get(key)
        if held is not None:
            return held[0]
        return self._constant if key in self._constants else None

    def _hold(self, tensor: Tensor, held: Held) -> None:
        key = storage_key(tensor)
        self._held[key] = held, weakref.ref(tensor.untyped_storage(), partial(self._forget, key))

    def _forget(self, key: int, reference: object) -> None:
        held = self._held.get(key)
        if held is not None and held[1] is reference:
            del self._held[key]
