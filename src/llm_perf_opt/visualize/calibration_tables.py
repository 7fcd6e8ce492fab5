"""The tables of a calibration: its points, and its coefficients."""

from __future__ import annotations

from llm_perf_opt.planning.time import Calibration
from llm_perf_opt.planning.time.records import COEFFICIENTS
from llm_perf_opt.visualize.table import Table


def point_table(calibration: Calibration) -> Table:
    """Return what was measured and predicted, and the ratio of the two, also of fits that leave a point out."""
    return Table(
        headers=("measurement", "role", "measured (ms)", "predicted (ms)", "ratio", "left out"),
        rows=tuple(
            (
                point.measurement_id,
                point.role,
                format_milliseconds(point.measured_seconds),
                format_milliseconds(point.predicted_seconds),
                format_ratio(point.relative_error),
                format_ratio(point.left_out_error),
            )
            for point in calibration.points
        ),
        text_columns=2,
    )


def coefficient_table(calibration: Calibration) -> Table:
    """Return the coefficients, and how each is known."""
    return Table(
        headers=("coefficient", "how it is known", "value"),
        rows=tuple(
            (
                name_coefficient(name),
                describe_origin(calibration, name),
                format_coefficient(calibration, name),
            )
            for name in COEFFICIENTS
        ),
        text_columns=2,
    )


def describe_origin(calibration: Calibration, name: str) -> str:
    """Return how a coefficient is known, and whether the measurements do not determine it."""
    return calibration.origins[name] + (", not determined" if name in calibration.undetermined else "")


def name_coefficient(name: str) -> str:
    """Return a coefficient's name in words, with the unit that it is shown in."""
    return name.replace("_seconds", " (\u03bcs)").replace("_", " ")


def format_coefficient(calibration: Calibration, name: str) -> str:
    """Return a coefficient: an efficiency as it is, a time in microseconds."""
    value: float = getattr(calibration.coefficients, name)
    if name.endswith("_efficiency"):
        return f"{value:.3f}"
    return f"{1e6 * value:,.0f}" if value >= 1e-3 else f"{1e6 * value:.4g}"


def format_milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds with four digits."""
    return f"{1000 * seconds:.4g}"


def format_ratio(error: float | None) -> str:
    """Return a relative error as the ratio of predicted to measured; a dash where there is none."""
    return "\u2013" if error is None else f"{1 + error:.2f}"
