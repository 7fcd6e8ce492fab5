"""The fit: least squares of relative errors with bounds, and what of it the measurements determine. Needs scipy."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from llm_perf_opt.planning.time.records import COEFFICIENTS, Coefficients
from modelmeter.support.errors import ModelMeterError

Group = tuple[str, ...]
"""Coefficients that share one number."""

LEAST_EFFICIENCY: Final = 0.01
_EFFICIENCY_STARTS: Final = (0.3, 0.9)
_TIME_STARTS: Final = (0.1, 1.0)
"""Of the typical value of a time."""

TYPICAL_SECONDS: Final[Mapping[str, float]] = {
    "launch_device_seconds": 2e-6, "launch_host_seconds": 1e-5, "step_seconds": 1e-3, "sequence_seconds": 2e-5,
    "page_host_seconds": 0.1, "request_host_seconds": 1e-2,
}  # fmt: skip
"""How large each time is, roughly: the scale that the fit works in. What it finds does not depend on it."""

_OUTLIER: Final = 0.1
"""Relative errors beyond this count less and less: one measurement with something else in it does not move all."""

_STEP: Final = 1e-4
"""The relative change of a coefficient that derivatives are taken with."""

_UNSEEN: Final = 1e-6
"""A direction of the coefficients along which relative times change by less than this is not seen at all."""

_PART: Final = 1e-6
"""A coefficient that is a smaller part of a direction does not run along it."""

_LEAST_NOISE: Final = 0.02
"""Measurements are taken to be no better than this, also where a fit meets them."""

_LARGEST_ERROR: Final = 0.5
"""A coefficient with a larger relative standard error is not determined."""

_MATTERS: Final = 0.01
"""The relative change of a time that is one."""


class FitError(ModelMeterError):
    """There are too few measurements, or no fit."""


@frozen(kw_only=True)
class FitPoint:
    """A measurement as the fit sees it.

    Parameters
    ----------
    measurement_id
        Its name.
    measured_seconds
        What was measured.
    predict
        Returns what coefficients make of it.
    weight
        How much it counts, where another counts 1.
    """

    measurement_id: str
    measured_seconds: float
    predict: Callable[[Coefficients], float]
    weight: float = 1.0

    def find_residual(self, coefficients: Coefficients) -> float:
        """Return the logarithm of the predicted by the measured time."""
        return math.log(self.predict(coefficients) / self.measured_seconds)


@frozen(kw_only=True)
class Fit:
    """What a fit found.

    Parameters
    ----------
    coefficients
        The numbers, those that were not free as they were.
    undetermined
        Free coefficients whose relative standard error is above a half.
    unseen
        Those of them that could be others without any predicted time being another.
    """

    coefficients: Coefficients
    undetermined: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def fit_coefficients(
    points: Sequence[FitPoint], start: Coefficients, free: Sequence[Group], *, near: Coefficients | None = None
) -> Fit:
    """Return the coefficients that come closest to measurements.

    The sum of the squares of the logarithms of predicted by measured times is least, with a loss that grows slowly
    beyond a tenth; efficiencies are from a hundredth to 1, and times not negative.

    Parameters
    ----------
    points
        The measurements.
    start
        The coefficients that are not free.
    free
        Those that are, in groups that share a number.
    near
        Where to begin; else from a low and a high value of each of them, of which the best end counts.

    Raises
    ------
    FitError
        If scipy is missing, or there are fewer measurements than numbers.
    """
    if len(points) < len(free):
        raise FitError(
            "too few measurements for these coefficients", expected=f"at least {len(free)}", found=len(points)
        )
    solve = _find_solver()
    scales = [1.0 if is_efficiency(group[0]) else TYPICAL_SECONDS[group[0]] for group in free]

    def put(values: Sequence[float]) -> Coefficients:
        changes: dict[str, float] = {}
        for group, value, scale in zip(free, values, scales, strict=True):
            changes |= dict.fromkeys(group, min(1.0, value * scale) if is_efficiency(group[0]) else value * scale)
        return start.replace(changes)

    def residuals(values: Sequence[float]) -> list[float]:
        coefficients = put([float(value) for value in values])
        return [math.sqrt(point.weight) * point.find_residual(coefficients) for point in points]

    lower = [LEAST_EFFICIENCY if is_efficiency(group[0]) else 0.0 for group in free]
    upper = [1.0 if is_efficiency(group[0]) else math.inf for group in free]
    starts: Iterable[tuple[float, ...]]
    if near is None:
        starts = itertools.product(*(_EFFICIENCY_STARTS if is_efficiency(group[0]) else _TIME_STARTS for group in free))
    else:
        starts = [tuple(getattr(near, group[0]) / scale for group, scale in zip(free, scales, strict=True))]
    found = [
        solve(residuals, list(values), bounds=(lower, upper), loss="cauchy", f_scale=_OUTLIER, xtol=1e-12, ftol=1e-12)
        for values in starts
    ]
    best = min(found, key=lambda each: (round(float(each.cost), 9), tuple(each.x)))
    coefficients = put([float(value) for value in best.x])
    errors = _find_errors(points, coefficients, free)
    return Fit(
        coefficients=coefficients,
        undetermined=tuple(name for name, error in errors.items() if error > _LARGEST_ERROR),
        unseen=tuple(name for name, error in errors.items() if math.isinf(error)),
    )


def leave_one_out(points: Sequence[FitPoint], start: Coefficients, free: Sequence[Group]) -> list[float | None]:
    """Return what a fit on all other measurements predicts of each; None where these do not determine it.

    That is where there are too few others, or where the time hangs on a coefficient that only this measurement tells.
    """
    if len(points) <= len(free):
        return [None] * len(points)
    whole = fit_coefficients(points, start, free).coefficients
    predicted: list[float | None] = []
    for index, point in enumerate(points):
        fit = fit_coefficients([*points[:index], *points[index + 1 :]], start, free, near=whole)
        hangs = any(_hangs_on(point, fit.coefficients, group) for group in free if group[0] in fit.unseen)
        predicted.append(None if hangs else point.predict(fit.coefficients))
    return predicted


def _hangs_on(point: FitPoint, coefficients: Coefficients, group: Group) -> bool:
    """Tell whether a predicted time changes somewhere between the ends of what a coefficient may be."""
    ends = (0.1, 1.0) if is_efficiency(group[0]) else (0.0, 10 * TYPICAL_SECONDS[group[0]])
    low, high = (point.find_residual(coefficients.replace(dict.fromkeys(group, end))) for end in ends)
    return abs(high - low) > _MATTERS


def is_efficiency(name: str) -> bool:
    """Tell whether a coefficient is a part of a rate; the others are seconds."""
    return name.endswith("_efficiency")


def describe_free(free: Iterable[Group]) -> dict[str, str]:
    """Return how the coefficients that are free are known, by name: fitted, and with which others as one number."""
    return {
        name: "fitted" + (f", as one number with {', '.join(others)}" if others else "")
        for group in free
        for name in group
        for others in [[other for other in group if other != name]]
    }


def round_coefficients(coefficients: Coefficients, digits: int = 4) -> Coefficients:
    """Return coefficients with so many significant digits: more than are known, and the same on every machine."""
    return coefficients.replace({name: float(f"{getattr(coefficients, name):.{digits}g}") for name in COEFFICIENTS})


def _find_errors(points: Sequence[FitPoint], coefficients: Coefficients, free: Sequence[Group]) -> dict[str, float]:
    """Return the relative standard error of each free coefficient, from the Jacobian of relative times.

    It is infinite where a direction runs along the coefficient in which no predicted time changes.
    """
    import numpy

    columns = []
    for group in free:
        value = getattr(coefficients, group[0])
        # A time that came out as 0 is moved by what would be typical of it.
        step = _STEP * (value or TYPICAL_SECONDS[group[0]])
        changed = coefficients.replace(dict.fromkeys(group, value - step if is_efficiency(group[0]) else value + step))
        columns.append([(point.find_residual(changed) - point.find_residual(coefficients)) / _STEP for point in points])
    _, sizes, directions = numpy.linalg.svd(numpy.array(columns).T, full_matrices=True)
    residuals = [point.find_residual(coefficients) for point in points]
    # Half of the points lie closer than the median, whatever the outliers.
    noise = max(_LEAST_NOISE, statistics.median(abs(residual) for residual in residuals))
    variances = [0.0] * len(free)
    for index, direction in enumerate(directions):
        seen = float(sizes[index]) if index < len(sizes) else 0.0
        for place, part in enumerate(direction):
            if abs(float(part)) > _PART:
                variances[place] += math.inf if seen < _UNSEEN else (float(part) * noise / seen) ** 2
    return {name: math.sqrt(variance) for group, variance in zip(free, variances, strict=True) for name in group}


def _find_solver() -> Callable[..., Any]:
    try:
        from scipy.optimize import least_squares
    except ImportError as error:
        raise FitError("fitting needs scipy", found=str(error), remedy="pip install 'modelmeter[calibrate]'") from None
    solver: Callable[..., Any] = least_squares
    return solver
