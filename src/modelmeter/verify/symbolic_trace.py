"""Runs a torch forward with symbols for sizes, and returns what it costs as formulas, module by module.

The modules are the real ones, unmodified; the tensors have sizes like ``16 (28 k + 5)``. What torch decides by an
example, and not for all sizes, makes the domain of the formulas smaller or the trace invalid; see :mod:`.guards`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sympy
import torch
from attrs import evolve, frozen
from torch import nn
from torch._dispatch.python import enable_python_dispatcher
from torch._dynamo.source import ConstantSource
from torch._guards import SLoc
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv

from modelmeter.dimensions.functions import CeilDiv
from modelmeter.graph.dtypes import default_dtype
from modelmeter.graph.module_graph import is_inside
from modelmeter.metrics.cost import Cost, Precision, Work
from modelmeter.metrics.metric import METRICS, MetricName
from modelmeter.metrics.operator_table import UNFUSED_OPERATORS
from modelmeter.support.errors import CountError
from modelmeter.verify.counting import count_forward
from modelmeter.verify.guards import Assumed, read_domain
from modelmeter.verify.integer_facts import Domain
from modelmeter.verify.known_sizes import known_sizes
from modelmeter.verify.matrix_products import count_matrix_products
from modelmeter.verify.symbolic_modules import symbolic_modules
from modelmeter.verify.sympy_facts import exact_quotients, name_chunks
from modelmeter.verify.tensor_kinds import Cache

LARGE_EXAMPLES = (1009, 2003, 3001, 4001, 5003, 6007, 7001, 8009, 9001, 10007, 11003, 12007, 13001, 14009, 15013, 16001)
SMALL_EXAMPLES = (61, 67, 71, 73)
"""Values by which torch decides what it cannot prove: primes, unlike any size of a model. The small ones are for
symbols whose domain ends before the large ones."""

LEAST_PRIME = 2
"""An example is larger, since sizes that torch reasons about are at least as large."""

TorchSize = int | torch.SymInt
TorchSizes = Mapping[str, TorchSize]


@frozen(kw_only=True)
class Forward:
    """What to run.

    Parameters
    ----------
    model
        The module at which paths start.
    run
        Calls it.
    cache
        The KV cache.
    """

    model: nn.Module
    run: Callable[[], object]
    cache: Cache = tuple


Prepare = Callable[[TorchSizes], Forward]
"""Builds the model and its inputs from the sizes, by the names of their symbols, on the meta device."""


@frozen(kw_only=True)
class SymbolicTrace:
    """What a forward costs, as formulas that hold on a domain.

    Parameters
    ----------
    costs
        By module path, with everything below it; the module that was run is at the empty path.
    metrics
        Which metrics were counted; the others are 0 in ``costs``.
    fused_io
        ``fused_io_bytes`` by module path in the same way; nothing where only matrix products were counted.
    domain
        The values of the symbols that the formulas hold for.
    seconds
        How long the trace took.
    operators
        How often each ATen operator ran.
    """

    costs: Mapping[str, Cost]
    metrics: tuple[MetricName, ...]
    fused_io: Mapping[str, sympy.Expr]
    domain: Domain
    seconds: float
    operators: Mapping[str, int]


def trace_everything(
    prepare: Prepare, symbols: Sequence[sympy.Symbol], assumed: Assumed = (), dtype: torch.dtype = torch.bfloat16
) -> SymbolicTrace:
    """Trace all metrics of a forward whose operators :mod:`modelmeter.verify.operators` knows.

    Parameters
    ----------
    prepare
        Called with a size for each symbol.
    symbols
        Integers of at least 2. Each must take part in the result.
    assumed
        Relations that hold in the domain, and for the examples.
    dtype
        What the model computes with. Unlike float32, it lets what is cast be told from what is not; in float32 nothing
        is cast.

    Raises
    ------
    CountError
        If nothing accounts for an operator, a size was pinned, a guard leaves out more than single points, or a
        symbol takes no part.
    """

    def count(forward: Forward) -> _Count:
        counted = count_forward(forward.model, forward.run, cache=forward.cache)
        cached = counted.cached_by_path
        work = counted.by_path()
        unfused = evolve(
            counted, operators=tuple(each for each in counted.operators if each.name in UNFUSED_OPERATORS)
        ).by_path()
        modules = {
            path: _Counted(
                work=work.get(path, Work()),
                unfused=unfused.get(path, Work()),
                parameters=sum(parameter.numel() for parameter in module.parameters()),
                kv_elements=sum(size for owner, size in cached.items() if is_inside(owner, path)),
            )
            for path, module in forward.model.named_modules()
        }
        return _Count(modules=modules, operators=counted.calls)

    return _trace(prepare, symbols, assumed, dtype, count, METRICS)


def trace_matrix_products(
    prepare: Prepare, symbols: Sequence[sympy.Symbol], assumed: Assumed = (), dtype: torch.dtype = torch.bfloat16
) -> SymbolicTrace:
    """Trace only ``tensor_core_flops``, of any forward; otherwise as :func:`trace_everything`."""

    def count(forward: Forward) -> _Count:
        products = count_matrix_products(forward.model, forward.run)
        modules = {path: _Counted(work=Work(tensor_core_flops=flops)) for path, flops in products.by_path.items()}
        return _Count(modules=modules, operators=products.aten_calls)

    return _trace(prepare, symbols, assumed, dtype, count, ("tensor_core_flops",))


Trace = Callable[[Prepare, Sequence[sympy.Symbol], Assumed, torch.dtype], SymbolicTrace]
"""One of the two functions above."""


@frozen(kw_only=True)
class _Counted:
    """What a module did, in torch's sizes; ``unfused`` is the part of its operators that are not fused."""

    work: Work
    unfused: Work | None = None
    parameters: TorchSize = 0
    kv_elements: TorchSize = 0


