"""Counts unmodified modules without a symbol anywhere.

The modules that were traced run at numbers for sizes under a dispatch count and under FlopCounterMode, by module path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from time import perf_counter

import torch
from attrs import asdict, frozen
from torch import nn

from modelmeter.dimensions.functions import Size
from modelmeter.frontend.modules import count_layers
from modelmeter.frontend.recording import record_forward
from modelmeter.frontend.records import TracedForward
from modelmeter.frontend.tracing import read_recording
from modelmeter.graph.module_graph import join_path
from modelmeter.metrics.cost import Elements, Operator, Precision, Work
from modelmeter.metrics.fusion import keep_unfused
from modelmeter.metrics.metric import FUSED_IO
from modelmeter.support.errors import CountError
from modelmeter.verify.live_storages import watch_storages
from modelmeter.verify.matrix_products import count_matrix_products
from modelmeter.verify.symbolic_trace import Forward

BITS = Precision(weight_bits=7, activation_bits=13, kv_bits=11)
"""Widths that tell the kinds of elements apart."""

MakeForward = Callable[[nn.Module, str, Mapping[str, int]], Forward]
"""Returns the forward of a stage at sizes."""


@frozen(kw_only=True)
class Counted:
    """What the modules of a model were counted at in one stage at one point.

    Parameters
    ----------
    stage, sizes
        The stage, and the point.
    layers, is_whole
        How many decoder layers the model has, and whether they are all.
    dtype
        What it computes with.
    by_path
        Every metric of the modules that do or keep something themselves; bytes are in bits.
    products
        The FLOPs of FlopCounterMode of each module itself.
    noted
        Modules of which it counts nothing, since something stands for what they do.
    alive
        The most bits that are alive.
    seconds
        How long the counts took.
    """

    stage: str
    sizes: Mapping[str, int]
    layers: int
    is_whole: bool
    dtype: torch.dtype
    by_path: Mapping[str, Mapping[str, Size]]
    products: Mapping[str, int]
    noted: frozenset[str]
    alive: int
    seconds: float


def find_widths(dtype: torch.dtype) -> Precision:
    """Return how wide elements are taken to be in a check of modules that compute with a type."""
    return Precision(weight_bits=32, activation_bits=32, kv_bits=32) if dtype == torch.float32 else BITS


def put_in_widths(sizes: Mapping[str, int], dtype: torch.dtype) -> dict[str, int]:
    """Return sizes with the widths of elements, in the last step of a decode."""
    return {**sizes, **asdict(find_widths(dtype)), "decode_step": sizes["decode_steps"]}


def count_stage(
    stage: str, model: nn.Module, make: MakeForward, sizes: Mapping[str, int], *, is_whole: bool
) -> Counted:
    """Count one stage of ``model`` at ``sizes``; one of few layers is watched while it runs, too.

    Raises
    ------
    CountError
        If nothing accounts for an operator.
    """
    started = perf_counter()
    dtype: torch.dtype = next(model.parameters()).dtype
    widths = find_widths(dtype)
    forward = make(model, stage, sizes)
    try:
        recording = record_forward(model, forward.run, cache=forward.cache)
    except CountError as error:
        error.name_place(f"{stage}, computing in {str(dtype).removeprefix('torch.')}")
        raise
    noted = frozenset(insertion.path for insertion in recording.insertions)
    counted = read_recording(recording, {})
    works: dict[str, list[Operator]] = {}
    for each in counted.operators:
        works.setdefault(each.path, []).append(each.operator)
    by_path = {
        path: add_up(
            works.get(path, ()), counted.kv_elements.get(path, 0), counted.state_elements.get(path, 0), widths
        )
        for path in {**works, **counted.kv_elements, **counted.state_elements}
    }  # fmt: skip
    forward = make(model, stage, sizes)
    products = count_matrix_products(model, forward.run).by_path
    own = {}
    for path, module in model.named_modules():
        children = (join_path(path, name) for name, _ in module.named_children())
        own[path] = products[path] - sum(products[child] for child in children if child in products)
    alive = _find_peak(counted, widths)
    if not is_whole and not noted:  # by what knows nothing of first and last uses
        forward = make(model, stage, sizes)
        watched = watch_storages(model, forward.run, cache=forward.cache)
        alive = max(int(seen.alive.to_bits(widths)) for seen in watched)
    return Counted(
        stage=stage, sizes=dict(sizes), layers=count_layers(model.config), is_whole=is_whole, dtype=dtype,
        by_path=by_path, products=own, noted=noted, alive=alive, seconds=perf_counter() - started,
    )  # fmt: skip


def add_up(
    operators: Iterable[Operator], kv_elements: Size, state_elements: Size, widths: Precision
) -> dict[str, Size]:
    """Return what a module itself does and keeps: FLOPs, and bits."""
    listed = list(operators)
    work, unfused = Work.of(listed), Work.of(map(keep_unfused, listed))
    return {
        "tensor_core_flops": work.tensor_core_flops,
        "cuda_core_flops": work.cuda_core_flops,
        "io_bytes": (work.reads + work.writes).to_bits(widths),
        FUSED_IO: (unfused.reads + unfused.writes).to_bits(widths),
        "activation_bytes": work.writes.to_bits(widths),
        "kv_cache_bytes": Elements(kv=kv_elements, state=state_elements).to_bits(widths),
    }


def _find_peak(forward: TracedForward, widths: Precision) -> int:
    changes = [0] * (len(forward.operators) + 1)
    for life in forward.lifetimes:
        of_life = int(life.elements.to_bits(widths))
        changes[life.first] += of_life
        changes[life.last + 1] -= of_life
    return max(accumulate(changes))
