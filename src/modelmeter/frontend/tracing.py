"""Traces the stages of a model with symbols for the sizes of its workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import sympy
import torch
from attrs import evolve, field, frozen
from sympy.core.relational import Relational
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from modelmeter.dimensions.functions import Size
from modelmeter.frontend.cache import CachedShape, call_model, fill_cache, list_tensors, make_cache, read_shapes
from modelmeter.frontend.constants import FakeConstants, find_fake_mode
from modelmeter.frontend.insertions import insert_noted
from modelmeter.frontend.recording import Recording, record_forward
from modelmeter.frontend.records import Lifetime, TracedForward, TracedOperator
from modelmeter.frontend.refusals import name_line
from modelmeter.graph.dtypes import default_dtype
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.verify.guards import GuardError, read_domain, refuse_pinned
from modelmeter.verify.symbolic_trace import Forward, TorchSizes, make_sizes, read_size, symbolic_mode

DTYPE = torch.bfloat16
"""What models are traced with: unlike float32, it lets what is cast be told from what is not."""

Recorded = TypeVar("Recorded")

Names = Mapping[sympy.Symbol, sympy.Symbol]
"""Our symbol for each of torch's."""

At = Mapping[sympy.Symbol, sympy.Expr]
"""The sizes that are numbers in a trace."""

Build = Callable[[], nn.Module]
Prepare = Callable[[nn.Module, TorchSizes], Forward]


@frozen(kw_only=True)
class StageForward:
    """How the forward of a stage is made from sizes.

    Parameters
    ----------
    prepare
        Makes the forward of a model from sizes by name.
    sizes
        A symbol, or a number, for each.
    at
        The numbers among them by symbol.
    """

    prepare: Prepare
    sizes: Mapping[str, Size]
    at: Mapping[sympy.Symbol, int] = field(factory=dict)

    def at_one(self, symbol: sympy.Symbol) -> StageForward:
        """Return the forward where a size is 1, which torch takes for no symbol."""
        sizes = {name: 1 if size == symbol else size for name, size in self.sizes.items()}
        return evolve(self, sizes=sizes, at={**self.at, symbol: 1})


@frozen(kw_only=True)
class PrefillForward(Forward):
    """A prefill, and what returns what each layer keeps once it has run."""

    read_shapes: Callable[[], tuple[CachedShape | None, ...]]


def prepare_prefill(model: nn.Module, sizes: Mapping[str, Any]) -> PrefillForward:
    """Return the forward over a prompt with an empty cache, and logits of the last position."""
    tokens = torch.empty(sizes["batch_size"], sizes["seq_len"], dtype=torch.int64, device="meta")
    cache = make_cache(model)

    return PrefillForward(
        model=model, run=_call(model, tokens, cache), cache=lambda: list_tensors(cache),
        read_shapes=lambda: read_shapes(cache),
    )  # fmt: skip


def _call(model: nn.Module, tokens: Tensor, cache: DynamicCache) -> Callable[[], object]:
    """Return what calls a model; all tensors that its code makes are where the model is, as on one device."""

    def run() -> object:
        with torch.device("meta"):
            return call_model(model, tokens, cache)

    return run


def prepare_decode(shapes: Sequence[CachedShape | None], *, is_full: bool | None = None) -> Prepare:
    """Return how the forward of one token is made, with ``cached`` positions in the cache.

    Where layers have a window behind the prompt, ``seq_len`` of the positions are of it, and ``is_full`` says whether
    the others fill the window; without it, numbers say so.
    """

    def prepare(model: nn.Module, sizes: Mapping[str, Any]) -> Forward:
        cache = fill_cache(
            model, shapes, batch_size=sizes["batch_size"], length=sizes["cached"], dtype=_dtype(model),
            prompt=sizes.get("seq_len"), is_full=is_full,
        )  # fmt: skip
        tokens = torch.empty(sizes["batch_size"], 1, dtype=torch.int64, device="meta")
        return Forward(model=model, run=_call(model, tokens, cache), cache=lambda: list_tensors(cache))

    return prepare


def _dtype(model: nn.Module) -> torch.dtype:
    found: torch.dtype = next(model.parameters()).dtype
    return found


def trace_forward(
    build: Build, stage: StageForward, condition: Size = 1, assumed: Sequence[Relational] = ()
) -> TracedForward:
    """Trace a forward of a stage; see :func:`trace_recorded`."""

    def record(forward: Forward) -> Recording:
        environment = find_fake_mode().shape_env
        assert environment is not None
        # A loop over positions pins their number at once, and ends after minutes.
        return record_forward(forward.model, forward.run, cache=forward.cache, watch=lambda: refuse_pinned(environment))

    return trace_recorded(build, stage, condition, assumed, record=record, read=read_recording)


