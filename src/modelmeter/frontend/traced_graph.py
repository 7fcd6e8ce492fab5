"""The graph of all modules of a model, of which the layers of a kind stand for each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Mapping

from attrs import evolve
from torch import nn

from modelmeter.frontend.cards.card import Tower
from modelmeter.frontend.definition import VISION
from modelmeter.frontend.left_out import find_modules_read, leave_out_unused, sum_parameters
from modelmeter.frontend.modules import Depth, Stack, count_own_parameters
from modelmeter.frontend.shallow import build_shallow
from modelmeter.frontend.text_stages import learn_cache, list_stages
from modelmeter.frontend.vision import run_vision
from modelmeter.graph.module_graph import ModuleGraph, ModuleNode, join_path, name_group
from modelmeter.graph.trace import trace_modules

GRAPH_SIZES = {"batch_size": 3, "seq_len": 5, "decode_steps": 1, "max_new_tokens": 2}
"""What the module graph is traced at."""


def trace_graph(
    model: nn.Module, depth: Depth, stages: Collection[str], tower: Tower | None = None
) -> tuple[ModuleGraph, tuple[str, ...]]:
    """Return the graph of all modules that ``stages`` run, and the paths of those that are left out of it.

    TorchInfo sees the layers that are traced; the others are siblings of their kind. A parameter that two modules
    share is the first one's. Without a tower, the text part of a model that sees is all that is used; without a stage
    of the text, its tower.
    """
    shallow = build_shallow(depth)
    workload = GRAPH_SIZES if tower is None else {**GRAPH_SIZES, **_choose_graph_sizes(tower)}
    sizes = {**workload, "cached": GRAPH_SIZES["seq_len"]}
    shapes = learn_cache(shallow)

    of_text = {name: stage for name, stage in list_stages(shapes).items() if name in stages}

    def prepare() -> dict[str, Callable[[], object]]:
        text = {name: stage.prepare(shallow, sizes).run for name, stage in of_text.items()}
        return text if tower is None else {VISION: run_vision(shallow, tower, tower.add_up(sizes)), **text}

    unlike: dict[str, Hashable] = {
        f"{stack.layers}.{index}": kind for stack in depth.stacks for index, kind in enumerate(stack.traced)
    }
    graph = trace_modules(shallow, prepare(), unlike=unlike)
    if (tower is not None and of_text) or not depth.config.sub_configs:
        return _count_shared_once(_deepen(graph, depth, workload), model), ()
    part = leave_out_unused(graph, find_modules_read(shallow, prepare().values()), first_path)
    kept = _count_shared_once(_deepen(part.graph, depth, workload), model)
    return kept, tuple(dict.fromkeys(_rename_group(path, depth) for path in part.unused))


def _choose_graph_sizes(tower: Tower) -> dict[str, int]:
    """Return small sizes of images that are not alike."""
    images = {size.name: min(size.most, size.least + 1 + place) for place, size in enumerate(tower.sizes)}
    return {**images, "prompt_tokens": 1}


def _rename_group(path: str, depth: Depth) -> str:
    """Return the path of a layer of the traced depth with all layers of its kind."""
    parent, _, name = path.rpartition(".")
    stack = depth.find(parent)
    return path if stack is None else join_path(parent, name_group(_list_alike(stack, stack.traced[int(name)])))


def _list_alike(stack: Stack, kind: int) -> tuple[str, ...]:
    return tuple(str(index) for index, other in enumerate(stack.kinds) if other == kind)


def _deepen(graph: ModuleGraph, depth: Depth, workload: Mapping[str, int]) -> ModuleGraph:
    """Return the graph with all siblings of each kind of layer."""
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        parent, _, name = node.path.rpartition(".")
        members = node.members
        stack = depth.find(parent)
        if stack is not None:
            members = _list_alike(stack, stack.traced[int(members[0])])
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
    nodes = [evolve(node, own_parameter_count=own[first_path(node.path)]) for node in graph.nodes]
    return sum_parameters(graph, nodes)


def first_path(path: str) -> str:
    """Return the path of the first member of every group in the path of a node."""
    return ".".join(re.split(r"[-,]", name)[0] if re.fullmatch(r"[\d,-]+", name) else name for name in path.split("."))


def find_whole_path(path: str, depth: Depth) -> str:
    """Return the path in the whole model of a module of the traced depth: the first of those that it stands for."""
    names: list[str] = []
    traced: list[str] = []
    for name in path.split("."):
        stack = depth.find(".".join(traced))
        traced.append(name)
        names.append(name if stack is None else str(stack.kinds.index(stack.traced[int(name)])))
    return ".".join(names)


def list_members(graph: ModuleGraph, node: ModuleNode, depth: Depth) -> list[str]:
    """Return the paths of the modules that a node stands for and that were traced."""
    parent = graph.parent(node.path)
    if parent is None:
        return [""]
    members, stack = node.members, depth.find(parent.path)
    if stack is not None:
        kind = stack.kinds[int(members[0])]
        members = tuple(str(index) for index, other in enumerate(stack.traced) if other == kind)
    above = list_members(graph, parent, depth)
    return [f"{path}.{member}" if path else member for path in above for member in members]
