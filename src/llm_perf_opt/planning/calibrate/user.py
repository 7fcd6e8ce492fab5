"""A calibration from a user's own measurements: as many coefficients as they determine, and no more."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

from llm_perf_opt.data import HardwareSpec
from llm_perf_opt.data.hardware import DTYPE_BITS, Float32MatmulPrecision
from llm_perf_opt.planning.calibrate.fit import (
    FitError,
    FitPoint,
    Group,
    describe_free,
    fit_coefficients,
    leave_one_out,
    round_coefficients,
)
from llm_perf_opt.planning.calibrate.table import MeasuredCall
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.measured.predict import list_call_work
from llm_perf_opt.planning.time import Calibration, CalibrationPoint, FittedRange, list_calibrations, load_calibration
from llm_perf_opt.planning.time.records import COEFFICIENTS, Engine
from llm_perf_opt.planning.time.roofline import CallTerms, find_terms

_PRODUCTS, _ATTENTION, _OTHER = "matrix_product_efficiency", "attention_efficiency", "other_efficiency"

FORMS: Final[Mapping[Engine, tuple[tuple[Group, ...], ...]]] = {
    "eager": (
        ((_PRODUCTS,), (_ATTENTION,), (_OTHER,), ("launch_device_seconds",), ("launch_host_seconds",)),
        ((_PRODUCTS, _ATTENTION), (_OTHER,), ("launch_device_seconds",), ("launch_host_seconds",)),
        ((_PRODUCTS, _ATTENTION, _OTHER), ("launch_device_seconds",), ("launch_host_seconds",)),
        ((_PRODUCTS, _ATTENTION, _OTHER), ("launch_host_seconds",)),
    ),
    "graphs": (
        ((_PRODUCTS, _OTHER), (_ATTENTION,), ("step_seconds",), ("sequence_seconds",)),
        ((_PRODUCTS, _ATTENTION, _OTHER), ("step_seconds",), ("sequence_seconds",)),
        ((_PRODUCTS, _ATTENTION, _OTHER), ("step_seconds",)),
    ),
}  # fmt: skip
"""What is fitted of an engine, the richest form first: that counts which predicts best what it has not seen."""

_NOT_PREDICTED: Final = 1.0
"""The error of what the other measurements do not determine, as a logarithm."""


@frozen(kw_only=True)
class CalibrationRequest:
    """What a calibration is asked for.

    Parameters
    ----------
    name
        What it is to be called.
    calls
        The measurements.
    card
        The card that they are of.
    engine
        How kernels were started.
    served
        The model, at the widths of the type.
    dtype, float32_matmul_precision
        What was computed in.
    source
        Where the measurements are from.
    """

    name: str
    calls: Sequence[MeasuredCall]
    card: HardwareSpec
    engine: Engine
    served: ServedModel
    dtype: str
    float32_matmul_precision: Float32MatmulPrecision
    source: str


def serve_in(model: str, dtype: str) -> ServedModel:
    """Return a model with everything stored in the type that is computed in."""
    bits = DTYPE_BITS[dtype]
    return ServedModel(model=model, bits={"weight_bits": bits, "activation_bits": bits, "kv_bits": bits})


def calibrate(request: CalibrationRequest, begin: Callable[[str], None] = lambda step: None) -> Calibration:
    """Return the calibration that measurements give.

    Parameters
    ----------
    request
        What is asked for.
    begin
        Is told each step of the work.

    Raises
    ------
    FitError
        If there are too few measurements, or scipy is missing.
    WorkloadError
        If the evaluators refuse a size.
    RecordError
        If the card has no rate for the type.
    """
    begin("count the exact work")
    base = _find_base(request)
    calls = [(call, _find_call_terms(call, request, base)) for call in request.calls]
    sees_pages = any(terms.looks_at_pages for _, terms in calls)
    points = [
        FitPoint(measurement_id=call.name, measured_seconds=call.seconds, predict=terms.wall_seconds)
        for call, terms in calls
    ]
    begin("leave each measurement out in turn")
    free, left_out = _choose_form(points, base, request.engine)
    begin("fit the coefficients")
    fit = fit_coefficients(points, base.coefficients, free)
    coefficients = round_coefficients(fit.coefficients)
    return Calibration(
        name=request.name,
        engine=request.engine,
        memory_class=request.card.memory_class,
        cards=(request.card.hardware_id,),
        dtype=request.dtype,
        source=request.source,
        coefficients=coefficients,
        # What was not measured is as in the shipped calibration.
        page_coefficients=None if sees_pages else base.page_coefficients,
        origins=_list_origins(free, base),
        undetermined=fit.undetermined,
        fitted_range=tuple(_find_ranges(calls)),
        points=tuple(
            CalibrationPoint(
                measurement_id=point.measurement_id,
                role="fitted",
                measured_seconds=point.measured_seconds,
                predicted_seconds=point.predict(coefficients),
                left_out_seconds=without,
            )
            for point, without in zip(points, left_out, strict=True)
        ),
        notes="Fitted on all measurements; its errors are those of fits that leave each of them out in turn.",
    )


def _find_base(request: CalibrationRequest) -> Calibration:
    """Return the shipped calibration whose other coefficients are kept: of the card's memory class, if there is one."""
    shipped = [load_calibration(name) for name in list_calibrations()]
    engines = [each for each in shipped if each.engine == request.engine]
    alike = [each for each in engines if each.memory_class == request.card.memory_class]
    return (alike or engines)[0]


def _find_call_terms(call: MeasuredCall, request: CalibrationRequest, base: Calibration) -> CallTerms:
    return find_terms(
        list_call_work(call.stage, call.sizes, request.served),
        request.card,
        base.coefficients.traffic,
        dtype=request.dtype,
        float32_matmul_precision=request.float32_matmul_precision,
    )


def _choose_form(
    points: Sequence[FitPoint], base: Calibration, engine: Engine
) -> tuple[tuple[Group, ...], list[float | None]]:
    """Return the form that predicts best what is left out of its fit, and what it predicts; the poorer of equals."""
    least = len(FORMS[engine][-1]) + 1
    if len(points) < least:
        raise FitError(
            "too few measurements for a calibration", expected=f"at least {least} calls of different sizes or stages",
            found=len(points), remedy="measure calls of which some are short and some long",
        )  # fmt: skip
    left_out = {
        free: leave_one_out(points, base.coefficients, free) for free in FORMS[engine] if len(points) > len(free)
    }

    def judge(free: tuple[Group, ...]) -> tuple[float, int]:
        pairs = zip(points, left_out[free], strict=True)
        errors = [
            _NOT_PREDICTED if time is None else abs(math.log(time / each.measured_seconds)) for each, time in pairs
        ]
        return round(statistics.fmean(errors), 4), len(free)

    best = min(left_out, key=judge)
    return best, left_out[best]


def _list_origins(free: Iterable[Group], base: Calibration) -> dict[str, str]:
    taken = {name: f"taken over from {base.name}" for name in COEFFICIENTS if getattr(base.coefficients, name)}
    return {**base.origins, **taken, **describe_free(free)}


def _find_ranges(calls: Sequence[tuple[MeasuredCall, CallTerms]]) -> Iterable[FittedRange]:
    for name in ("sequences", "launches", "bound_seconds"):
        values = [getattr(terms, name) for _, terms in calls]
        yield FittedRange(name=name, smallest=min(values), largest=max(values))
