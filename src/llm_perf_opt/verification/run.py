"""A run of proofs, in one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from llm_perf_opt.verification.record import Verification
from modelmeter.compiler import compile_model
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import ModuleList, Sequential
from modelmeter.model.definition import Architecture, Model
from modelmeter.model.registry import DEFAULT, find_model
from modelmeter.model.stages import REQUEST
from modelmeter.support.errors import EvidenceError
from modelmeter.support.extras import INSTALL_TRACE, explain_missing_extra

with explain_missing_extra("a proof", "torch, torchinfo and transformers", remedy=f"{INSTALL_TRACE} transformers"):
    from modelmeter.verify.proof import Progress, Verdict
    from modelmeter.verify.results import count_operators, find_gaps, gather_rows, make_evidence

Proof = Callable[[Progress], Iterator[Verdict]]
"""A part of a run."""


def run(
    *, is_full: bool, name: str | None, jobs: int, begin: Callable[[str], None], model: str = DEFAULT
) -> Verification:
    """Run all proofs of a kind.

    Parameters
    ----------
    is_full
        Whether to run every proof, or the quick ones.
    name
        A layer, a torch class or a stage; the rest is proved too, but left out of the rows.
    jobs
        How many processes run proofs side by side.
    begin
        Is called with the name of each step as it begins.
    model
        The name of a registered model.

    Raises
    ------
    EvidenceError
        If there is no such layer.
    CountError
        If a trace is not valid.
    """
    definition = find_model(model)
    if name is not None:  # a trace takes seconds, and a name that is none of all layers is none of the traced ones
        classes = {layer.function_name(): layer.torch_class() for layer in _list_layer_classes(definition)}
        _find_names(name, classes, definition)
    architecture = definition.make_architecture()
    compiled = compile_model(architecture)
    layers = {entry.name: entry.class_name for entry in compiled.catalogue}
    stages = tuple(compiled.totals.by_stage)
    wanted = _find_names(name, layers, definition)
    verdicts = tuple(_run_proofs(architecture, is_full, jobs, begin))
    rows = gather_rows(verdicts)
    operators = count_operators(verdicts)
    differences = sum(not verdict.is_equal for verdict in verdicts)
    gaps = find_gaps(rows, layers=layers, stages=stages, has_training=compiled.training_step is not None)
    is_whole = is_full and not differences and not gaps
    evidence = (
        make_evidence(
            rows,
            operators,
            catalogue=compiled.catalogue,
            totals=compiled.totals,
            peaks=compiled.peaks,
            training_step=compiled.training_step,
        )
        if is_whole
        else None
    )
    return Verification(
        rows=tuple(row for row in rows if row.name in wanted),
        count=len(verdicts),
        differences=differences,
        gaps=tuple(gap for gap in gaps if gap.split()[0] in wanted),
        operators=operators,
        evidence=evidence,
    )


def _list_layer_classes(definition: Model) -> Iterator[type[BaseLayer]]:
    """Yield the class of every layer of the model, called or not; of some more than once."""
    waiting = list(definition.build_layers(definition.symbolic_sizes()).values())
    while waiting:
        layer = waiting.pop(0)
        waiting.extend(child.layer for child in layer.children.values())
        if not isinstance(layer, ModuleList | Sequential):
            yield type(layer)


def _find_names(name: str | None, layers: Mapping[str, str], definition: Model) -> set[str]:
    named = tuple(whole for whole in (*definition.stage_names, *definition.whole_names) if whole != REQUEST)
    if name is None:
        return {*layers, *named}
    found = {layer for layer, class_name in layers.items() if name in (layer, class_name)} | {name}.intersection(named)
    if not found:
        raise EvidenceError("no layer, torch class or stage has this name", found=name, expected=[*layers, *named])
    return found


def _list_proofs(architecture: Architecture, is_full: bool) -> list[Proof]:
    definition = find_model(architecture.model)
    if definition.list_proofs is None:
        raise EvidenceError("this model has no proofs", place=definition.name)
    return list(definition.list_proofs(architecture, is_full))


def _run_proofs(
    architecture: Architecture, is_full: bool, jobs: int, begin: Callable[[str], None]
) -> Iterator[Verdict]:
    proofs = _list_proofs(architecture, is_full)
    if jobs == 1:
        for proof in proofs:
            yield from proof(begin)
        return
    # A proof is made of functions, which another process cannot be given; it makes its own list.
    with ProcessPoolExecutor(min(jobs, len(proofs)), mp_context=get_context("spawn")) as pool:
        tasks = {pool.submit(_run_one, architecture, is_full, number): number for number in range(len(proofs))}
        done: dict[int, tuple[Verdict, ...]] = {}
        for task in as_completed(tasks):
            names, done[tasks[task]] = task.result()
            begin(f"{len(done)} of {len(proofs)}: {names[0]}")
        for number in sorted(done):
            yield from done[number]


def _run_one(architecture: Architecture, is_full: bool, number: int) -> tuple[list[str], tuple[Verdict, ...]]:
    names: list[str] = []
    return names, tuple(_list_proofs(architecture, is_full)[number](names.append))
