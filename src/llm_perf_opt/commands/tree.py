"""``modelmeter tree``: the module tree with classes, repetitions, parameters and calls."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from llm_perf_opt.terminal import format_integer
from modelmeter.graph.module_graph import ModuleGraph, ModuleNode

_GAP = Text("  ")


def draw_tree(graph: ModuleGraph) -> RenderableType:
    """Return the modules of ``graph`` as a tree under a line that says what stands in each of its lines."""
    runs = list(dict.fromkeys(call.run for node in graph.walk() for call in node.calls))
    legend = f"module  class  repetition  parameters of one  calls in {' + '.join(runs)}"
    # A parent comes before its children; a recursion would end at some hundreds of modules one in another.
    trees = {node.path: Tree(_describe(node, runs), guide_style="dim") for node in graph.walk()}
    for node in graph.walk():
        trees[node.path].children.extend(trees[child.path] for child in graph.children(node.path))
    return Group(Text(legend, style="dim"), trees[graph.root.path])


def _describe(node: ModuleNode, runs: list[str]) -> Text:
    parts = [Text(node.path.rpartition(".")[2]), Text(node.class_name, style="bold")]
    if node.repetition != "none":
        parts.append(Text(f"{node.repetition} x{node.repetition_count}", style="cyan"))
    parts.append(Text(format_integer(node.parameter_count)))
    parts.append(Text("+".join(str(sum(call.run == run for call in node.calls)) for run in runs), style="dim"))
    return _GAP.join(part for part in parts if part)
