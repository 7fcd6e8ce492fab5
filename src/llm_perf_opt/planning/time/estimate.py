"""The time of a stage or a step: the bound of its roofline, and beside it what a calibration makes of that."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from llm_perf_opt.data import HardwareSpec
from llm_perf_opt.data.hardware import Float32MatmulPrecision
from llm_perf_opt.planning.time.records import Calibration, Traffic
from llm_perf_opt.planning.time.roofline import find_terms
from llm_perf_opt.planning.work import StageWork

Provenance = Literal["exact", "bound", "calibrated"]
"""What a number is: counted, a limit that no card passes, or fitted on measurements."""


@frozen(kw_only=True)
class Estimate:
    """A time, what it cannot be below, and how much it may be off.

    Parameters
    ----------
    seconds
        The time of the call: of the card, and of the host where that is longer.
    bound_seconds
        The roofline at the card's peak rates, with the traffic of the engine.
    host_seconds
        What the host takes before the call to prepare its pages. It is not in ``seconds``: servers do it beside the
        card's work on others, so that it counts for the latency of a page, and for throughput only where it is longer.
    provenance
        ``calibrated``, or ``bound`` where there is no calibration and both times are the roofline.
    relative_error
        The largest relative error of the calibration on measurements that it was not fitted on; None where nothing
        tells, and of a bound.
    calibration
        The name of the calibration, if there is one.
    """

    seconds: float
    bound_seconds: float
    host_seconds: float
    provenance: Provenance
    relative_error: float | None
    calibration: str | None


def estimate_seconds(
    calibration: Calibration | None,
    card: HardwareSpec,
    work: StageWork,
    *,
    dtype: str = "bfloat16",
    float32_matmul_precision: Float32MatmulPrecision = "highest",
) -> Estimate:
    """Return how long a call of a stage, or a step, takes.

    Parameters
    ----------
    calibration
        The coefficients; None for the roofline with the traffic of every operator alone.
    card
        The peak rates.
    work
        The exact work, by operator.
    dtype, float32_matmul_precision
        What matrices are multiplied in.

    Raises
    ------
    RecordError
        If the card has no rate for the type.
    """
    used = None if calibration is None else calibration.find_coefficients(looks_at_pages=work.looks_at_pages)
    traffic: Traffic = "eager" if used is None else used.traffic
    terms = find_terms(work, card, traffic, dtype=dtype, float32_matmul_precision=float32_matmul_precision)
    if calibration is None or used is None:
        return Estimate(
            seconds=terms.bound_seconds, bound_seconds=terms.bound_seconds, host_seconds=0.0, provenance="bound",
            relative_error=None, calibration=None,
        )  # fmt: skip
    return Estimate(
        seconds=terms.wall_seconds(used),
        bound_seconds=terms.bound_seconds,
        host_seconds=calibration.coefficients.page_host_seconds * terms.host_pages,
        provenance="calibrated",
        relative_error=calibration.worst_error,
        calibration=calibration.name,
    )
