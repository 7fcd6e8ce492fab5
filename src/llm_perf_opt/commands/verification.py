"""A run of proofs, in one process or several, and what comes out of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from attrs import frozen

from llm_perf_opt.commands.verify import ROWS_KEYS
from modelmeter.analysis.evidence import Evidence
from modelmeter.compiler import compile_model
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import ModuleList, Sequential
from modelmeter.model.definition import Architecture
from modelmeter.model.registry import find_model
from modelmeter.model.stages import TRAINING_STEP
from modelmeter.support.errors import EvidenceError, TraceError

try:
    from modelmeter.verify.proof import Progress, Verdict
    from modelmeter.verify.results import Row, count_operators, find_gaps, gather_rows, make_evidence
except ModuleNotFoundError as error:
    raise TraceError(
        "proofs need torch, torchinfo and transformers", found=str(error),
        remedy="pip install 'modelmeter[trace]' transformers",
    ) from None  # fmt: skip

Proof = Callable[[Progress], Iterator[Verdict]]
"""A part of a run."""

Operators = Mapping[str, Mapping[str, Counter[str]]]


@frozen(kw_only=True)
class Verification:
    """What a run found.

    Parameters
    ----------
    rows
        Those of the layer or stage that was asked for, or all.
    count
        How many comparisons there were, and how many of them found a difference.
    differences
    gaps
        Layers and stages with a metric that nothing was compared with; those that were asked for.
    operators
        The ATen operators that ran, by implementation and by what they were counted as.
    evidence
        The record of a full run of everything without differences and gaps.
    """

    rows: tuple[Row, ...]
    count: int
    differences: int
    gaps: tuple[str, ...]
    operators: Operators
    evidence: Evidence | None

    @property
    def is_proved(self) -> bool:
        """Whether there is no difference, and no gap."""
        return not self.differences and not self.gaps

    def summary(self) -> Iterator[str]:
        """Yield what a reader has to know, a line each."""
        for implementation, by_use in self.operators.items():
            uses = (f"{use}: {', '.join(sorted(calls))}" for use, calls in by_use.items())
            yield f"operators of the {implementation} model: {'; '.join(uses)}"
        for row in self.rows:
            if not row.is_equal:
                yield f"DIFFERENCE in {row.scope} {row.name}, {row.metric}, at {', '.join(row.modules)}"
        for gap in self.gaps:
            yield f"NOT COMPARED: {gap}"
        yield f"{self.count} comparisons, {self.differences} with a difference"

    def to_json(self) -> str:
        """Return all of it as JSON."""
        rows = [
            {
                "scope": row.scope, "name": row.name, "metric": row.metric, "implementation": row.implementation,
                "kind": row.kind, "modules": row.modules, "domains": row.domains, "dimensions": row.dimensions,
                "ours": str(row.ours), "theirs": str(row.theirs), "difference": str(row.difference),
                "seconds": round(row.seconds, 3), "note": row.note,
            }
            for row in self.rows
        ]  # fmt: skip
        values = (self.count, self.differences, self.gaps, rows, self.operators)
        return json.dumps(dict(zip(ROWS_KEYS, values, strict=True)), indent=1) + "\n"


def run(*, is_full: bool, name: str | None, jobs: int, begin: Callable[[str], None]) -> Verification:
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

    Raises
    ------
    EvidenceError
        If there is no such layer.
    CountError
        If a trace is not valid.
    """
    if name is not None:  # a trace takes seconds, and a name that is none of all layers is none of the traced ones
        classes = {layer.function_name(): layer.torch_class() for layer in _list_layer_classes()}
        _find_names(name, classes, find_model().stage_names)
    architecture = find_model().make_architecture()
    compiled = compile_model(architecture)
    layers = {entry.name: entry.class_name for entry in compiled.catalogue}
    stages = tuple(compiled.totals.by_stage)
    wanted = _find_names(name, layers, stages)
    verdicts = tuple(_run_proofs(architecture, is_full, jobs, begin))
    rows = gather_rows(verdicts)
    operators = count_operators(verdicts)
    differences = sum(not verdict.is_equal for verdict in verdicts)
    gaps = find_gaps(rows, layers=layers, stages=stages)
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


def _list_layer_classes() -> Iterator[type[BaseLayer]]:
    """Yield the class of every layer of the model, called or not; of some more than once."""
    definition = find_model()
    waiting = list(definition.build_layers(definition.symbolic_sizes()).values())
    while waiting:
        layer = waiting.pop(0)
        waiting.extend(child.layer for child in layer.children.values())
        if not isinstance(layer, ModuleList | Sequential):
            yield type(layer)


def _find_names(name: str | None, layers: Mapping[str, str], stages: tuple[str, ...]) -> set[str]:
    named = (*stages, TRAINING_STEP)
    if name is None:
        return {*layers, *named}
    found = {layer for layer, class_name in layers.items() if name in (layer, class_name)} | {name}.intersection(named)
    if not found:
        raise EvidenceError("no layer, torch class or stage has this name", found=name, expected=[*layers, *named])
    return found


def _list_proofs(architecture: Architecture, is_full: bool) -> list[Proof]:
    return list(find_model(architecture.model).list_proofs(architecture, is_full))


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
