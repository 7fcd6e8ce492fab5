"""What coefficients, and exact counts, say about public measurements."""

from __future__ import annotations

from attrs import frozen

from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.measured.records import STEP, Condition, Part
from llm_perf_opt.planning.time.records import Coefficients, Traffic
from llm_perf_opt.planning.time.roofline import CallTerms, find_terms
from llm_perf_opt.planning.work import OperatorWork, StageWork


@frozen(kw_only=True)
class ConditionTerms:
    """The terms of the calls of a measured time, each with how many of them there are."""

    condition: Condition
    calls: tuple[tuple[CallTerms, Rational], ...]

    def predict_seconds(self, coefficients: Coefficients) -> float:
        """Return what coefficients make of the measured time."""
        quantity = self.condition.quantity
        if quantity == "time per launch":
            seconds = sum(call.device_seconds(coefficients) * float(count) for call, count in self.calls)
            return seconds / sum(call.launches * float(count) for call, count in self.calls)
        if quantity == "device time":
            return sum(call.device_seconds(coefficients) * float(count) for call, count in self.calls)
        seconds = sum(call.wall_seconds(coefficients) * float(count) for call, count in self.calls)
        if quantity == "latency":
            pages = sum(call.host_pages for call, _ in self.calls)
            seconds += coefficients.page_host_seconds * pages
            seconds += coefficients.request_host_seconds * self.condition.requests
        return seconds

    @property
    def bound_seconds(self) -> float:
        """The roofline of the measured calls."""
        seconds = sum(call.bound_seconds * float(count) for call, count in self.calls)
        if self.condition.quantity == "time per launch":
            return seconds / sum(call.launches * float(count) for call, count in self.calls)
        return seconds


def find_condition_terms(condition: Condition, traffic: Traffic) -> ConditionTerms:
    """Return the terms of a measured time on its card.

    Raises
    ------
    RecordError
        If the condition is of no time, or names no card.
    """
    if not condition.is_time or condition.card is None:
        raise RecordError("this is no time on a card", place=condition.measurement_id, found=condition.quantity)
    card = find_hardware(condition.card)
    return ConditionTerms(
        condition=condition,
        calls=tuple(
            (find_terms(list_part_work(part, condition.model), card, traffic, dtype=condition.dtype), part.count)
            for part in condition.parts
        ),
    )


def list_part_work(part: Part, model: str) -> StageWork:
    """Return the exact work of a part of a measurement, from the evaluators or as it is written.

    Raises
    ------
    WorkloadError
        If the evaluators refuse a size.
    """
    if part.written:
        operators = tuple(
            OperatorWork(
                kind=row.kind, tensor_core_flops=row.tensor_core_flops, cuda_core_flops=0, io_bytes=row.io_bytes,
                fused_io_bytes=row.io_bytes, launches=float(row.launches),
            )
            for row in part.written
        )  # fmt: skip
        return StageWork(stage=part.stage, operators=operators)
    served = ServedModel(model=model)
    if part.stage == STEP:
        return served.list_step_work(part.sizes["batch_size"], part.sizes["context_tokens"], modules=part.modules)
    return served.list_stage_work(part.stage, modules=part.modules, **part.sizes)
