"""Where the commands get their model from: a config, a saved module graph, or the one that is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import fields, frozen

from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.model.registry import DEFAULT, find_package
from modelmeter.support.errors import ArchitectureError

if TYPE_CHECKING:  # it needs sympy, which `tree` does without
    from modelmeter.compiled_model import CompiledModel
    from modelmeter.model.definition import Architecture, ConfigReading, Model


def read_graph(path: Path | None, model: str = DEFAULT) -> ModuleGraph:
    """Return the module graph in a file; without one, the graph that the evaluators of a model came from.

    Raises
    ------
    GraphError
        If there is no such file, or it is damaged.
    """
    return ModuleGraph.read_shipped(find_package(model)) if path is None else ModuleGraph.read(path)


@frozen(kw_only=True)
class ModelSource:
    """A model: its sizes, its name, and what its config says that nobody understands."""

    architecture: Architecture
    name: str
    warnings: tuple[str, ...] = ()


def read_model(
    config: Path | None, graph: ModuleGraph | None, *, name: str | None = None, model: str = DEFAULT
) -> ModelSource:
    """Return the model of a config, of a module graph, or of both where they agree; else the published one.

    Parameters
    ----------
    config, graph
        Where the sizes are from.
    name
        The name; without one the config says it.
    model
        The family, by its name in the registry.

    Raises
    ------
    ArchitectureError
        If the config is not one of this model, or describes another model than the graph, or if the name is one
        of another model.
    """
    from modelmeter.model.registry import find_model

    definition = find_model(model)
    read = _read_config(definition, config) if config is not None else None
    traced = definition.read_architecture(graph) if graph is not None else None
    if read is not None and traced is not None:
        _check_same(read.architecture, traced)
    architecture = read.architecture if read is not None else traced or definition.make_architecture()
    return ModelSource(
        architecture=architecture,
        name=definition.choose_name(architecture, read.names if read is not None else (), chosen=name),
        warnings=tuple(map(str, read.warnings)) if read is not None else (),
    )


def _read_config(definition: Model, config: Path) -> ConfigReading:
    if definition.read_config is None:
        raise ArchitectureError("this model reads no configs", place=definition.name, found=config)
    return definition.read_config(config)


def _check_same(wanted: Any, traced: Any) -> None:
    for field in fields(type(wanted)):
        if getattr(wanted, field.name) != getattr(traced, field.name):
            raise ArchitectureError(
                "the config is not of the model that the graph was traced from", place=field.name,
                expected=getattr(traced, field.name), found=getattr(wanted, field.name),
                remedy="leave out one of --config and --graph",
            )  # fmt: skip


def compile_graph(graph: ModuleGraph, model: str = DEFAULT) -> CompiledModel:
    """Return the compiled model of a module graph, without torch; formulas are made when they are asked for.

    Raises
    ------
    ModelMeterError
        If the graph is not one of this model.
    """
    from modelmeter.compiled_model import CompiledModel
    from modelmeter.model.registry import find_model

    return CompiledModel.open(find_model(model), graph)
