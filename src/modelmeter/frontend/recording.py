"""Records one forward whole: each operator with its module, what it reads and writes, and how long tensors live."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final, Protocol

import torch
from attrs import define, frozen
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from modelmeter.frontend.attention_finder import AttentionFinder
from modelmeter.frontend.attention_kernel import split_kernels
from modelmeter.frontend.fused_attention import split_traffic
from modelmeter.frontend.insertions import Insertion, Noted
from modelmeter.frontend.refusals import find_lines
from modelmeter.metrics.cost import Elements
from modelmeter.metrics.operator_table import ATTENTION_REST
from modelmeter.support.errors import CountError
from modelmeter.verify.dispatch import Dispatched, storage_key, tensors_in
from modelmeter.verify.operators import CountedOperator, OperatorRecorder, count_stored
from modelmeter.verify.products import ProductCounter
from modelmeter.verify.tensor_kinds import Cache, Kind

Lines = tuple[tuple[str, int], ...]
"""Files and lines of code, the innermost first."""


@define(eq=False)
class Life:
    """A storage: its elements by kind, and the first and the last operator beside which it is alive."""

    elements: Elements
    first: int
    last: int | None = None


@frozen(kw_only=True)
class Recording:
    """What a forward was seen to do, in torch's sizes.

    Parameters
    ----------
    operators
        In their order.
    lives
        The storages that are neither parameters, buffers nor cached.
    cached_by_path, states_by_path
        Elements of the cache by the module that touches them; those that are kept in float32 apart.
    output_shapes
        By path of a module, the shape of the first tensor of each of its calls.
    copies
        By place of an operator that copies one tensor, the lives of what it reads and of what it writes.
    insertions
        What was noted, with a mere name among the operators in its place.
    lines
        Of each operator, the lines of transformers that called it, if these were asked for.
    """

    operators: tuple[CountedOperator, ...]
    lives: tuple[Life, ...]
    cached_by_path: dict[str, Any]
    states_by_path: dict[str, Any]
    output_shapes: dict[str, list[tuple[Any, ...]]]
    copies: dict[int, tuple[Life | None, Life | None]]
    insertions: tuple[Insertion, ...]
    lines: tuple[Lines, ...]


NOTED_NAME: Final = "noted"
"""What stands among the operators where something was noted."""

_WATCHED: Final = 64
"""After so many operators it is looked whether there is any use in going on."""


class ForwardRecorder(OperatorRecorder):
    """Records operators as its base does, and with them the lives of the storages, as an allocator sees them."""

    def __init__(
        self,
        model: nn.Module,
        cache: Cache,
        flops: ProductCounter,
        given: Iterable[Tensor] = (),
        watch: Callable[[], None] = lambda: None,
        *,
        finds_lines: bool = False,
    ) -> None:
        super().__init__(model, cache, flops)
        self._watch = watch
        self._finds_lines = finds_lines
        self.insertions: list[Insertion] = []
        self.lines: list[Lines] = []
        self.lives: list[Life] = []
        self.copies: dict[int, tuple[Life | None, Life | None]] = {}
        self.attention = AttentionFinder(model, self._kinds)
        self._live_cache = cache
        self._alive: dict[int, tuple[Life, weakref.ref[Any]]] = {}
        self._buffers = {storage_key(buffer) for buffer in (*model.buffers(), *given)}

    def reserve(self, outputs: list[Tensor]) -> None:
        """Note storages from the next operator on, until they are gone."""
        # What stands in for noted modules hands out memory that it never writes.
        is_data = bool(self.operators) and self.operators[-1].name == NOTED_NAME
        self.attention.reserve(outputs, is_data=is_data)
        self._hold(outputs)

    def _hold(self, outputs: list[Tensor]) -> None:
        for tensor in outputs:
            key = storage_key(tensor)
            if key in self._alive or key in self._buffers or self._kinds.is_state(tensor):
                continue
            storage = tensor.untyped_storage()
            elements = self._kinds.measure(tensor, storage.nbytes() // tensor.element_size())
            life = Life(elements, len(self.operators))
            self.lives.append(life)
            self._alive[key] = (life, weakref.ref(storage, partial(self._forget, key)))

    def note(self, operator: Dispatched) -> None:
        """Record an operator, and what is alive beside it; an error names the module."""
        if len(self.operators) % _WATCHED == 0:
            self._watch()
        try:
            self._note(operator)
        except CountError as error:
            if not error.place:
                error.name_place(f"{operator.path}: aten.{operator.name}")
            raise

    def _note(self, operator: Dispatched) -> None:
        for key in self._kinds.refresh() & self._alive.keys():
            self._end(self._alive.pop(key)[0])  # what is handed to the cache is part of it from then on
        self._hold([*operator.inputs, *operator.outputs])
        if operator.name == "_to_copy":
            self.copies[len(self.operators)] = self._find_life(operator.inputs[0]), self._find_life(operator.outputs[0])
        if self._finds_lines:
            self.lines.append(find_lines())
        place = len(self.operators)
        self.attention.follow(operator, place)
        self.record(operator)
        if self.attention.kernels and self.attention.kernels[-1].place == place:
            self._stand_for_rest(operator.path)

    def _stand_for_rest(self, path: str) -> None:
        """Take a place for what the attention before it reads beside its kernel: what is alive there is so here."""
        if self._finds_lines:
            self.lines.append(self.lines[-1])
        self.operators.append(CountedOperator(path=path, name=ATTENTION_REST))

    def insert(self, noted: Noted, tokens: Any) -> None:
        """Take note of what runs here in the place of a module."""
        self.insertions.append(Insertion(place=len(self.operators), path=self.modules.path, noted=noted, tokens=tokens))
        if self._finds_lines:
            self.lines.append(find_lines())
        self.operators.append(CountedOperator(path=self.modules.path, name=NOTED_NAME))

    def cached_by_path(self, kind: Kind = "kv") -> dict[str, Any]:
        """Return the elements of a kind that the cache keeps, by the module that touches them.

        Raises
        ------
        CountError
            If no module touches what it keeps.
        """
        self._kinds.refresh()
        total: dict[str, Any] = {}
        for tensor in self._live_cache():
            if self._kinds.find(tensor) != kind:
                continue
            path, _ = self._cached.get(storage_key(tensor), (None, 0))
            if path is None:
                raise CountError("no module touches what a layer of the cache keeps", found=tuple(tensor.shape))
            total[path] = total.get(path, 0) + count_stored(tensor)
        return total

    def _find_life(self, tensor: Tensor) -> Life | None:
        held = self._alive.get(storage_key(tensor))
        return None if held is None else held[0]

    def _forget(self, key: int, reference: object) -> None:
        held = self._alive.get(key)
        if held is not None and held[1] is reference:
            del self._alive[key]
            self._end(held[0])

    def _end(self, life: Life) -> None:
        life.last = len(self.operators) - 1


class Notes(Protocol):
    """What takes note of what stands in for experts."""

    def insert(self, noted: Noted, tokens: Any) -> None:
        """Take note of what runs here in the place of a module."""


NOTED: list[Notes] = []
"""The recorder that takes note of what stands in for experts."""


def record_forward(
    model: nn.Module,
    forward: Callable[[], object],
    *,
    cache: Cache = tuple,
    given: Iterable[Tensor] = (),
    watch: Callable[[], None] = lambda: None,
    finds_lines: bool = False,
) -> Recording:
    """Run ``forward`` and record it; ``given`` are tensors of others, which are not among the live ones.

    From time to time ``watch`` is called, which may end it with an error. The lines that call operators are looked for
    only where ``finds_lines`` says so: that takes as long as to count them.

    Raises
    ------
    CountError
        When the forward does something that nothing accounts for.
    """
    flops = ProductCounter()
    recorder = ForwardRecorder(model, cache, flops, given, watch, finds_lines=finds_lines)
    NOTED.append(recorder)
    shapes: dict[str, list[tuple[Any, ...]]] = {}
    with (
        torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), flops, recorder.modules.watch_modules(),
        watch_shapes(model, shapes), recorder,
    ):  # fmt: skip
        try:
            result = forward()
        finally:
            NOTED.pop()
    counted = sum(operator.tensor_core_flops for operator in recorder.operators)
    if counted != recorder.flops.get_total_flops():
        raise CountError(
            "matrix products outside all operators", place=type(model).__name__,
            expected=recorder.flops.get_total_flops(), found=counted,
        )  # fmt: skip
    attentions = recorder.attention.list_found()  # while the result is there: scores that it holds are stored
    del result
    last = len(recorder.operators) - 1
    for life in recorder.lives:
        life.last = last if life.last is None else life.last
    return Recording(
        operators=tuple(split_kernels(split_traffic(recorder.operators, attentions), recorder.attention.kernels)),
        lives=tuple(life for life in recorder.lives if life.last is not None and life.last >= life.first),
        cached_by_path=recorder.cached_by_path(),
        states_by_path=recorder.cached_by_path("state"),
        output_shapes=shapes,
        copies=recorder.copies,
        insertions=tuple(recorder.insertions),
        lines=tuple(recorder.lines),
    )


@contextmanager
def watch_shapes(model: nn.Module, shapes: dict[str, list[tuple[Any, ...]]]) -> Iterator[None]:
    """Note the shape of the first tensor of each call of each module."""

    def note(path: str, module: nn.Module, args: Any, output: object) -> None:
        tensors = tensors_in(output)
        if not tensors:
            raise CountError("a module returns no tensor", place=path or type(module).__name__)
        shapes.setdefault(path, []).append(tuple(tensors[0].shape))

    with ExitStack() as hooks:
        for path, module in model.named_modules():
            hooks.callback(module.register_forward_hook(partial(note, path)).remove)
        yield
