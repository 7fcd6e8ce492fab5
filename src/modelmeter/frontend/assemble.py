"""From a config to a traced model: modules, traces of their stages, and the graph of all modules."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from attrs import evolve
from torch import nn
from transformers import PreTrainedConfig

from modelmeter.core.functions import Size, differs, equals
from modelmeter.frontend.borders import trace_within
from modelmeter.frontend.cache import CachedShape, make_cache, read_shapes
from modelmeter.frontend.cards.card import DEFAULT_CLASS, Card, Tower
from modelmeter.frontend.definition import (
    DECODE,
    PREFILL,
    TEXT_DIMENSIONS,
    TEXT_STAGES,
    VISION,
    default_text_workload,
    default_vision_workload,
    make_vision_dimensions,
    make_vision_stage,
)
from modelmeter.frontend.experts import ExpertCosts, describe_experts, learn_experts
from modelmeter.frontend.modules import Depth, add_tower, build_modules, choose_depth, count_own_parameters
from modelmeter.frontend.positions import describe_positions, limit_context
from modelmeter.frontend.records import TracedForward, TracedModel, TracedRun, substitute_forward
from modelmeter.frontend.refusals import name_line
from modelmeter.frontend.regions import merge_alike, merge_regions
from modelmeter.frontend.text_parts import CACHED, split_stage
from modelmeter.frontend.tracing import StageForward, prepare_decode, prepare_prefill, trace_forward
from modelmeter.frontend.vision import run_vision, trace_vision
from modelmeter.frontend.windows import TracedRegion, cut_windows, describe_windows, find_windows
from modelmeter.graph.module_graph import ModuleGraph, ModuleNode, join_path, name_group
from modelmeter.graph.trace import trace_modules
from modelmeter.support.errors import CountError

GRAPH_SIZES = {"batch_size": 3, "seq_len": 5, "decode_steps": 1, "max_new_tokens": 2}
"""What the module graph is traced at."""

Begin = Callable[[str], None]


def trace_model(
    config: PreTrainedConfig, title: str, begin: Begin = lambda step: None, *, card: Card | None = None
) -> tuple[TracedModel, Depth]:
    """Return the traces of a text decoder, or of a model with a card, and which of its layers they are of.

    Raises
    ------
    ModelMeterError
        If its modules cannot be built or traced.
    """
    begin("build the modules")
    class_name = card.class_name if card is not None else DEFAULT_CLASS
    tower = None if card is None else card.tower
    model = build_modules(config, class_name=class_name)
    depth = choose_depth(config, model, class_name=class_name)
    runs: dict[str, TracedRun] = {}
    if tower is not None:
        depth = add_tower(depth, config, model, tower)
        few = depth.config
        with name_line("a run of the vision stage"):
            forward = trace_vision(
                lambda dtype: build_modules(few, dtype=dtype, class_name=class_name), tower, title, begin
            )
        runs[VISION] = TracedRun(stage=make_vision_stage(tower), forwards=(forward,))
    shapes, learned = learn_stages(_build_shallow(depth))
    windows = find_windows(config)

    def trace_text(longest: int | None) -> dict[str, TracedRun]:
        found = {}
        for name, stage in list_stages(shapes).items():
            begin(f"trace {name}")
            forwards = _trace_parts(depth, split_stage(name, stage, shapes, cut_windows(windows, longest), longest))
            found[name] = TracedRun(stage=TEXT_STAGES[name], forwards=forwards)
        return found

    longest, traced_text = trace_within(config, {TEXT_DIMENSIONS.symbol("seq_len"): 0, CACHED: 1}, trace_text)
    runs |= traced_text
    windows = cut_windows(windows, longest)
    begin("read the module graph")
    graph = trace_graph(model, depth, tower)
    image_tokens = (
        None if card is None or tower is None else tower.sizes[0].symbol * card.image_tokens + card.tile_tokens
    )
    traced = TracedModel(
        title=title,
        model_type=config.model_type,
        class_name=type(model).__name__,
        graph=graph,
        traced_paths={node.path: tuple(_list_members(graph, node, depth)) for node in graph.walk()},
        runs=runs,
        dimensions=limit_context(TEXT_DIMENSIONS if tower is None else make_vision_dimensions(tower), longest),
        default_workload=default_text_workload(longest)
        if tower is None or image_tokens is None
        else default_vision_workload(tower, image_tokens, longest),
        image_tokens=image_tokens,
        checks="",
        windows=windows,
        longest_context=longest,
        conventions={**describe_experts(learned), **describe_windows(windows), **describe_positions(longest)},
    )
    check_alike(traced)
    return traced, depth


def learn_cache(model: nn.Module) -> tuple[CachedShape | None, ...]:
    """Return what each layer of a model keeps, from a prefill at small sizes."""
    return learn_stages(model)[0]


def learn_stages(
    model: nn.Module, *, is_checked: bool = True
) -> tuple[tuple[CachedShape | None, ...], tuple[ExpertCosts, ...]]:
    """Return what each layer keeps, and what loops over experts do, from a prefill at small sizes.

    ``is_checked`` is as for :func:`learn_experts`.
    """
    cache = make_cache(model)
    tokens = torch.empty(2, 3, dtype=torch.int64, device="meta")

    def run() -> object:
        return model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)

    with name_line("a small prefill"):
        learned = learn_experts(model, run, is_checked=is_checked)
    return read_shapes(cache), learned


def list_stages(shapes: Sequence[CachedShape | None]) -> dict[str, StageForward]:
    """Return how the forward of each stage of a text decoder is made."""
    symbol = TEXT_DIMENSIONS.symbol
    return {
        PREFILL: StageForward(
            prepare=prepare_prefill, sizes={"batch_size": symbol("batch_size"), "seq_len": symbol("seq_len")}
        ),
        DECODE: StageForward(
            prepare=prepare_decode(shapes), sizes={"batch_size": symbol("batch_size"), "cached": CACHED}
        ),
    }


def _trace_parts(depth: Depth, parts: Iterable[tuple[StageForward, TracedRegion]]) -> tuple[TracedForward, ...]:
    """Return the traces for a batch of several and of one in each region, or one trace where they say the same."""
    batch_size = TEXT_DIMENSIONS.symbol("batch_size")

    def build() -> nn.Module:
        return _build_shallow(depth)

    def trace(stage: StageForward, condition: Size, part: TracedRegion) -> TracedForward:
        with name_line(part.describe()):
            forward = trace_forward(build, stage, condition=condition, assumed=part.assumed)
        return evolve(forward, region=part.region)

    regions = [
        merge_alike(
            (
                trace(stage, differs(batch_size, 1), part),
                trace(stage.at_one(batch_size), equals(batch_size, 1), part),
            )
        )
        for stage, part in parts
    ]
    steps = TEXT_DIMENSIONS.symbol("seq_len") + TEXT_DIMENSIONS.symbol("decode_step") - 1
    return tuple(substitute_forward(forward, {CACHED: steps}) for forward in merge_regions(regions))


def _build_shallow(depth: Depth) -> nn.Module:
    return build_modules(depth.config, class_name=depth.class_name)


def trace_graph(model: nn.Module, depth: Depth, tower: Tower | None = None) -> ModuleGraph:
    """Return the graph of all modules; a parameter that two modules share is the first one's.

    TorchInfo sees the layers that are traced; the others are siblings of their kind.
    """
    shallow = _build_shallow(depth)
    workload = GRAPH_SIZES if tower is None else {**GRAPH_SIZES, **_choose_graph_sizes(tower)}
    sizes = {**workload, "cached": GRAPH_SIZES["seq_len"]}
    runs: dict[str, Callable[[], object]] = {}
    if tower is not None:
        runs[VISION] = run_vision(shallow, tower, sizes)
    runs |= {name: stage.prepare(shallow, sizes).run for name, stage in list_stages(learn_cache(shallow)).items()}
    unlike: dict[str, Hashable] = {
        f"{stack.layers}.{index}": kind for stack in depth.stacks for index, kind in enumerate(stack.traced)
    }
    graph = trace_modules(shallow, runs, unlike=unlike)
    return _count_shared_once(_deepen(graph, depth, workload), model)


def _choose_graph_sizes(tower: Tower) -> dict[str, int]:
    """Return small sizes of images that are not alike."""
    images = {size.name: min(size.most, size.least + 1 + place) for place, size in enumerate(tower.sizes)}
    return {**images, "prompt_tokens": 1}


def _deepen(graph: ModuleGraph, depth: Depth, workload: Mapping[str, int]) -> ModuleGraph:
    """Return the graph with all siblings of each kind of layer."""
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        parent, _, name = node.path.rpartition(".")
        members = node.members
        stack = depth.find(parent)
        if stack is not None:
            kind = stack.traced[int(members[0])]
            members = tuple(str(index) for index, other in enumerate(stack.kinds) if other == kind)
            name = name_group(members)
        path = join_path(renamed.get(parent, parent), name) if node.path else ""
        renamed[node.path] = path
        nodes.append(evolve(node, path=path, members=members, repetition_count=len(members)))
    return ModuleGraph(
        nodes=tuple(nodes), call_order=tuple(renamed[path] for path in graph.call_order), workload=workload,
        architecture={}, lists={},
    )  # fmt: skip


def _count_shared_once(graph: ModuleGraph, model: nn.Module) -> ModuleGraph:
    own = count_own_parameters(model)
    held = dict.fromkeys(own, 0)
    for path, elements in own.items():
        names = path.split(".") if path else []
        for depth in range(len(names) + 1):
            held[".".join(names[:depth])] += elements

    def count(node: ModuleNode) -> ModuleNode:
        first = first_path(node.path)
        return evolve(node, own_parameter_count=own[first], parameter_count=held[first])

    return evolve(graph, nodes=tuple(map(count, graph.nodes)))


def first_path(path: str) -> str:
    """Return the path of the first member of every group in the path of a node."""
    return ".".join(re.split(r"[-,]", name)[0] if re.fullmatch(r"[\d,-]+", name) else name for name in path.split("."))


def _list_members(graph: ModuleGraph, node: ModuleNode, depth: Depth) -> list[str]:
    """Return the paths of the modules that a node stands for and that were traced."""
    parent = graph.parent(node.path)
    if parent is None:
        return [""]
    members, stack = node.members, depth.find(parent.path)
    if stack is not None:
        kind = stack.kinds[int(members[0])]
        members = tuple(str(index) for index, other in enumerate(stack.traced) if other == kind)
    above = _list_members(graph, parent, depth)
    return [f"{path}.{member}" if path else member for path in above for member in members]


def check_alike(traced: TracedModel) -> None:
    """Check that all modules that one node stands for do the same, as far as they were traced.

    Raises
    ------
    CountError
        If two do not.
    """
    for name, run in traced.runs.items():
        for forward in run.forwards:
            by_path: dict[str, list[Any]] = {}
            for each in forward.operators:
                by_path.setdefault(each.path, []).append(each.operator)
            for path, members in traced.traced_paths.items():
                first, *others = members
                for other in others:
                    if by_path.get(first) != by_path.get(other):
                        raise CountError(
                            "two modules look alike and do not do the same", place=f"{name} {path}", expected=first,
                            found=other,
                        )  # fmt: skip
