"""The parts of a compilation of the full model, after imports and trace."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import sympy
from sympy.core.cache import clear_cache
from tests.benchmarks.tables import RUNS, Table

import deepseek_ocr_costs
from modelmeter.analysis.bind import bind
from modelmeter.analysis.catalogue import build_catalogue
from modelmeter.analysis.peak import find_peaks
from modelmeter.analysis.totals import add_up
from modelmeter.compiler import compile_model, emit_files
from modelmeter.dimensions.size_rules import substitute_sizes
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import build_layers, list_inputs, symbolic_sizes
from modelmeter.models.deepseek_ocr.model import MODEL
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.models.deepseek_ocr.stages import STAGES, stage_of


def run() -> Table:
    """Time each part with cold caches of formulas, and the whole."""
    graph = ModuleGraph.read(f"{deepseek_ocr_costs.__path__[0]}/module_graph.json")
    architecture = DeepSeekOCRArchitecture()
    sizes = {**graph.architecture, **graph.workload, "decode_step": 1}
    known = {**symbolic_sizes(), **architecture.dimension_values()}
    rules = tuple(substitute_sizes(RULES, architecture.dimension_values()))
    defaults = compile_model(architecture, graph).defaults
    parts: dict[str, list[float]] = {}

    def measure(name: str, part: Callable[[], object]) -> object:
        start = time.process_time()
        result = part()
        parts.setdefault(name, []).append(time.process_time() - start)
        return result

    for _ in range(RUNS):
        clear_cache()
        layers = build_layers(symbolic_sizes())
        model = bind(graph, layers, sizes)
        measure("bind the layers", lambda: bind(graph, build_layers(symbolic_sizes()), sizes))
        measure("add up the totals", lambda model=model: add_up(model, stage_of, stages=MODEL.stages, loop=MODEL.loop))
        measure(
            "find the peaks",
            lambda: find_peaks(
                build_layers(known), stage_of, inputs=list_inputs(known), stages=STAGES, loop=MODEL.loop, rules=rules
            ),
        )
        measure(
            "catalogue of layers",
            lambda model=model: build_catalogue(model, defaults, stage_of, dimensions=MODEL.dimensions),
        )
        clear_cache()
        compiled = measure("all of the algebra, cold", lambda: compile_model(architecture, graph))
        measure("simplify and emit all files", lambda compiled=compiled: emit_files(compiled))
    medians = {name: statistics.median(seconds) for name, seconds in parts.items()}
    whole = medians["all of the algebra, cold"] + medians["simplify and emit all files"]
    rows = [(name, f"{seconds / whole:.0%}", f"{seconds:.2f}") for name, seconds in medians.items()]
    return Table(
        title="Compilation",
        note=f"Median of {RUNS} runs, sympy {sympy.__version__}; the whole is the algebra and the emission.",
        columns=("part", "share of the whole", "processor seconds on this machine"),
        rows=(*rows, ("whole", "100%", f"{whole:.2f}")),
    )
