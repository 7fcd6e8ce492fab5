"""How well a calibration fits what it was fitted on, and whether another engine would fit better."""

from __future__ import annotations

import statistics
from typing import Final

from attrs import evolve

from llm_perf_opt.planning.calibrate.fit import FitError
from llm_perf_opt.planning.calibrate.user import CalibrationRequest, calibrate
from llm_perf_opt.planning.time import ENGINES, Calibration
from llm_perf_opt.planning.time.records import Engine

BAD_RESIDUAL: Final = 0.25
"""Beyond this part of a measured time, a fit does not describe its measurements."""


def find_worst_residual(calibration: Calibration) -> float:
    """Return the size of the largest relative error of what was fitted."""
    return max(abs(point.relative_error) for point in calibration.fitted)


def describe_residuals(calibration: Calibration) -> str:
    """Return how far the fit is from its own measurements, and which of them nothing else tells of: a sentence."""
    errors = [abs(point.relative_error) for point in calibration.fitted]
    alone = sum(point.left_out_seconds is None for point in calibration.points)
    words = (
        f"the fit is off by {100 * statistics.median(errors):.0f} % at the median and {100 * max(errors):.0f} % at "
        f"most on the {len(errors)} measurements that it was fitted on"
    )
    if alone:
        words += (
            f"; {alone} of them (\u2013) the others do not determine, as some coefficient is seen in no other one: "
            "measure more such calls of other sizes"
        )
    return f"{words}."


def find_better_engine(request: CalibrationRequest, calibration: Calibration) -> tuple[Engine, float] | None:
    """Return the engine that fits a badly fitted calibration's measurements better, and its largest residual then.

    None where the fit is not bad, or no other one is off by less than half as much.
    """
    worst = find_worst_residual(calibration)
    if worst <= BAD_RESIDUAL:
        return None
    found: list[tuple[float, Engine]] = []
    for engine in ENGINES:
        if engine == request.engine:
            continue
        try:
            other = find_worst_residual(calibrate(evolve(request, engine=engine)))
        except FitError:
            continue  # it takes more measurements than there are
        if 2 * other < worst:
            found.append((other, engine))
    if not found:
        return None
    least, engine = min(found)
    return engine, least
