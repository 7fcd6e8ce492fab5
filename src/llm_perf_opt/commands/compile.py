"""``modelmeter compile``: from a model to the files of ``codegen/``."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from llm_perf_opt.commands.sources import read_model
from llm_perf_opt.commands.verify import EVIDENCE_FILE
from llm_perf_opt.reporting.folder import check_folder
from modelmeter.analysis.evidence import Evidence
from modelmeter.compiler import DATA, compile_model, emit_files, list_targets
from modelmeter.frontend.compiled_folder import refuse_other_models
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.model.registry import DEFAULT, find_model, find_package
from modelmeter.publishing.data.id_registry import IdRegistry
from modelmeter.support.errors import OutputError
from modelmeter.support.extras import INSTALL_TRACE, explain_missing_extra
from modelmeter.support.files import explain_failure, refuse_foreign
from modelmeter.support.generated_files import GRAPH_FILE, refuse_foreign_files, write_files
from modelmeter.support.suggestions import unknown_name

if TYPE_CHECKING:  # it needs sympy
    from modelmeter.model.definition import Architecture

FOLDER: Final = Path("codegen")
"""Where a compilation goes if nobody says where; only a new one, since this folder of a checkout is not to change."""

ACCURACY_FILE: Final = "formulas/accuracy.md"
"""Beside the pages of the published model, if someone wrote it: what other counters say."""

IDS_FILE: Final = "data/ids.json"
"""The ids that were ever published."""

PYTHON: Final = "python"
"""The target that the module graph goes with: the package holds what it was compiled from."""


@frozen(kw_only=True)
class Compilation:
    """The module graph that was compiled, the text of every file that came out of it, by path, and warnings."""

    graph: ModuleGraph
    files: Mapping[str, str]
    warnings: tuple[str, ...]


def choose_folder(out: Path | None, model: str, *, check: bool) -> Path:
    """Return where the files of a registered model go, or are; where nobody says, that is :data:`FOLDER`.

    Raises
    ------
    OutputError
        If it is to be written, and is no folder or takes no files: before anything is compiled.
    FolderError
        If it is to be written, and holds another model.
    """
    folder = FOLDER if out is None else out
    if not check:
        refuse_folder(folder)
        refuse_other_models(folder, find_package(model))
    return folder


def refuse_folder(folder: Path) -> None:
    """Refuse a place where the files of a compilation cannot go; they follow a link to where it leads.

    Raises
    ------
    OutputError
        If it is no folder, or takes no files.
    """
    check_folder(os.path.realpath(folder))


def compile_files(
    config: Path | None,
    graph_file: Path | None,
    begin: Callable[[str], None],
    folder: Path,
    *,
    name: str | None = None,
    model: str = DEFAULT,
    targets: Collection[str] | None = None,
) -> Compilation:
    """Compile a model, without writing anything.

    Parameters
    ----------
    config, graph_file
        The config of a checkpoint, and a saved module graph. Both may be left out; if both are given they must agree.
    begin
        Is called with the name of each step as it begins.
    folder
        Where the files will go. What is there already is read: the evidence that ``modelmeter verify --full`` wrote,
        which the pages carry; a page about other counters, to which the index of the published model links; and the ids
        that were published before, which stay.
    name
        What the model is called; without it the config says so.
    model
        The family, by its name in the registry.
    targets
        What is compiled, of the names in :func:`modelmeter.compiler.list_targets`; all of it where nothing is given.

    Raises
    ------
    ModelMeterError
        From the step that fails.
    """
    chosen = list_targets() if targets is None else tuple(targets)
    for unknown in sorted({*chosen}.difference(list_targets())):
        raise unknown_name("target", unknown, list_targets())
    ids = IdRegistry.read(folder / IDS_FILE) if DATA in chosen else IdRegistry()
    graph = ModuleGraph.read(graph_file) if graph_file else None
    source = read_model(config, graph, name=name, model=model)
    architecture = source.architecture
    definition = find_model(architecture.model)
    if graph is None:
        begin("trace the torch modules")
        graph = _trace(architecture)
    begin("bind the layers and add up")
    compiled = compile_model(architecture, graph, name=source.name)
    begin("emit the evaluators and the pages")
    evidence = Evidence.read(folder / EVIDENCE_FILE)
    has_accuracy = (folder / ACCURACY_FILE).is_file() and architecture == definition.make_architecture()
    files = emit_files(compiled, evidence, has_accuracy=has_accuracy, ids=ids, targets=chosen)
    if PYTHON in chosen:
        files[f"{definition.package}/{GRAPH_FILE}"] = graph.to_json()
    return Compilation(graph=graph, files=files, warnings=source.warnings)


def _trace(architecture: Architecture) -> ModuleGraph:
    """Do what the compiler would do, as a step of its own. Nothing else in a compilation imports torch."""
    with explain_missing_extra(remedy=f"{INSTALL_TRACE}, or start from a saved module graph with --graph"):
        return find_model(architecture.model).trace(architecture)


def save(compilation: Compilation, folder: Path | None, graph_file: Path | None, *, keep: bool) -> tuple[str, ...]:
    """Write what came out of a compilation; whether all of it may be written is known before any is.

    Parameters
    ----------
    folder, graph_file
        Where the files go, and the module graph; nowhere, if it is None.
    keep
        Whether files in the folder are kept if they differ: then nothing is written.

    Returns
    -------
    tuple of str
        Generated files in the folder that do not come out of this compilation.

    Raises
    ------
    OutputError
        If a file of others would be replaced, or one that is kept, or something cannot be written.
    """
    if folder is not None:
        with explain_failure("a generated file", folder):
            if keep:
                _refuse_changes(compilation.files, folder)
            refuse_foreign_files(compilation.files, folder)
    if graph_file is not None:
        refuse_foreign(graph_file, json.loads(compilation.graph.to_json()), name="the module graph")
        compilation.graph.write(graph_file)
    return () if folder is None else write_files(compilation.files, folder)


def _refuse_changes(files: Mapping[str, str], folder: Path) -> None:
    """Refuse to change a file where nobody said that it is to be written."""
    for path, text in files.items():
        if (folder / path).is_file() and (folder / path).read_bytes() != text.encode():
            raise OutputError(
                "another compilation is there", place=str(folder / path),
                remedy=f"name another folder with --out, or this one to replace it: --out {folder}",
            )  # fmt: skip


def describe_files(files: Mapping[str, str], directory: Path, state: str) -> str:
    """Return a line for each folder in ``directory``: how many files it has and in which state they are."""
    counts = Counter(path.partition("/")[0] for path in files)
    return "\n".join(
        f"{directory / folder}: {count} file{'s' if count > 1 else ''} {state}"
        for folder, count in sorted(counts.items())
    )