@frozen(kw_only=True)
class _Count:
    """What a forward did: each module by its path, and how often each ATen operator ran."""

    modules: Mapping[str, _Counted]
    operators: Mapping[str, int]


def _trace(
    prepare: Prepare,
    symbols: Sequence[sympy.Symbol],
    assumed: Assumed,
    dtype: torch.dtype,
    count: Callable[[Forward], _Count],
    metrics: tuple[MetricName, ...],
) -> SymbolicTrace:
    started = time.perf_counter()
    with symbolic_mode(dtype) as environment:
        sizes, names = make_sizes(environment, symbols, assumed)
        counted = count(prepare(sizes))
        domain = read_domain(environment, names, assumed)
        costs = {path: _read_cost(module, names) for path, module in counted.modules.items()}
        fused_io = {
            path: _read_cost(_Counted(work=module.unfused), names).io_bytes
            for path, module in counted.modules.items()
            if module.unfused is not None
        }
    taking_part = {symbol for metric in metrics for symbol in sympy.sympify(costs[""][metric]).free_symbols}
    missing = [symbol.name for symbol in symbols if symbol not in taking_part]
    if missing:
        raise CountError("a symbolic size takes no part in the result", found=missing, remedy="was it pinned?")
    return SymbolicTrace(
        costs=costs, metrics=metrics, fused_io=fused_io, domain=domain, seconds=time.perf_counter() - started,
        operators=counted.operators,
    )  # fmt: skip


class _Environment(ShapeEnv):
    """Keeps no lines of code beside its guards: nothing reads them, and to find them torch loads its compiler."""

    def _get_stack_summary(self, is_debug: bool = False, framework_loc: str | None = None) -> tuple[SLoc, str]:
        return SLoc(framework_loc, None), ""


