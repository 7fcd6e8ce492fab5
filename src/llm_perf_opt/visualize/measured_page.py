"""The page that compares public measurements with what is predicted of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from llm_perf_opt.planning.measured.memory import predict_memory
from llm_perf_opt.planning.measured.predict import find_condition_terms
from llm_perf_opt.planning.measured.records import Condition, Measurement, read_conditions, read_measurements
from llm_perf_opt.planning.time import Calibration, CalibrationPoint, list_calibrations, load_calibration
from llm_perf_opt.planning.time.records import COEFFICIENTS
from llm_perf_opt.visualize.calibration_tables import (
    describe_origin,
    format_coefficient,
    format_milliseconds,
    format_ratio,
    name_coefficient,
)
from llm_perf_opt.visualize.environment import make_environment
from llm_perf_opt.visualize.table import Table

HEADER: Final = "<!-- Written by `python -m llm_perf_opt.runners.write_measured_page`; do not edit. -->\n"

LARGEST_MEDIAN: Final = 0.15
LARGEST_ERROR: Final = 0.35
"""What the errors of a class have to stay below to be called met."""


@frozen(kw_only=True)
class _Row:
    """A measured time with what is known of it."""

    measurement: Measurement
    condition: Condition
    point: CalibrationPoint
    bound_seconds: float


def render_measured_page() -> str:
    """Return the page, from the shipped measurements and calibrations: the same bytes on every machine."""
    calibrations = [load_calibration(name) for name in list_calibrations()]
    rows = {each.name: list(_list_rows(each)) for each in calibrations}
    everything = [row for group in rows.values() for row in group]
    return (
        make_environment()
        .get_template("measured.md.jinja")
        .render(
            header=HEADER,
            classes=_class_table(calibrations).to_markdown(),
            largest_median=f"{100 * LARGEST_MEDIAN:.0f} %",
            largest_error=f"{100 * LARGEST_ERROR:.0f} %",
            calibrations=[
                {
                    "name": each.name,
                    "source": each.source,
                    "notes": " ".join(each.notes.split()),
                    "table": _time_table(rows[each.name]).to_markdown() if rows[each.name] else "",
                }
                for each in calibrations
            ],
            failures=[
                {
                    "id": row.measurement.id,
                    "ratio": format_ratio(row.point.relative_error),
                    "why": row.condition.failure,
                }
                for row in everything
                if row.condition.failure
            ],
            memory=_memory_table().to_markdown(),
            left=[
                {
                    "id": measurement.id,
                    "what": measurement.measured_what,
                    "gpu": measurement.gpu,
                    "why": condition.reading,
                }
                for measurement, condition in _pair()
                if condition.quantity == "not predicted"
            ],
            coefficients=_coefficient_table(calibrations).to_markdown(),
            origins=_origin_table(calibrations).to_markdown(),
            sources=_source_table().to_markdown(),
        )
    )


def _pair() -> Iterator[tuple[Measurement, Condition]]:
    measurements = read_measurements()
    for condition in read_conditions():
        yield measurements[condition.measurement_id], condition


def _list_rows(calibration: Calibration) -> Iterator[_Row]:
    points = {point.measurement_id: point for point in calibration.points}
    for measurement, condition in _pair():
        if condition.calibration == calibration.name:
            terms = find_condition_terms(condition, calibration.coefficients.traffic, calibration.page_coefficients)
            yield _Row(
                measurement=measurement,
                condition=condition,
                point=points[measurement.id],
                bound_seconds=terms.bound_seconds,
            )


def _class_table(calibrations: Sequence[Calibration]) -> Table:
    return Table(
        headers=(
            "engine",
            "memory",
            "verdict",
            "fitted",
            "checked",
            "median",
            "largest",
            "left out: median",
            "left out: largest",
        ),
        rows=tuple(
            (
                each.engine,
                str(each.memory_class),
                _judge(each),
                str(len(each.fitted)),
                str(len(each.checked)),
                _percent(each.median_error),
                _percent(each.worst_error),
                _percent(statistics.median(each.left_out_errors) if each.left_out_errors else None),
                _percent(max(each.left_out_errors, default=None)),
            )
            for each in calibrations
        ),
        text_columns=3,
    )


def _judge(calibration: Calibration) -> str:
    median, worst = calibration.median_error, calibration.worst_error
    if median is None or worst is None:
        return "not known: no point"
    return "met" if median <= LARGEST_MEDIAN and worst <= LARGEST_ERROR else "missed"


def _time_table(rows: Sequence[_Row]) -> Table:
    return Table(
        headers=("measurement", "what", "role", "measured (ms)", "predicted (ms)", "ratio", "left out", "bound (ms)"),
        rows=tuple(
            (
                row.measurement.id,
                row.measurement.measured_what,
                row.point.role,
                format_milliseconds(row.point.measured_seconds),
                format_milliseconds(row.point.predicted_seconds),
                format_ratio(row.point.relative_error),
                format_ratio(row.point.left_out_error),
                format_milliseconds(row.bound_seconds),
            )
            for row in rows
        ),
        text_columns=3,
    )


def _memory_table() -> Table:
    rows = []
    for measurement, condition in _pair():
        if condition.quantity in ("weight bytes", "cache tokens"):
            predicted = predict_memory(condition)
            rows.append(
                (
                    measurement.id,
                    measurement.measured_what,
                    measurement.unit,
                    f"{measurement.value:,.0f}",
                    f"{predicted:,}",
                    f"{predicted / measurement.value:.4f}",
                )
            )
    headers = ("measurement", "what", "unit", "measured", "exact", "ratio")
    return Table(headers=headers, rows=tuple(rows), text_columns=3)


def _coefficient_table(calibrations: Sequence[Calibration]) -> Table:
    return Table(
        headers=("coefficient", *(each.name for each in calibrations)),
        rows=(
            ("traffic", *(each.coefficients.traffic for each in calibrations)),
            *(
                (
                    name_coefficient(name),
                    *(format_coefficient(each, name) for each in calibrations),
                )
                for name in COEFFICIENTS
            ),
        ),
    )


def _origin_table(calibrations: Sequence[Calibration]) -> Table:
    return Table(
        headers=("coefficient", *(each.name for each in calibrations)),
        rows=tuple(
            (
                name.removesuffix("_seconds").replace("_", " "),
                *(describe_origin(each, name) for each in calibrations),
            )
            for name in COEFFICIENTS
        ),
        text_columns=1 + len(calibrations),
    )


def _source_table() -> Table:
    return Table(
        headers=("measurement", "card", "software", "read as", "source", "date"),
        rows=tuple(
            (
                measurement.id,
                measurement.gpu or "\u2013",
                measurement.framework,
                condition.reading,
                f"{measurement.source}: {measurement.locator}",
                measurement.date,
            )
            for measurement, condition in _pair()
        ),
        text_columns=6,
    )


def _percent(error: float | None) -> str:
    return "\u2013" if error is None else f"{100 * error:.1f} %"
