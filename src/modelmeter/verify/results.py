"""What a run of proofs found: rows for people, and the evidence that pages carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Literal

import sympy
from attrs import evolve, frozen
from torch.utils.flop_counter import flop_registry

from modelmeter.analysis.catalogue import LayerEntry
from modelmeter.analysis.evidence import Check, Evidence, Subject, fingerprint
from modelmeter.analysis.peak import Peak
from modelmeter.analysis.totals import Totals
from modelmeter.dimensions.functions import Size
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import BACKWARD_METRICS, FUSED_IO, METRICS, PEAK
from modelmeter.metrics.operator_table import ATTENTION, MATRIX_OPERATORS, find_weight
from modelmeter.model.stages import TRAINING_STEP
from modelmeter.verify.case import Kind
from modelmeter.verify.proof import Implementation, Quantity, Verdict

Scope = Literal["layer", "stage"]

_ORDER = (*METRICS, FUSED_IO, *BACKWARD_METRICS, PEAK)
_PROGRAMS = ("modelmeter", "sympy", "torch", "transformers")


@frozen(kw_only=True)
class Row:
    """All verdicts on one metric of a layer class or a stage, of one kind, from one implementation.

    Parameters
    ----------
    scope, name
        Whether it is about a layer class or a stage, and which.
    modules, domains, dimensions
        Where it was compared, for which sizes, and which of these were symbols.
    derived, measured, difference
        Those of the first verdict with a difference, else of the first.
    seconds
        How long the traces took, each of which serves many rows.
    """

    scope: Scope
    name: str
    metric: Quantity
    implementation: Implementation
    kind: Kind
    modules: tuple[str, ...]
    domains: tuple[str, ...]
    dimensions: tuple[str, ...]
    derived: sympy.Expr
    measured: sympy.Expr
    difference: sympy.Expr
    seconds: float
    note: str

    @property
    def is_equal(self) -> bool:
        """Whether no verdict found a difference."""
        return bool(self.difference == 0)

    @property
    def evidence(self) -> str:
        """The kind of evidence, with the number of points where it is points."""
        count = len(self.domains)
        return self.kind.replace("n points", f"{count} point{'' if count == 1 else 's'}")


def gather_rows(verdicts: Iterable[Verdict]) -> tuple[Row, ...]:
    """Return the verdicts by layer class and, where they are on the whole model, by stage; metrics in their order."""
    groups: dict[tuple[Scope, str, str, str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        rest = (verdict.metric, verdict.implementation, verdict.kind, verdict.note)
        if verdict.layer:
            groups.setdefault(("layer", verdict.layer, *rest), []).append(verdict)
        for stage in verdict.stages.split("+") if _is_of_stages(verdict) else ():
            groups.setdefault(("stage", stage, *rest), []).append(verdict)
    order = {key[:2]: number for number, key in reversed(list(enumerate(groups)))}
    keys = sorted(groups, key=lambda key: (key[0], order[key[:2]], _ORDER.index(groups[key][0].metric)))
    return tuple(_make_row(key[0], key[1], groups[key]) for key in keys)


def _is_of_stages(verdict: Verdict) -> bool:
    """Tell whether a verdict is on the whole model, or on a backward, of which a training step is the sum.

    What is alive beside the operators of a layer is of that layer only, also where it is the model itself.
    """
    if verdict.metric == PEAK:
        return not verdict.layer
    return verdict.metric in BACKWARD_METRICS or (verdict.implementation != "formulas" and verdict.subject == "")


def _make_row(scope: Scope, name: str, verdicts: Sequence[Verdict]) -> Row:
    shown = next((verdict for verdict in verdicts if not verdict.is_equal), verdicts[0])
    traces = {verdict.domain: verdict.seconds for verdict in verdicts}
    return Row(
        scope=scope,
        name=name,
        metric=shown.metric,
        implementation=shown.implementation,
        kind=shown.kind,
        modules=tuple(dict.fromkeys(verdict.subject for verdict in verdicts)),
        domains=tuple(traces),
        dimensions=tuple(dict.fromkeys(name for verdict in verdicts for name in verdict.dimensions)),
        derived=shown.derived,
        measured=shown.measured,
        difference=shown.difference,
        seconds=sum(traces.values()),
        note=shown.note,
    )


def count_operators(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Counter[str]]]:
    """Return how often each ATen operator ran in all traces, by implementation and by what it was counted as."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for verdict in verdicts:
        if verdict.operators and verdict.metric == METRICS[0]:
            for name, calls in sorted(verdict.operators.items()):
                by_use = found.setdefault(verdict.implementation, {})
                by_use.setdefault(_use_of(name, verdict.implementation), Counter())[name] += calls
    return found


