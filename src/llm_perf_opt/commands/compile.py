"""``modelmeter compile``: from a model to the files of ``codegen/``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from llm_perf_opt.commands.sources import GRAPH_FILE, PACKAGE, read_model
from modelmeter.compiler import compile_model, emit_files
from modelmeter.errors import TraceError
from modelmeter.evidence import Evidence
from modelmeter.graph import ModuleGraph
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture

ACCURACY_FILE: Final = "formulas/accuracy.md"
"""Beside the pages of the published model, if someone wrote it: what other counters say."""


@frozen(kw_only=True)
class Compilation:
    """The module graph that was compiled, the text of every file that came out of it, by path, and warnings."""

    graph: ModuleGraph
    files: Mapping[str, str]
    warnings: tuple[str, ...]


def compile_files(
    config: Path | None,
    graph_file: Path | None,
    begin: Callable[[str], None],
    *,
    name: str | None = None,
    evidence_file: Path | None = None,
    accuracy_file: Path | None = None,
) -> Compilation:
    """Compile a model, without writing anything.

    Parameters
    ----------
    config, graph_file
        The config of a checkpoint, and a saved module graph. Both may be left out; if both are given they must agree.
    begin
        Is called with the name of each step as it begins.
    name
        What the model is called; without it the config says so.
    evidence_file
        What ``modelmeter verify --full`` wrote, if it did: the pages carry it.
    accuracy_file
        The page about other counters, if there is one: the index links to it. It is of the published model only.

    Raises
    ------
    ModelMeterError
        From the step that fails.
    """
    graph = ModuleGraph.read(graph_file) if graph_file else None
    source = read_model(config, graph, name=name)
    architecture = source.architecture
    if graph is None:
        begin("trace the torch modules")
        graph = _trace(architecture)
    begin("bind the layers and add up")
    compiled = compile_model(architecture, graph, name=source.name)
    begin("emit the evaluators and the pages")
    evidence = Evidence.read(evidence_file) if evidence_file else None
    has_accuracy = accuracy_file is not None and accuracy_file.is_file() and architecture == DeepSeekOCRArchitecture()
    files = {**emit_files(compiled, evidence, has_accuracy=has_accuracy), f"{PACKAGE}/{GRAPH_FILE}": graph.to_json()}
    return Compilation(graph=graph, files=files, warnings=source.warnings)


def _trace(architecture: DeepSeekOCRArchitecture) -> ModuleGraph:
    """Do what the compiler would do, as a step of its own. Nothing else in a compilation imports torch."""
    try:
        from modelmeter.models.deepseek_ocr.trace_reference import trace_reference
    except ModuleNotFoundError as error:
        raise TraceError(
            "tracing needs torch and torchinfo", found=str(error),
            remedy="pip install 'modelmeter[trace]', or start from a saved module graph with --graph",
        ) from None  # fmt: skip
    return trace_reference(architecture)


def describe_files(files: Mapping[str, str], directory: Path, state: str) -> str:
    """Return a line for each folder in ``directory``: how many files it has and in which state they are."""
    counts = Counter(path.partition("/")[0] for path in files)
    return "\n".join(f"{directory / folder}: {count} files {state}" for folder, count in sorted(counts.items()))
