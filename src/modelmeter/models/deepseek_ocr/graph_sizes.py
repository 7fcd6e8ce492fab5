"""The architecture that a module graph was traced from."""

from __future__ import annotations

from typing import Any

from attrs import fields

from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.support.errors import ArchitectureError


def read_architecture(graph: ModuleGraph) -> DeepSeekOCRArchitecture:
    """Return the architecture that a module graph was traced from.

    Raises
    ------
    ArchitectureError
        If the graph lacks a size, has one more, or its sizes contradict each other.
    """
    sizes = {name: size for name, size in graph.architecture.items() if name != "sam_num_global_layers"}
    expected = {field.name for field in fields(DeepSeekOCRArchitecture)} - {"sam_global_attn_indexes"}
    if set(sizes) != expected or graph.lists.keys() != {"sam_global_attn_indexes"}:
        raise ArchitectureError(
            "the module graph does not have the sizes of this model", place="architecture",
            expected=sorted(expected - set(sizes)), found=sorted((set(sizes) - expected) | graph.lists.keys()),
        )  # fmt: skip
    values: dict[str, Any] = {**sizes, "sam_global_attn_indexes": graph.lists["sam_global_attn_indexes"]}
    architecture = DeepSeekOCRArchitecture(**values)
    if architecture.dimension_values() != graph.architecture:
        raise ArchitectureError(
            "the sizes of the module graph contradict each other", place="architecture.sam_num_global_layers",
            expected=architecture.sam_num_global_layers, found=graph.architecture.get("sam_num_global_layers"),
        )  # fmt: skip
    return architecture