@contextmanager
def symbolic_mode(dtype: torch.dtype) -> Iterator[ShapeEnv]:
    """Make new tensors fake ones on the meta device, of ``dtype``, with sizes that may be symbols."""
    environment = _Environment()
    mode = FakeTensorMode(shape_env=environment, allow_non_fake_inputs=True)
    mode.cache_enabled = False  # keeping results by symbolic shape takes longer than computing them
    # Only with the Python dispatcher do padding and resizing keep symbols; their C++ code takes the example.
    with (
        exact_quotients(), known_sizes(), symbolic_modules(), mode, enable_python_dispatcher(), torch.device("meta"),
        default_dtype(dtype),
    ):  # fmt: skip
        yield environment


def make_sizes(
    environment: ShapeEnv, symbols: Sequence[sympy.Symbol], assumed: Assumed
) -> tuple[dict[str, TorchSize], dict[sympy.Symbol, sympy.Symbol]]:
    """Return a size for each symbol, and our symbol for each of torch's."""
    sizes: dict[str, TorchSize] = {}
    names: dict[sympy.Symbol, sympy.Symbol] = {}
    for symbol, example in _choose_examples(symbols, assumed).items():
        source = ConstantSource(symbol.name)
        torch_symbol = environment.create_symbol(example, source=source, dynamic_dim=DimDynamic.DYNAMIC)
        sizes[symbol.name] = environment.create_symintnode(torch_symbol, hint=example, source=source)
        names[torch_symbol] = symbol
    return sizes, names


def _choose_examples(symbols: Sequence[sympy.Symbol], assumed: Assumed) -> dict[sympy.Symbol, int]:
    """Return an example of each symbol, for which all assumptions hold."""
    examples = dict(zip(symbols, LARGE_EXAMPLES[: len(symbols)], strict=True))
    for relation in assumed:
        if relation.xreplace(examples) == sympy.false:
            examples.update(zip(sorted(relation.free_symbols, key=str), SMALL_EXAMPLES, strict=False))
    for relation in assumed:
        if relation.xreplace(examples) == sympy.false and isinstance(relation, sympy.Ge | sympy.Le):
            symbol, end = relation.args
            if symbol.is_Symbol and end.is_Integer and end > LEAST_PRIME:
                is_from = isinstance(relation, sympy.Ge)
                examples[symbol] = int(sympy.nextprime(2 * end) if is_from else sympy.prevprime(end + 1))
    broken = [relation for relation in assumed if relation.xreplace(examples) == sympy.false]
    if broken:
        raise CountError("no example fits an assumption", expected=broken, found=examples)
    return examples


def read_size(size: Any, names: Mapping[sympy.Symbol, sympy.Symbol]) -> sympy.Expr:
    """Return a size of torch as a polynomial in our symbols and in numbers of chunks, multiplied out.

    Raises
    ------
    CountError
        If it is none.
    """
    expression = sympy.sympify(size.node.expr if isinstance(size, torch.SymInt) else size).xreplace(names)
    expression = name_chunks(expression)
    unknown = expression.free_symbols.difference(names.values())
    chunks = {each: sympy.Dummy() for each in expression.atoms(CeilDiv)}
    if unknown or not expression.xreplace(chunks).is_polynomial():
        raise CountError("a counted size is no polynomial in the symbolic sizes", found=expression)
    return sympy.expand(expression)


def _read_cost(counted: _Counted, names: Mapping[sympy.Symbol, sympy.Symbol]) -> Cost:
    """Return the metrics of a module as formulas in our symbols."""

    def read(size: Any) -> sympy.Expr:
        return read_size(size, names)

    work = Work(
        tensor_core_flops=read(counted.work.tensor_core_flops),
        cuda_core_flops=read(counted.work.cuda_core_flops),
        reads=counted.work.reads.convert(read),
        writes=counted.work.writes.convert(read),
    )
    return Cost.of(
        work=work,
        parameters=read(counted.parameters),
        kv_elements=read(counted.kv_elements),
        precision=Precision(),
    )
