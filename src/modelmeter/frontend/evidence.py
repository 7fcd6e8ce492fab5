"""Checks the formulas of a traced model against counts of its unmodified modules, without a symbol anywhere.

The traces say what a forward costs as formulas. Here the same modules run at numbers for sizes, at full depth, under a
dispatch count and under FlopCounterMode, and every module path must say the same, metric by metric.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from time import perf_counter

import torch
from attrs import asdict, frozen
from torch import nn

from modelmeter.analysis.peak import Peak
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.frontend.cards.card import ImageSize
from modelmeter.frontend.positions import SHORTEST_PROMPT
from modelmeter.frontend.recording import record_forward
from modelmeter.frontend.records import NO_WINDOWS, TracedForward, Windows, describe_sizes
from modelmeter.frontend.tracing import read_recording
from modelmeter.graph.module_graph import ModuleGraph, join_path
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.cost import Elements, Operator, Precision, Work
from modelmeter.metrics.fusion import keep_unfused
from modelmeter.metrics.metric import FUSED_IO, METRICS, PEAK
from modelmeter.support.errors import CountError
from modelmeter.verify.live_storages import watch_storages
from modelmeter.verify.matrix_products import count_matrix_products
from modelmeter.verify.symbolic_trace import Forward

BITS = Precision(weight_bits=7, activation_bits=13, kv_bits=11)
"""Widths that tell the kinds of elements apart."""

MakeForward = Callable[[nn.Module, str, Mapping[str, int]], Forward]
"""Returns the forward of a stage at sizes."""


@frozen(kw_only=True)
class Checked:
    """What was compared in one stage at one point, all with difference 0.

    Parameters
    ----------
    stage
        The stage.
    sizes
        The point.
    layers, modules
        How many decoder layers the modules had, and how many modules they were.
    metrics
        Which metrics.
    dtype
        What the modules computed with.
    seconds
        How long the counts took.
    """

    stage: str
    sizes: Mapping[str, int]
    layers: int
    modules: int
    metrics: tuple[str, ...]
    dtype: str
    seconds: float


def choose_points(
    seed: str,
    count: int,
    *,
    images: Sequence[ImageSize] = (),
    windows: Windows = NO_WINDOWS,
    longest: int | None = None,
    shortest: int = SHORTEST_PROMPT,
) -> list[dict[str, int]]:
    """Return sizes to count at: a batch of one, the shortest prompt, and then such as chance has it.

    ``images`` are the sizes of images, if there are any. With ``windows`` of attention, there are two more for each:
    points are on both sides of where it is full, and on the border. ``longest`` is how many positions there are room
    for, and ``shortest`` the tokens of the shortest prompt.
    """
    chance = random.Random(seed)
    points = [
        {"batch_size": 1, "seq_len": chance.randint(3, 700), "decode_steps": chance.randint(1, 300)},
        {"batch_size": chance.randint(2, 7), "seq_len": shortest, "decode_steps": 1},
    ]
    while len(points) < count:
        points.append(
            {
                "batch_size": chance.randint(2, 7), "seq_len": chance.randint(3, 700),
                "decode_steps": chance.randint(1, 300),
            }
        )  # fmt: skip
    beyond, border = _surround(windows, chance)
    points = [*beyond, points[0], *border, *points[1:]][: count + 2 * len(beyond)]
    for point in points:
        point["seq_len"] = max(point["seq_len"], shortest)
    if longest is not None:
        for point in points:
            point["seq_len"] = min(point["seq_len"], longest // 2)
            point["decode_steps"] = min(point["decode_steps"], longest - longest // 2)
    if images:
        for point in points:
            point |= {size.name: chance.randint(size.least, size.most) for size in images}
            point["prompt_tokens"] = 1
    return points


def _surround(windows: Windows, chance: random.Random) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """Return points beyond each window, and such as have one just full, or one position short of it.

    A step after a prompt of one position less than the window sees a window of them.
    """
    beyond, border = [], []

    def draw(seq_len: int, decode_steps: int, batch_size: int | None = None) -> dict[str, int]:
        return {
            "batch_size": batch_size or chance.randint(2, 7), "seq_len": seq_len, "decode_steps": decode_steps
        }  # fmt: skip

    for window in windows.sizes:
        beyond.append(draw(window + chance.randint(1, 700), chance.randint(1, 300)))
        border += [draw(window - 1, 1), draw(window, 1), draw(window - 2, 1, batch_size=1)]
    for chunk in windows.chunks:
        beyond.append(draw(chunk + chance.randint(1, 700), chance.randint(1, 300)))
        border += [draw(chunk, 1), draw(chunk + 1, 1), draw(2 * chunk, 1, batch_size=1)]
    if windows.behind_prompt is not None:
        window = windows.behind_prompt
        beyond.append(draw(chance.randint(3, 700), window + chance.randint(1, 300)))
        border += [draw(chance.randint(3, 700), steps) for steps in (window, window - 1, 2, window + 1)]
    return beyond, border


def find_widths(dtype: torch.dtype) -> Precision:
    """Return how wide elements are taken to be in a check of modules that compute with a type."""
    return Precision(weight_bits=32, activation_bits=32, kv_bits=32) if dtype == torch.float32 else BITS


def put_in_widths(sizes: Mapping[str, int], dtype: torch.dtype) -> dict[str, int]:
    """Return sizes with the widths of elements, in the last step of a decode."""
    return {**sizes, **asdict(find_widths(dtype)), "decode_step": sizes["decode_steps"]}


def check_stage(
    stage: str,
    model: nn.Module,
    graph: ModuleGraph,
    make: MakeForward,
    root: BaseLayer,
    peak: Peak,
    sizes: Mapping[str, int],
    numbers: Mapping[str, int],
    *,
    layers: int,
    traced: Mapping[str, Sequence[str]] | None = None,
) -> Checked:
    """Count one stage of ``model`` at ``sizes``, and compare every metric of every module with the formulas.

    ``root`` has the layers of the stage at ``numbers``, which are those of :func:`put_in_widths`. ``traced`` has the
    modules of each node of the graph where the model is one of few layers.

    Raises
    ------
    CountError
        If one differs; the message names the stage, the module and the metric.
    """
    started = perf_counter()
    dtype = next(model.parameters()).dtype
    widths = find_widths(dtype)
    tree = list(list_modules(graph, root, traced))
    forward = make(model, stage, sizes)
    try:
        recording = record_forward(model, forward.run, cache=forward.cache)
    except CountError as error:
        error.name_place(f"{stage}, computing in {str(dtype).removeprefix('torch.')}")
        raise
    noted = {insertion.path for insertion in recording.insertions}
    counted = read_recording(recording, {})
    works: dict[str, list[Operator]] = {}
    for each in counted.operators:
        works.setdefault(each.path, []).append(each.operator)
    forward = make(model, stage, sizes)
    products = count_matrix_products(model, forward.run).by_path
    known: dict[int, dict[str, object]] = {}  # alike siblings are one layer
    for path, layer in tree:
        derived = known.get(id(layer))
        if derived is None:
            formulas = _add_up(layer.operators(), layer.own_kv_elements, layer.own_state_elements, widths)
            derived = known[id(layer)] = {metric: evaluate(formula, numbers) for metric, formula in formulas.items()}
        measured = _add_up(
            works.get(path, ()), counted.kv_elements.get(path, 0), counted.state_elements.get(path, 0), widths
        )
        for metric, count in measured.items():
            expect(stage, path, metric, derived[metric], count, sizes)
        if path not in noted:
            children = (join_path(path, name) for name, _ in model.get_submodule(path).named_children())
            own = products[path] - sum(products[child] for child in children if child in products)
            metric = "tensor_core_flops, as FlopCounterMode counts them,"
            expect(stage, path, metric, derived["tensor_core_flops"], own, sizes)
    missed = sorted({*works, *counted.kv_elements, *counted.state_elements} - {path for path, _ in tree})
    if missed:
        raise CountError("modules do what no formula says", place=stage, found=missed[:3])
    alive = _find_peak(counted, widths)
    if traced is not None and not noted:  # few layers are watched by what knows nothing of first and last uses, too
        forward = make(model, stage, sizes)
        watched = watch_storages(model, forward.run, cache=forward.cache)
        alive = max(int(seen.alive.to_bits(widths)) for seen in watched)
    expect(stage, "", PEAK, evaluate(peak.formula * 8, numbers), alive, sizes)
    return Checked(
        stage=stage, layers=layers, sizes=dict(sizes), modules=len(tree), metrics=(*METRICS, PEAK),
        dtype=str(dtype).removeprefix("torch."), seconds=perf_counter() - started,
    )  # fmt: skip


def _add_up(
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


def list_modules(
    graph: ModuleGraph, root: BaseLayer, traced: Mapping[str, Sequence[str]] | None = None
) -> Iterator[tuple[str, BaseLayer]]:
    """Yield the layer of every module by its path; alike siblings have the same one.

    The modules are those of the whole model, or those of each node that are ``traced``.
    """

    def walk(node_path: str, paths: list[str], layer: BaseLayer) -> Iterator[tuple[str, BaseLayer]]:
        yield from ((path, layer) for path in (paths if traced is None else traced[node_path]))
        for child in graph.children(node_path):
            name = child.path.rpartition(".")[2]
            below = [join_path(path, member) for path in paths for member in child.members]
            yield from walk(child.path, below, layer.children[name].layer)

    yield from walk("", [""], root)


def expect(stage: str, path: str, metric: str, derived: object, measured: object, sizes: Mapping[str, int]) -> None:
    """Refuse a formula that says something else than what was counted, with the names of both."""
    if derived != measured:
        raise CountError(
            f"{metric} of the traced formula is not what the unmodified modules were counted at",
            place=f"{stage} {path}".strip(),
            expected=f"{measured} at {describe_sizes(sizes)}", found=derived,
        )  # fmt: skip


def describe_checks(checked: list[Checked]) -> str:
    """Return what was checked, as sentences with code in double backquotes."""
    if not checked:
        return (
            "Traced symbolically: the unmodified modules of transformers ran on the meta device with symbols for sizes."
        )
    points = {tuple(each.sizes.items()) for each in checked}
    whole = max(checked, key=lambda each: each.layers)
    wide = ", also computing in float32" if any(each.dtype == "float32" for each in checked) else ""
    return (
        "Traced symbolically: the unmodified modules of transformers ran on the meta device with symbols for the sizes "
        "of the workload, a batch of one apart, and the formulas are what a dispatch mode counted. Layers of a kind "
        "were traced at least twice where there are two, and did the same. Polynomial identity test: the modules were "
        f"counted again without symbols at {len(points)} points drawn by chance{wide}, and with all {whole.layers} "
        f"layers at one of them. All seven metrics, and the FLOPs of ``FlopCounterMode``, of all {whole.modules} "
        "modules were equal."
    )
