"""What coefficients, and exact counts, say about public measurements."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    """The terms of the calls of a measured time, each with how many of them there are.

    Parameters
    ----------
    condition
        What was measured.
    calls
        The terms of each call, and how many such calls there are.
    page_coefficients
        Those of calls that look at pages, where these are others.
    """

    condition: Condition
    calls: tuple[tuple[CallTerms, Rational], ...]
    page_coefficients: Coefficients | None = None

    def predict_seconds(self, coefficients: Coefficients) -> float:
        """Return what coefficients make of the measured time; calls that look at pages have theirs, if there are."""

        def add_up(time: Callable[[CallTerms, Coefficients], float]) -> float:
            return sum(time(call, self._choose(call, coefficients)) * float(count) for call, count in self.calls)

        quantity = self.condition.quantity
        if quantity == "time per launch":
            return add_up(CallTerms.device_seconds) / self._count_launches()
        if quantity == "device time":
            return add_up(CallTerms.device_seconds)
        seconds = add_up(CallTerms.wall_seconds)
        if quantity == "latency":
            seconds += coefficients.page_host_seconds * sum(call.host_pages for call, _ in self.calls)
            seconds += coefficients.request_host_seconds * self.condition.requests
        return seconds

    @property
    def bound_seconds(self) -> float:
        """The roofline of the measured calls."""
        seconds = sum(call.bound_seconds * float(count) for call, count in self.calls)
        return seconds / self._count_launches() if self.condition.quantity == "time per launch" else seconds

    def _choose(self, call: CallTerms, coefficients: Coefficients) -> Coefficients:
        return coefficients if not call.looks_at_pages or self.page_coefficients is None else self.page_coefficients

    def _count_launches(self) -> float:
        return sum(call.launches * float(count) for call, count in self.calls)


def find_condition_terms(
    condition: Condition, traffic: Traffic, page_coefficients: Coefficients | None = None
) -> ConditionTerms:
    """Return the terms of a measured time on its card.

    Parameters
    ----------
    condition
        What was measured.
    traffic
        Of the calls.
    page_coefficients
        Those of calls that look at pages, with their traffic, where these are others.

    Raises
    ------
    RecordError
        If the condition is of no time, or names no card.
    """
    if not condition.is_time or condition.card is None:
        raise RecordError("this is no time on a card", place=condition.measurement_id, found=condition.quantity)
    card, served = find_hardware(condition.card), ServedModel(model=condition.model)

    def find_part_terms(part: Part) -> CallTerms:
        work = list_part_work(part, served)
        used = page_coefficients.traffic if work.looks_at_pages and page_coefficients is not None else traffic
        return find_terms(work, card, used, dtype=condition.dtype)

    return ConditionTerms(
        condition=condition,
        calls=tuple((find_part_terms(part), part.count) for part in condition.parts),
        page_coefficients=page_coefficients,
    )


def list_part_work(part: Part, served: ServedModel) -> StageWork:
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
    return list_call_work(part.stage, part.sizes, served, modules=part.modules)


def list_call_work(stage: str, sizes: Mapping[str, int], served: ServedModel, *, modules: str = "*") -> StageWork:
    """Return the exact work of a call of a stage, or of a ``step`` of ``batch_size`` with ``context_tokens`` in all.

    Raises
    ------
    WorkloadError
        If the evaluators refuse a size.
    """
    if stage == STEP:
        return served.list_step_work(sizes["batch_size"], sizes["context_tokens"], modules=modules)
    return served.list_stage_work(stage, modules=modules, **sizes)
