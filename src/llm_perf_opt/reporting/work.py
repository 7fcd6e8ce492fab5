"""The work of every operator of every module, with its time: what the rest of a report is summed up from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from llm_perf_opt.data import MemoryReserve, OperatorCost, Prediction, StageCost
from llm_perf_opt.data.prediction import CostedStage
from llm_perf_opt.reporting.categories import categorize
from llm_perf_opt.reporting.evaluation import Evaluation
from llm_perf_opt.reporting.roofline import Roofline

if TYPE_CHECKING:
    from deepseek_ocr_costs import Cost


def module_id(stage: str, path: str) -> str:
    """Return the id of a module in a stage: a module that works in two stages is a node in both."""
    return f"{stage}.{path}" if path else stage


def predict(evaluation: Evaluation, roofline: Roofline, reserve: MemoryReserve | None = None) -> Prediction:
    """Return the exact work of a workload with its predicted times, and what of the card's memory is not for it.

    Raises
    ------
    RecordError
        If the card has no rate for the type, or a number is beyond 64 bits.
    """
    operators = tuple(_list_operators(evaluation, roofline))
    total = total_time(operators)
    costs: dict[CostedStage, tuple[Cost, int, float]] = {
        name: (stage.cost, stage.peak_activation_bytes, total_time(row for row in operators if row.stage == name))
        for name, stage in evaluation.stages.items()
    }
    costs["request"] = evaluation.request, evaluation.request_peak_activation_bytes, total
    stages = tuple(
        StageCost(
            stage=name, **cost._asdict(), peak_activation_bytes=peak, time_ms=time, share_of_model_time=time / total
        )
        for name, (cost, peak, time) in costs.items()
    )
    return Prediction(
        hardware=roofline.hardware,
        dtype=roofline.dtype,
        efficiency=roofline.efficiency,
        sizes=evaluation.sizes,
        stages=stages,
        operators=operators,
        float32_matmul_precision=roofline.float32_matmul_precision,
        reserve=reserve,
        last_logits=evaluation.last_logits,
    )


def total_time(operators: Iterable[OperatorCost]) -> float:
    """Return the time of operators one after the other, in milliseconds, whatever their order."""
    return math.fsum(row.time_ms for row in operators)


def _list_operators(evaluation: Evaluation, roofline: Roofline) -> Iterator[OperatorCost]:
    class_names = {module.path: module.class_name for module in evaluation.modules}
    for stage, work in evaluation.stages.items():
        for row in work.operators:
            flows = row.tensor_core_flops, row.cuda_core_flops, row.io_bits
            if not any(flows):
                continue  # never called in this workload, or with nothing to do, as a padding of no rows
            time, limit = roofline.predict(*flows)
            yield OperatorCost(
                stage=stage,
                module_id=module_id(stage, row.path),
                operator=row.operator,
                category_id=categorize(row.operator, class_names[row.path]),
                calls=row.calls,
                tensor_core_flops=row.tensor_core_flops,
                cuda_core_flops=row.cuda_core_flops,
                io_bits=row.io_bits,
                activation_bits=row.activation_bits,
                time_ms=time,
                bound_by=limit,
            )