def trace_recorded(
    build: Build,
    stage: StageForward,
    condition: Size,
    assumed: Sequence[Relational],
    *,
    record: Callable[[Forward], Recorded],
    read: Callable[[Recorded, Names, Size, At], TracedForward],
) -> TracedForward:
    """Record the forward of a stage with symbols for its sizes, and read what was recorded.

    Raises
    ------
    CountError
        If nothing accounts for an operator, a size is pinned to a number, or a guard leaves out sizes.
    """
    symbols = [symbol for size in stage.sizes.values() for symbol in sympy.sympify(size).free_symbols]
    with name_line("a forward with symbols for sizes"), symbolic_mode(DTYPE) as environment:
        made, names = make_sizes(environment, symbols, assumed)
        values = {name: _make_size(size, made) for name, size in stage.sizes.items()}
        # The type is that of a process that sets none: code makes some tensors of it.
        with default_dtype(torch.float32), FakeConstants(find_fake_mode()):
            forward = stage.prepare(build(), values)
            recording = record(forward)
        domain = read_domain(environment, names, assumed)
        excluded = {symbol: sorted(points) for symbol, points in domain.excluded.items() if points}
        for symbol, points in excluded.items():
            raise GuardError(
                "a guard leaves out single sizes", condition=sympy.Lt(symbol, points[0]),
                found={symbol.name: points}, remedy="find the code that compares a size",
            )  # fmt: skip
        at = {symbol: sympy.Integer(value) for symbol, value in stage.at.items()}
        return read(recording, names, condition, at)


def _make_size(size: Size, made: Mapping[str, Any]) -> Any:
    """Return torch's size for a number, a symbol, or a multiple of one."""
    if isinstance(size, int):
        return size
    factor, symbol = size.as_coeff_Mul()
    return int(factor) * made[symbol.name] if factor != 1 else made[symbol.name]


def make_reader(names: Names) -> Callable[[Any], Size]:
    """Return what reads a size of torch in our symbols, and an int where it is one; each formula once."""
    known: dict[Any, Size] = {}

    def read(size: Any) -> Size:
        if isinstance(size, int):
            return size
        key = size.node.expr
        if key not in known:
            found = read_size(size, names)
            known[key] = int(found) if found.is_Integer else found
        return known[key]

    return read


def _make_converter(read: Callable[[Any], Size]) -> Callable[[Elements], Elements]:
    """Return what reads all numbers of elements, once for operators that share them."""
    known: dict[int, tuple[Elements, Elements]] = {}

    def convert(elements: Elements) -> Elements:
        held = known.get(id(elements))
        if held is None:  # what is read is held too, so that nothing else takes its place in memory
            held = known[id(elements)] = elements, elements.convert(read)
        return held[1]

    return convert


def read_recording(
    recording: Recording,
    names: Names,
    condition: Size = 1,
    at: At = MappingProxyType({}),
) -> TracedForward:
    """Return a recording in our symbols, with what was noted in its place."""
    read = make_reader(names)
    convert = _make_converter(read)
    numbers = {id(life): number for number, life in enumerate(recording.lives)}
    forward = TracedForward(
        condition=condition,
        at=at,
        operators=tuple(
            TracedOperator(
                path=seen.path,
                operator=Operator(
                    name=seen.name,
                    tensor_core_flops=read(seen.tensor_core_flops),
                    cuda_core_flops=read(seen.cuda_core_flops),
                    reads=convert(seen.reads),
                    writes=convert(seen.writes),
                ),
            )
            for seen in recording.operators
        ),
        lifetimes=tuple(
            Lifetime(elements=convert(life.elements), first=life.first, last=life.last or 0) for life in recording.lives
        ),
        kv_elements={path: read(size) for path, size in recording.cached_by_path.items()},
        state_elements={path: read(size) for path, size in recording.states_by_path.items()},
        output_shapes={
            path: tuple(tuple(read(size) for size in shape) for shape in shapes)
            for path, shapes in recording.output_shapes.items()
        },
        copies={
            place: tuple(None if life is None else numbers.get(id(life)) for life in pair)  # type: ignore[misc]  # two
            for place, pair in recording.copies.items()
        },
    )
    return insert_noted(forward, [evolve(each, tokens=read(each.tokens)) for each in recording.insertions])
