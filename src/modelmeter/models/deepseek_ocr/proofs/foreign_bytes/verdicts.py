"""Verdicts on the bytes of transformers: our formulas with what the causes add, against the count of its operators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from time import perf_counter

import sympy

from modelmeter.compiler import compile_model
from modelmeter.metrics.metric import PEAK
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.cases import Case, record_cases
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.formulas import FormulaValues
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.sides import Models
from modelmeter.verify.foreign_bytes.comparison import explain_peaks, explain_traffic
from modelmeter.verify.foreign_bytes.records import Sides
from modelmeter.verify.proof import Progress, Quantity, Verdict

_STAGES = {"views": "vision+projector", "prefill": "prefill", "decode": "decode"}
"""Of the formulas that are compared, joined with ``+``."""


def prove_bytes(architecture: DeepSeekOCRArchitecture, cases: Iterable[Case], progress: Progress) -> Iterator[Verdict]:
    """Yield a verdict on the bytes that each case moves, and on its peak.

    Raises
    ------
    CountError
        If the causes do not explain what an operator of transformers moves, or no snapshot what is alive at a peak. It
        names the operator.
    """
    known = architecture.dimension_values()
    values = FormulaValues(compile_model(architecture))
    start = perf_counter()
    for case, sides in record_cases(partial(Models.build, architecture), cases):
        progress(f"bytes of {case.title}")
        make = partial(_make_verdict, case, sides, perf_counter() - start)
        traffic = explain_traffic(known, sides, case.causes)
        added = sum(nbytes for _, nbytes in traffic.causes)
        yield make("io_bytes", values.find_traffic(case.stage, sides.sizes) + added, traffic.their_bytes)
        if case.has_peaks:
            peaks = explain_peaks(known, sides, case.snapshots)
            formula = values.find_peak(case.stage, sides.sizes)
            ours = peaks.ours.nbytes if formula is None else formula
            yield make(PEAK, ours + sum(row.theirs - row.ours for row in peaks.alive), peaks.theirs.nbytes)
        start = perf_counter()


def _make_verdict(case: Case, sides: Sides, seconds: float, metric: Quantity, ours: int, theirs: int) -> Verdict:
    return Verdict(
        implementation="transformers",
        subject="",
        layer="",
        stages=_STAGES[case.stage],
        metric=metric,
        kind="exact at n points",
        domain="; ".join(f"{name} = {size}" for name, size in sides.sizes.items()),
        dimensions=tuple(sides.sizes),
        derived=sympy.Integer(ours),
        measured=sympy.Integer(theirs),
        difference=sympy.Integer(ours - theirs),
        seconds=seconds,
        note=f"with the bytes of these causes: {', '.join(cause.name for cause in case.causes)}",
    )