_PRODUCTS = frozenset(packet.__name__ for packet in flop_registry)


def _use_of(name: str, implementation: Implementation) -> str:
    """Return what an operator was counted as; counters refuse those that are nothing of this."""
    if name == ATTENTION:
        return "attention"
    if name in MATRIX_OPERATORS or name in _PRODUCTS:
        return "matrix product"
    if implementation != "reference":
        return "no matrix product"
    return "data movement" if find_weight(name) is None else "vector arithmetic"


def make_evidence(
    rows: Iterable[Row],
    operators: Mapping[str, Mapping[str, Counter[str]]],
    *,
    catalogue: Sequence[LayerEntry],
    totals: Totals,
    peaks: Mapping[str, Peak],
    training_step: Cost | None,
) -> Evidence:
    """Return the record of a full run whose rows are all equal; the other parameters are what was proved."""
    rows = tuple(rows)
    names: dict[tuple[str, ...], str] = {}  # of lists of domains, which many checks share

    def gather(scope: Scope, name: str, cost: Cost, *beside: Size) -> Subject:
        metrics: dict[Check, list[str]] = {}
        for row in rows:
            # What is known of backwards belongs to the training step, whose formulas they are; and of what is alive,
            # to the stages.
            if (row.scope, row.name) == (scope, name) and (scope == "stage" or row.metric in (*METRICS, FUSED_IO)):
                check = Check(
                    metrics=(),
                    implementation=row.implementation,
                    kind=row.kind,
                    modules=row.modules,
                    dimensions=row.dimensions,
                    domains=names.setdefault(row.domains, f"domains_{len(names) + 1}"),
                    note=row.note,
                )
                metrics.setdefault(check, []).append(row.metric)
        checks = (evolve(check, metrics=tuple(found)) for check, found in metrics.items())
        return Subject(formulas=fingerprint(cost, *beside), checks=tuple(checks))

    return Evidence(
        versions={program: version(program) for program in _PROGRAMS},
        layers={entry.name: gather("layer", entry.name, entry.cost, entry.fused_io_bytes) for entry in catalogue},
        stages={
            **{
                name: gather("stage", name, cost, totals.fused_io_by_stage[name], peaks[name].formula)
                for name, cost in totals.by_stage.items()
            },
            **({} if training_step is None else {TRAINING_STEP: gather("stage", TRAINING_STEP, training_step)}),
        },
        domains={name: domains for domains, name in names.items()},
        operators={
            implementation: {use: tuple(sorted(calls)) for use, calls in by_use.items()}
            for implementation, by_use in operators.items()
        },
    )


def find_gaps(
    rows: Iterable[Row], *, layers: Iterable[str], stages: Iterable[str], has_training: bool = True
) -> tuple[str, ...]:
    """Return what has no comparison with torch modules: ``layer metric`` or ``stage metric``.

    Of a model without a training step, no backward is compared.
    """
    found = {(row.scope, row.name, row.metric) for row in rows if row.implementation == "reference"}
    wanted = [
        *(("layer", name, metric) for name in layers for metric in (*METRICS, FUSED_IO)),
        *(("layer", name, metric) for name in layers for metric in BACKWARD_METRICS if has_training),
        *(("stage", name, metric) for name in stages for metric in (*METRICS, FUSED_IO, PEAK)),
        *(("stage", TRAINING_STEP, metric) for metric in METRICS if has_training),
    ]
    return tuple(f"{name} {metric}" for scope, name, metric in wanted if (scope, name, metric) not in found)
