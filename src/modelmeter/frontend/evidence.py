"""Checks the formulas of a traced model against counts of its unmodified modules, without a symbol anywhere.

The traces say what a forward costs as formulas. Here the same modules run at numbers for sizes, at full depth, under a
dispatch count and under FlopCounterMode, and every module path must say the same, metric by metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter

from attrs import frozen

from modelmeter.analysis.peak import Peak
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.frontend.counts import Counted, add_up, find_widths
from modelmeter.frontend.records import describe_sizes
from modelmeter.graph.module_graph import ModuleGraph, join_path
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.metric import METRICS, PEAK
from modelmeter.support.errors import CountError


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


def check_stage(
    counted: Counted,
    graph: ModuleGraph,
    root: BaseLayer,
    peak: Peak,
    numbers: Mapping[str, int],
    *,
    traced: Mapping[str, Sequence[str]] | None = None,
) -> Checked:
    """Compare every metric of every module with what the formulas say.

    Parameters
    ----------
    counted
        What was counted of a stage.
    graph
        The modules.
    root
        The layers of the stage at ``numbers``, which are those of :func:`put_in_widths`.
    peak
        The formula of what is alive at most.
    traced
        The modules of each node of the graph, where the model is one of few layers.

    Raises
    ------
    CountError
        If one differs; the message names the stage, the module and the metric.
    """
    started = perf_counter()
    stage, sizes, widths = counted.stage, counted.sizes, find_widths(counted.dtype)
    tree = list(list_modules(graph, root, traced))
    nothing = add_up((), 0, 0, widths)
    known: dict[int, dict[str, object]] = {}  # alike siblings are one layer
    for path, layer in tree:
        derived = known.get(id(layer))
        if derived is None:
            formulas = add_up(layer.operators(), layer.own_kv_elements, layer.own_state_elements, widths)
            derived = known[id(layer)] = {metric: evaluate(formula, numbers) for metric, formula in formulas.items()}
        for metric, count in counted.by_path.get(path, nothing).items():
            expect(stage, path, metric, derived[metric], count, sizes)
        if path not in counted.noted:
            metric = "tensor_core_flops, as FlopCounterMode counts them,"
            expect(stage, path, metric, derived["tensor_core_flops"], counted.products[path], sizes)
    missed = sorted({*counted.by_path} - {path for path, _ in tree})
    if missed:
        raise CountError("modules do what no formula says", place=stage, found=missed[:3])
    expect(stage, "", PEAK, evaluate(peak.formula * 8, numbers), counted.alive, sizes)
    return Checked(
        stage=stage, layers=counted.layers, sizes=dict(sizes), modules=len(tree), metrics=(*METRICS, PEAK),
        dtype=str(counted.dtype).removeprefix("torch."), seconds=counted.seconds + perf_counter() - started,
    )  # fmt: skip


def list_modules(
    graph: ModuleGraph, root: BaseLayer, traced: Mapping[str, Sequence[str]] | None = None
) -> Iterator[tuple[str, BaseLayer]]:
    """Yield the layer of every module by its path; alike siblings have the same one.

    The modules are those of the whole model, or those of each node that are ``traced``.
    """

    def walk(node_path: str, layer: BaseLayer) -> Iterator[tuple[str, BaseLayer]]:
        yield from ((path, layer) for path in paths[node_path])
        for child in graph.children(node_path):
            yield from walk(child.path, layer.children[child.path.rpartition(".")[2]].layer)

    paths = dict(list_paths(graph)) if traced is None else traced
    yield from walk("", root)


def list_paths(
    graph: ModuleGraph, node_path: str = "", paths: Sequence[str] = ("",)
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each node of a graph, from one whose modules have ``paths``, with the paths of all that it stands for."""
    yield node_path, paths
    for child in graph.children(node_path):
        below = [join_path(path, member) for path in paths for member in child.members]
        yield from list_paths(graph, child.path, below)


def expect(stage: str, path: str, metric: str, derived: object, measured: object, sizes: Mapping[str, int]) -> None:
    """Refuse a formula that says something else than what was counted, with the names of both."""
    if derived != measured:
        raise CountError(
            f"{metric} of the traced formula is not what the unmodified modules were counted at",
            place=f"{stage} {path}".strip(),
            expected=f"{measured} at {describe_sizes(sizes)}", found=derived,
        )  # fmt: skip


def describe_checks(points: Sequence[Mapping[str, int]], layers: int, modules: int) -> str:
    """Return what is checked, as sentences with code in double backquotes.

    Parameters
    ----------
    points
        The sizes that models are counted at.
    layers, modules
        Of the whole model.
    """
    if not points:
        return (
            "Traced symbolically: the unmodified modules of transformers ran on the meta device with symbols for sizes."
        )
    different = len({tuple(sizes.items()) for sizes in points})
    return (
        "Traced symbolically: the unmodified modules of transformers ran on the meta device with symbols for the sizes "
        "of the workload, a batch of one apart, and the formulas are what a dispatch mode counted. Layers of a kind "
        "were traced at least twice where there are two, and did the same. Polynomial identity test: the modules were "
        f"counted again without symbols at {different} points drawn by chance, also computing in float32, and with all "
        f"{layers} layers at one of them. All seven metrics, and the FLOPs of ``FlopCounterMode``, of all {modules} "
        "modules were equal."
    )
