"""Where the commands get their model from: a config, a saved module graph, or the one that is shipped."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import fields

from modelmeter.errors import ArchitectureError, GraphError
from modelmeter.graph import ModuleGraph

if TYPE_CHECKING:  # it needs sympy, which `tree` does without
    from modelmeter.compiler import CompiledModel
    from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture

PACKAGE: Final = "deepseek_ocr_costs"
GRAPH_FILE: Final = "module_graph.json"
"""In the generated package: the module graph that it was compiled from."""


def read_graph(path: Path | None) -> ModuleGraph:
    """Return the module graph in a file; without one, the graph that the installed evaluators came from.

    Raises
    ------
    GraphError
        If there is no such file, or it is damaged.
    """
    if path is not None:
        return ModuleGraph.read(path)
    try:
        return ModuleGraph.read(Path(str(resources.files(PACKAGE) / GRAPH_FILE)))
    except ModuleNotFoundError:
        raise GraphError(
            "the generated package is not installed", place=PACKAGE, remedy="run modelmeter compile"
        ) from None


def architecture_of(graph: ModuleGraph) -> DeepSeekOCRArchitecture:
    """Return the architecture that a module graph was traced from.

    Raises
    ------
    ArchitectureError
        If the graph lacks a size, has one more, or its sizes contradict each other.
    """
    from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture

    sizes = {name: size for name, size in graph.architecture.items() if name != "sam_num_global_layers"}
    expected = {field.name for field in fields(DeepSeekOCRArchitecture)} - {"sam_global_attn_indexes"}
    if set(sizes) != expected:
        raise ArchitectureError(
            "the module graph does not have the sizes of this model", place="architecture",
            expected=sorted(expected - set(sizes)), found=sorted(set(sizes) - expected),
        )  # fmt: skip
    values: dict[str, Any] = {**sizes, "sam_global_attn_indexes": graph.sam_global_attn_indexes}
    architecture = DeepSeekOCRArchitecture(**values)
    if architecture.dimension_values() != graph.architecture:
        raise ArchitectureError(
            "the sizes of the module graph contradict each other", place="architecture.sam_num_global_layers",
            expected=architecture.sam_num_global_layers, found=graph.architecture.get("sam_num_global_layers"),
        )  # fmt: skip
    return architecture


def read_architecture(config: Path | None, graph: ModuleGraph | None) -> DeepSeekOCRArchitecture:
    """Return the architecture of a config, of a module graph, or of both where they agree; else the published one.

    Raises
    ------
    ArchitectureError
        If the config is not one of this model, or describes another model than the graph.
    """
    from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture

    if graph is None:
        return DeepSeekOCRArchitecture.from_hf_config(config) if config else DeepSeekOCRArchitecture()
    traced = architecture_of(graph)
    if config is not None:
        wanted = DeepSeekOCRArchitecture.from_hf_config(config)
        for field in fields(DeepSeekOCRArchitecture):
            if getattr(wanted, field.name) != getattr(traced, field.name):
                raise ArchitectureError(
                    "the config is not of the model that the graph was traced from", place=field.name,
                    expected=getattr(traced, field.name), found=getattr(wanted, field.name),
                    remedy="leave out one of --config and --graph",
                )  # fmt: skip
    return traced


def compile_graph(graph: ModuleGraph) -> CompiledModel:
    """Return the compiled model of a module graph, without torch.

    Raises
    ------
    ModelMeterError
        If the graph is not one of this model.
    """
    from modelmeter.compiler import compile_model

    return compile_model(architecture_of(graph), graph)
