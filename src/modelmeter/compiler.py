"""The compiler on one page: from torch modules to evaluators and formula pages."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

from attrs import frozen

from modelmeter.analysis.bind import BoundModule, bind
from modelmeter.analysis.breakdown import list_operators, list_states
from modelmeter.analysis.catalogue import LayerEntry, build_catalogue
from modelmeter.analysis.evidence import Evidence
from modelmeter.analysis.peak import Peak, find_peaks
from modelmeter.analysis.totals import Totals, add_up
from modelmeter.backends.backend import Backend
from modelmeter.backends.javascript.render import JavaScriptBackend
from modelmeter.backends.python.render import PythonBackend
from modelmeter.core.cost import Cost
from modelmeter.core.evaluate import evaluate
from modelmeter.core.size_rules import substitute_sizes
from modelmeter.core.symbols import symbols_of
from modelmeter.evaluators.breakdown import BreakdownSpec, list_modules
from modelmeter.evaluators.package import build_evaluators
from modelmeter.evaluators.spec import LayerFormula, PackageSpec
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import ModuleList
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import (
    STAGES,
    TRAINING_STEP,
    build_layers,
    list_inputs,
    stage_of,
    symbolic_sizes,
)
from modelmeter.models.deepseek_ocr.evaluator_facts import DERIVATIONS, STAGE_WORDS
from modelmeter.models.deepseek_ocr.model_name import PUBLISHED, name_model
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.models.deepseek_ocr.server_steps import CHUNK, STEP, cost_chunk, cost_step, server_sizes
from modelmeter.models.deepseek_ocr.vision_tokens import prompt_image_tokens
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.publishing.conventions import CONVENTIONS, SIZES_IN_A_LAYER
from modelmeter.publishing.page_input import read_flags
from modelmeter.publishing.pages import render_pages
from modelmeter.publishing.text import describe, to_plain
from modelmeter.support.errors import BindError

PACKAGE = "deepseek_ocr_costs"
PAGES = "formulas"
BACKENDS: tuple[Backend, ...] = (PythonBackend(package=PACKAGE), JavaScriptBackend(package=PACKAGE))


@contextmanager
def _without_collection() -> Iterator[None]:
    """Keep the garbage collector from walking through millions of terms that all stay alive."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():  # what a caller has frozen would not stay so
                gc.freeze()
                gc.unfreeze()  # all that is new counts as old now, and is not walked through at once
            gc.enable()


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
    peaks
        Peaks of the activations by stage, with the architecture's sizes put in.
    training_step
        The cost of a forward without a cache and the backward of it.
    catalogue
        The formula of each layer class.
    defaults
        A value for every dimension: the architecture, the default workload, and the last decode step.
    name
        The name of the model.
    """

    architecture: DeepSeekOCRArchitecture
    graph: ModuleGraph
    model: BoundModule
    totals: Totals
    peaks: Mapping[str, Peak]
    training_step: Cost
    catalogue: tuple[LayerEntry, ...]
    defaults: Mapping[str, int]
    name: str


@_without_collection()
def compile_model(
    architecture: DeepSeekOCRArchitecture, graph: ModuleGraph | None = None, *, name: str | None = None
) -> CompiledModel:
    """Compile the formulas of ``architecture``; trace its modules unless their ``graph`` is given.

    Without a ``name`` the model has that of the published one if it has its sizes, and else one that says that it is
    another (see :mod:`modelmeter.models.deepseek_ocr.model_name`).

    Raises
    ------
    GraphError, TraceError, BindError, FormulaError
        From the step that fails, naming the module.
    """
    if graph is not None and dict(graph.architecture) != architecture.dimension_values():
        wanted = architecture.dimension_values()
        differing = sorted(name for name, size in wanted.items() if graph.architecture.get(name) != size)
        raise BindError(
            "the module graph was traced from another architecture", place=", ".join(differing) or "architecture",
            expected=[wanted[name] for name in differing], found=[graph.architecture.get(name) for name in differing],
            remedy="trace this architecture, or compile the graph's own",
        )  # fmt: skip
    # torch modules on the meta device -> TorchInfo -> module graph; torch is imported only here
    graph = graph or _trace(architecture)
    # vendor classes -> layers with a formula for every size
    layers = build_layers(symbolic_sizes())
    # module graph + layers -> the same modules, each with its formulas, checked at the traced sizes
    model = bind(graph, layers, {**graph.architecture, **graph.workload, "decode_step": 1})
    # formulas of modules -> totals by stage, by module, by class; the decode loop in closed form
    totals = add_up(model, stage_of, stages=STAGES)
    # the same layers at the sizes of the architecture -> what is alive beside each operator -> the largest by stage
    known = architecture.dimension_values()
    sizes = {**symbolic_sizes(), **known}
    peaks = find_peaks(
        build_layers(sizes), stage_of, inputs=list_inputs(sizes), stages=STAGES, rules=substitute_sizes(RULES, known)
    )
    # the layers of a whole prompt -> a forward of them and the backward of it
    training_step = layers["prefill"].training_cost
    defaults = _default_sizes(architecture)
    # every layer class once, in its own sizes
    catalogue = build_catalogue(model, defaults, stage_of)
    return CompiledModel(
        architecture=architecture,
        graph=graph,
        model=model,
        totals=totals,
        peaks=peaks,
        training_step=training_step,
        catalogue=catalogue,
        defaults=defaults,
        name=name_model(architecture, chosen=name),
    )


@_without_collection()
def emit_files(
    compiled: CompiledModel, evidence: Evidence | None = None, *, has_accuracy: bool = False
) -> dict[str, str]:
    """Return every generated file: the evaluators in each language and the formula pages, as text by path.

    Nothing is read or written, and the text is the same on every run, machine and hash seed. Pages say what is in
    ``evidence`` about their formulas, and where ``has_accuracy``, link to the page about other counters beside them.
    """
    # formulas -> small integer programs -> evaluators without a language -> the files of each language
    breakdown = BreakdownSpec(
        modules=list_modules(compiled.model, compiled.architecture.dimension_values()),
        operators=list_operators(compiled.model, stage_of),
        states=list_states(compiled.model, stage_of),
    )
    evaluators = build_evaluators(_describe_package(compiled), breakdown)
    packages = [backend.files(evaluators) for backend in BACKENDS]
    # the same formulas, factored for people -> Markdown and LaTeX
    pages = render_pages(
        model=compiled.model, totals=compiled.totals, peaks=compiled.peaks, catalogue=compiled.catalogue,
        defaults=compiled.defaults, name=compiled.name, evidence=_find_evidence(compiled, evidence),
        has_accuracy=has_accuracy,
    )  # fmt: skip
    return {
        **{path: text for package in packages for path, text in package.items()},
        **{f"{PAGES}/{path}": text for path, text in pages.items()},
    }


def _find_evidence(compiled: CompiledModel, evidence: Evidence | None) -> dict[str, tuple[str, ...]]:
    """Return how each layer and stage was checked; nothing for those whose formulas have changed since."""
    if evidence is None:
        return {}
    layers = {
        entry.name: evidence.describe_layer(entry.name, entry.cost, entry.fused_io_bytes)
        for entry in compiled.catalogue
    }
    totals = compiled.totals
    stages = {
        name: evidence.describe_stage(name, cost, totals.fused_io_by_stage[name], compiled.peaks[name].formula)
        for name, cost in totals.by_stage.items()
    }
    return {**layers, **stages, TRAINING_STEP: evidence.describe_stage(TRAINING_STEP, compiled.training_step)}


def _state_form(layer: BaseLayer) -> Iterator[str]:
    """Yield which form of a layer an evaluator is of, where it has several."""
    if flags := read_flags(layer):
        yield f"Here with {', '.join(flags)}."


def _describe_package(compiled: CompiledModel) -> PackageSpec:
    symbols = symbolic_sizes()
    return PackageSpec(
        stages=compiled.totals.by_stage,
        training_step=compiled.training_step,
        server_steps=_cost_server_steps(),
        layers=tuple(
            LayerFormula(
                name=entry.name,
                class_name=entry.class_name,
                doc=to_plain(" ".join((*describe(type(entry.layer)), *_state_form(entry.layer)))),
                cost=entry.cost,
                fused_io_bytes=entry.fused_io_bytes,
                sizes=entry.sizes,
                holds_layers=entry.layer.holds_layers,
            )
            for entry in compiled.catalogue
        ),
        fused_io=compiled.totals.fused_io_by_stage,
        peaks={stage: peak.candidates for stage, peak in compiled.peaks.items()},
        image_tokens=prompt_image_tokens(symbols),
        architecture=compiled.architecture.dimension_values(),
        fixed=_find_fixed_sizes(compiled),
        defaults=Workload().dimension_values(),
        # Code has no need of the notation that the pages explain.
        conventions=tuple(f"{rule.name}: {to_plain(rule.text)}" for rule in CONVENTIONS if rule.name != "Brackets"),
        provenance={
            "modelmeter": version("modelmeter"),
            "module graph": f"sha256:{hashlib.sha256(compiled.graph.to_json().encode()).hexdigest()}",
            # Where there is none, it is the published model.
            **({} if compiled.name == PUBLISHED else {"model": compiled.name}),
        },
        model=compiled.name,
        rules=RULES,
        derivations=DERIVATIONS,
        stage_words=STAGE_WORDS,
        layer_dimensions=SIZES_IN_A_LAYER,
    )


def _cost_server_steps() -> dict[str, Cost]:
    sizes = server_sizes()
    return {CHUNK: cost_chunk(sizes), STEP: cost_step(sizes)}


def _find_fixed_sizes(compiled: CompiledModel) -> frozenset[str]:
    """Return the sizes that decide about layers of which the traced model has none.

    Formulas say nothing about such layers, so these sizes must not vary.
    """
    sizes = compiled.architecture.dimension_values()
    lists = (bound.layer for bound in compiled.model.walk() if isinstance(bound.layer, ModuleList))
    absent = (group.count for layer in lists for group in layer.groups if set(symbols_of(group.count)) <= sizes.keys())
    return frozenset(name for count in absent if evaluate(count, sizes) == 0 for name in symbols_of(count))


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
