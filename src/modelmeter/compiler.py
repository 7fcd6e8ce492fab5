"""The compiler on one page: from torch modules to evaluators and formula pages."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from importlib.metadata import version

from modelmeter.analysis.breakdown import list_operators, list_states
from modelmeter.analysis.evidence import Evidence
from modelmeter.backends.backend import Backend
from modelmeter.backends.javascript.render import JavaScriptBackend
from modelmeter.backends.python.render import PythonBackend
from modelmeter.backends.sql.render import DuckDBBackend, SparkBackend
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.symbols import names_of
from modelmeter.evaluators.breakdown import BreakdownSpec, list_modules
from modelmeter.evaluators.package import EvaluatorPackage, build_evaluators
from modelmeter.evaluators.signature import Derivation as ArgumentDerivation
from modelmeter.evaluators.spec import LayerFormula, PackageSpec
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import ModuleList
from modelmeter.metrics.metric import METRICS
from modelmeter.model.definition import Architecture
from modelmeter.model.registry import find_model
from modelmeter.model.stages import TRAINING_STEP
from modelmeter.publishing.counting_rules import BRACKETS, list_conventions
from modelmeter.publishing.data.files import FOLDER as DATA_FOLDER
from modelmeter.publishing.data.files import render_data_files
from modelmeter.publishing.data.id_registry import IdRegistry
from modelmeter.publishing.page_input import read_flags
from modelmeter.publishing.text import describe, to_plain
from modelmeter.support.errors import BindError
from modelmeter.support.garbage import without_collection
from modelmeter.support.suggestions import unknown_name

PAGES = "formulas"
DATA = "json"
"""The target that is no language of evaluators: the formulas themselves, see :mod:`modelmeter.publishing.data`."""


def list_backends(package: str) -> tuple[Backend, ...]:
    """Return the languages that evaluators are printed in; ``package`` is what they are called there."""
    return (
        PythonBackend(package=package), JavaScriptBackend(package=package), DuckDBBackend(package=package),
        SparkBackend(package=package),
    )  # fmt: skip


def list_targets(package: str = "") -> tuple[str, ...]:
    """Return the names of all that :func:`emit_files` emits: the languages, the data, the pages."""
    return (*(backend.name for backend in list_backends(package)), DATA, PAGES)


def compile_model(
    architecture: Architecture, graph: ModuleGraph | None = None, *, name: str | None = None
) -> CompiledModel:
    """Compile the formulas of ``architecture``; trace its modules unless their ``graph`` is given.

    Without a ``name`` the model has that of the published one if it has its sizes, and else one that says that it is
    another.

    Raises
    ------
    GraphError, TraceError, BindError, FormulaError
        From the step that fails, naming the module.
    """
    definition = find_model(architecture.model)
    if graph is not None and dict(graph.architecture) != architecture.dimension_values():
        wanted = architecture.dimension_values()
        differing = sorted(name for name, size in wanted.items() if graph.architecture.get(name) != size)
        raise BindError(
            "the module graph was traced from another architecture", place=", ".join(differing) or "architecture",
            expected=[wanted[name] for name in differing], found=[graph.architecture.get(name) for name in differing],
            remedy="trace this architecture, or compile the graph's own",
        )  # fmt: skip
    # torch modules on the meta device -> TorchInfo -> module graph; torch is imported only here
    graph = graph or definition.trace(architecture)
    compiled = CompiledModel(
        definition=definition, architecture=architecture, graph=graph,
        name=definition.choose_name(architecture, chosen=name),
    )  # fmt: skip
    # vendor classes -> layers with a formula for every size: ``runs``
    # module graph + layers -> the same modules, each with its formulas, checked at the traced sizes: ``model``
    # formulas of modules -> totals by stage, by module, by class; the decode loop in closed form: ``totals``
    # the layers at the sizes of the architecture -> what is alive beside each operator -> the largest: ``peaks``
    # the layers of a whole prompt -> a forward of them and the backward of it: ``training_step``
    # every layer class once, in its own sizes: ``catalogue``
    return compiled.make_all()


@without_collection()
def emit_files(
    compiled: CompiledModel,
    evidence: Evidence | None = None,
    *,
    has_accuracy: bool = False,
    ids: IdRegistry | None = None,
    targets: Collection[str] | None = None,
) -> dict[str, str]:
    """Return every generated file: the evaluators in each language, the formulas as data and as pages, by path.

    Nothing is read or written, and the text is the same on every run, machine and hash seed. Pages say what is in
    ``evidence`` about their formulas, and where ``has_accuracy``, link to the page about other counters beside them.

    Parameters
    ----------
    ids
        What was published before: these ids stay in the list of them.
    targets
        Only these of :func:`list_targets`.

    Raises
    ------
    UnknownNameError
        If there is no such target.
    FormulaError, IdError
        If something cannot be printed exactly, or two formulas have one id.
    """
    definition = compiled.definition
    wanted = set(list_targets() if targets is None else targets)
    for unknown in sorted(wanted.difference(list_targets())):
        raise unknown_name("target", unknown, list_targets())
    checks = find_evidence(compiled, evidence)
    emitted: dict[str, str] = {}
    if wanted != {PAGES}:
        # formulas -> small integer programs -> evaluators without a language -> the files of each language
        evaluators = make_evaluators(compiled)
        for backend in list_backends(definition.package):
            if backend.name in wanted:
                emitted |= backend.files(evaluators)
        if DATA in wanted:
            # the same programs and the canonical polynomials, with ids -> JSON
            files = render_data_files(
                definition, evaluators, compiled.published_formulas(), evidence=checks, ids=ids or IdRegistry(),
                defaults=compiled.defaults,
            )  # fmt: skip
            emitted |= {f"{DATA_FOLDER}/{name}": text for name, text in files.items()}
    if PAGES in wanted:
        # the same formulas, factored for people -> Markdown and LaTeX
        pages = compiled.pages(evidence=checks, has_accuracy=has_accuracy)
        emitted |= {f"{PAGES}/{path}": text for path, text in pages.items()}
    return emitted


@without_collection()
def make_evaluators(compiled: CompiledModel, *, has_breakdown: bool = True) -> EvaluatorPackage:
    """Return the evaluators of a model, without a language; those of each operator only if it ``has_breakdown``.

    Raises
    ------
    FormulaError
        If a formula cannot be computed exactly.
    """
    definition = compiled.definition
    breakdown = BreakdownSpec(modules=(), operators=(), states=())
    if has_breakdown:
        breakdown = BreakdownSpec(
            modules=list_modules(compiled.model, compiled.architecture.dimension_values()),
            operators=list_operators(compiled.model, definition.stage_of, definition.loop),
            states=list_states(compiled.model, definition.stage_of, definition.loop),
        )
    return build_evaluators(_describe_package(compiled), breakdown)


def find_evidence(compiled: CompiledModel, evidence: Evidence | None) -> dict[str, tuple[str, ...]]:
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
    step = compiled.training_step
    training = {} if step is None else {TRAINING_STEP: evidence.describe_stage(TRAINING_STEP, step)}
    return {**layers, **stages, **training}


def _state_form(layer: BaseLayer) -> Iterator[str]:
    """Yield which form of a layer an evaluator is of, where it has several."""
    if flags := read_flags(layer):
        yield f"Here with {', '.join(flags)}."


def _describe_package(compiled: CompiledModel) -> PackageSpec:
    definition = compiled.definition
    rules = list_conventions(definition, routes_experts=compiled.model.routes_experts)
    return PackageSpec(
        model=compiled.name,
        dimensions=definition.dimensions,
        stages=definition.stages,
        costs=compiled.totals.by_stage,
        training=definition.training,
        training_step=compiled.training_step,
        server_steps=definition.list_server_steps(),
        layers=tuple(
            LayerFormula(
                name=entry.name,
                public_name=definition.layer_names.get(entry.name, entry.name),
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
        derived=definition.derived,
        architecture=compiled.architecture.dimension_values(),
        fixed=_find_fixed_sizes(compiled),
        defaults=definition.default_workload(),
        # Code has no need of the notation that the pages explain.
        conventions=tuple(f"{rule.name}: {to_plain(rule.text)}" for rule in rules if rule != BRACKETS),
        provenance={
            "modelmeter": version("modelmeter"),
            "module graph": f"sha256:{hashlib.sha256(compiled.graph.to_json().encode()).hexdigest()}",
            # Where there is none, it is the published model.
            **({} if compiled.name == definition.title else {"model": compiled.name}),
        },
        rules=definition.rules,
        refused=definition.refused,
        pairs=definition.pairs,
        routes_experts=compiled.model.routes_experts,
        derivations={each.name: ArgumentDerivation.make(each) for each in definition.derivations},
    )


def _find_fixed_sizes(compiled: CompiledModel) -> frozenset[str]:
    """Return the sizes that decide about layers of which the traced model has none, and those in no formula.

    Formulas say nothing about such layers, nor about what is a limit only, so these sizes must not vary.
    """
    sizes = compiled.architecture.dimension_values()
    costs = compiled.totals.by_stage.values()
    used = {name for cost in costs for metric in METRICS for name in names_of(cost[metric])}
    lists = (bound.layer for bound in compiled.model.walk() if isinstance(bound.layer, ModuleList))
    absent = (group.count for layer in lists for group in layer.groups if names_of(group.count) <= sizes.keys())
    unused = sizes.keys() - used
    return frozenset(unused) | frozenset(
        name for count in absent if evaluate(count, sizes) == 0 for name in names_of(count)
    )
