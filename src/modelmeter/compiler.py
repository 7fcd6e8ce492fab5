"""The compiler on one page: from torch modules to evaluators and formula pages."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from modelmeter.bind import BoundModule, bind
from modelmeter.catalogue import LayerEntry, build_catalogue
from modelmeter.graph import ModuleGraph
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import STAGES, build_layers, stage_of, symbolic_sizes
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.totals import Totals, add_up


@frozen(kw_only=True)
class CompiledModel:
    """What the compiler knows before it emits text.

    Parameters
    ----------
    architecture
        The model's sizes.
    graph
        The traced modules.
    model
        The same modules with their layers.
    totals
        Costs by stage, module and class, as formulas.
    catalogue
        The formula of each layer class.
    defaults
        A value for every dimension: the architecture, the default workload, and the last decode step.
    """

    architecture: DeepSeekOCRArchitecture
    graph: ModuleGraph
    model: BoundModule
    totals: Totals
    catalogue: tuple[LayerEntry, ...]
    defaults: Mapping[str, int]


def compile_model(architecture: DeepSeekOCRArchitecture, graph: ModuleGraph | None = None) -> CompiledModel:
    """Compile the formulas of ``architecture``; trace its modules unless their ``graph`` is given.

    Raises
    ------
    GraphError, TraceError, BindError, FormulaError
        From the step that fails, naming the module.
    """
    # torch modules on the meta device -> TorchInfo -> module graph; torch is imported only here
    graph = graph or _trace(architecture)
    # vendor classes -> layers with a formula for every size
    layers = build_layers(symbolic_sizes())
    # module graph + layers -> the same modules, each with its formulas, checked at the traced sizes
    model = bind(graph, layers, {**graph.architecture, **graph.workload, "decode_step": 1})
    # formulas of modules -> totals by stage, by module, by class; the decode loop in closed form
    totals = add_up(model, stage_of, stages=STAGES)
    defaults = _default_sizes(architecture)
    # every layer class once, in its own sizes
    catalogue = build_catalogue(model, defaults, stage_of)
    return CompiledModel(
        architecture=architecture, graph=graph, model=model, totals=totals, catalogue=catalogue, defaults=defaults
    )


def _trace(architecture: DeepSeekOCRArchitecture) -> ModuleGraph:
    from modelmeter.models.deepseek_ocr.trace_reference import trace_reference

    return trace_reference(architecture)


def _default_sizes(architecture: DeepSeekOCRArchitecture) -> dict[str, int]:
    workload = Workload()
    return {
        **architecture.dimension_values(),
        **workload.dimension_values(),
        "decode_step": workload.decode_steps,
    }
