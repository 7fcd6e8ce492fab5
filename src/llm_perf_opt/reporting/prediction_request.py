"""What every prediction is asked for beside its work, and the prediction of that work."""

from __future__ import annotations

from attrs import evolve, frozen

from llm_perf_opt.data import HardwareSpec, MemoryReserve, Prediction
from llm_perf_opt.data.hardware import Float32MatmulPrecision
from llm_perf_opt.planning.time import Calibration
from llm_perf_opt.reporting.engine import estimate_stages
from llm_perf_opt.reporting.evaluation import AS_COMPUTED, Evaluation, Storage
from llm_perf_opt.reporting.roofline import Roofline
from llm_perf_opt.reporting.work import predict
from modelmeter.model.registry import DEFAULT


@frozen(kw_only=True)
class PredictionRequest:
    """What a report of any model is asked for.

    Parameters
    ----------
    hardware
        The card.
    dtype, efficiency
        The type that is computed in, and the part of the peak rates that is reached.
    storage
        The bits that weights, activations and the cache are stored in, where they are not those of the type.
    float32_matmul_precision
        Of float32 only: ``highest`` as it is, ``high`` rounded to TF32.
    reserve
        What of the card's memory is not for the model; without it, what the card states.
    calibration
        What an engine makes of the work; None for rooflines alone.
    profile_run_id
        The run that the report belongs to, if any.
    measured_total_time_ms
        What that run took, if it is known.
    written_at
        A time of day for the notes; none keeps equal requests equal to the byte.
    """

    hardware: HardwareSpec
    dtype: str = "bfloat16"
    efficiency: float = 1.0
    storage: Storage = AS_COMPUTED
    float32_matmul_precision: Float32MatmulPrecision = "highest"
    reserve: MemoryReserve | None = None
    calibration: Calibration | None = None
    profile_run_id: str | None = None
    measured_total_time_ms: float | None = None
    written_at: str | None = None

    def make_roofline(self) -> Roofline:
        """Return the rates of the card for the type.

        Raises
        ------
        ModelMeterError
            If the card lacks something.
        """
        return Roofline(
            hardware=self.hardware, dtype=self.dtype, efficiency=self.efficiency,
            float32_matmul_precision=self.float32_matmul_precision,
        )  # fmt: skip

    def predict(self, evaluation: Evaluation, roofline: Roofline, *, model: str = DEFAULT) -> Prediction:
        """Return the time of exact work: of every operator, and with an engine of every stage.

        Raises
        ------
        ModelMeterError
            If the card lacks something, or the evaluators refuse a size.
        """
        # exact work, rates of the card -> time of every operator
        prediction = predict(evaluation, roofline, self.reserve or self.hardware.memory_reserve)
        if self.calibration is None:
            return prediction
        # exact work, rates of the card, coefficients -> time of every stage with an engine
        return evolve(prediction, estimate=estimate_stages(evaluation, roofline, self.calibration, model=model))

    def add_time(self, notes: str) -> str:
        """Return notes with the time of day, if there is one."""
        return f"{notes} Written at {self.written_at}." if self.written_at else notes
