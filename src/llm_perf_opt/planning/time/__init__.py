"""How long stages and steps take: exact work, the rates of a card, and a few coefficients that measurements give."""

from __future__ import annotations

from llm_perf_opt.planning.time.choose import (
    ENGINES,
    choose_calibration,
    describe_choice,
    list_calibrations,
    load_calibration,
)
from llm_perf_opt.planning.time.estimate import Estimate, estimate_seconds
from llm_perf_opt.planning.time.records import Calibration, CalibrationPoint, Coefficients, FittedRange

__all__ = [
    "ENGINES",
    "Calibration",
    "CalibrationPoint",
    "Coefficients",
    "Estimate",
    "FittedRange",
    "choose_calibration",
    "describe_choice",
    "estimate_seconds",
    "list_calibrations",
    "load_calibration",
]
