"""The peaks of the stages, against a walk over the live storages of the reference model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from time import perf_counter

import sympy
import torch
from attrs import asdict

from modelmeter.analysis.peak import Peak, find_peaks
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.size_rules import substitute_sizes
from modelmeter.metrics.cost import FLOAT32_BITS, Precision
from modelmeter.metrics.metric import PEAK
from modelmeter.verify.live_storages import watch_storages
from modelmeter.verify.proof import Progress, Verdict
from modelmeter.verify.proved_model import Point, ProvedModel

PRECISION = Precision(weight_bits=7, activation_bits=13, kv_bits=11)
"""Odd, so that bytes are fractions; no two alike, and none as wide as float32."""

WIDE = Precision(weight_bits=FLOAT32_BITS, activation_bits=FLOAT32_BITS, kv_bits=FLOAT32_BITS)
"""Where nothing is cast."""


def watch_stages(
    proved: ProvedModel, point: Point, *, precision: Precision = PRECISION, dtype: torch.dtype | None = None
) -> dict[str, int]:
    """Return the most bits that are alive beside an operator of each stage, in a forward and a step after it.

    Parameters
    ----------
    dtype
        What the reference modules compute with, by default the type of the model.
    """
    prepared = point.prepare(dtype or proved.dtype)
    peaks = dict.fromkeys(proved.model.stage_names, 0)
    for run, forward in prepared.forwards.items():
        for live in watch_storages(prepared.module, forward, cache=prepared.cache):
            stage = proved.model.stage_of(run, live.path)
            peaks[stage] = max(peaks[stage], int(live.alive.to_bits(precision)))
    return peaks


def prove_peaks(proved: ProvedModel, points: Iterable[Point], progress: Progress) -> Iterator[Verdict]:
    """Yield a verdict on the peak of every stage at each point; the points are of one architecture."""
    peaks: Mapping[str, Peak] = {}
    for point in points:
        peaks = peaks or _find_peaks(proved, point.architecture)
        for dtype, precision in ((proved.dtype, PRECISION), (torch.float32, WIDE)):
            widths = asdict(precision)
            sizes = {**point.workload, **widths}
            domain = "; ".join(f"{name} = {size}" for name, size in sizes.items())
            progress(f"live storages at {domain}")
            start = perf_counter()
            watched = watch_stages(proved, point, precision=precision, dtype=dtype)
            seconds = perf_counter() - start
            for stage in proved.model.stage_names:
                derived = sympy.sympify(evaluate(peaks[stage].formula, proved.at_first_step(sizes)))
                measured = sympy.Rational(watched[stage], 8)
                yield Verdict(
                    implementation="reference",
                    subject="",
                    layer="",
                    stages=stage,
                    metric=PEAK,
                    kind="exact at n points",
                    domain=domain,
                    dimensions=tuple(sizes),
                    derived=derived,
                    measured=measured,
                    difference=derived - measured,
                    seconds=seconds,
                    note=point.note,
                )


def _find_peaks(proved: ProvedModel, known: Mapping[str, int]) -> Mapping[str, Peak]:
    model = proved.model
    sizes = {**model.symbolic_sizes(), **known}
    return find_peaks(
        model.build_layers(sizes), model.stage_of, inputs=model.list_inputs(sizes), stages=model.stage_names,
        loop=model.loop, rules=substitute_sizes(model.rules, known), dimensions=model.dimensions,
    )  # fmt: skip
