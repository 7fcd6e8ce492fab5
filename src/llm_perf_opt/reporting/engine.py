"""The times of the stages with an engine: what a calibration makes of the exact work of a workload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llm_perf_opt.data.prediction import EngineEstimate, RunStage, StageEstimate
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.step_work import list_mean_work
from llm_perf_opt.planning.time import Calibration, describe_choice, estimate_seconds
from llm_perf_opt.planning.work import StageWork
from llm_perf_opt.reporting.evaluation import Evaluation
from llm_perf_opt.reporting.roofline import Roofline
from modelmeter.model.registry import DEFAULT

_BITS = ("weight_bits", "activation_bits", "kv_bits")


def estimate_stages(
    evaluation: Evaluation, roofline: Roofline, calibration: Calibration, *, model: str = DEFAULT
) -> EngineEstimate:
    """Return how long the stages of a workload take with an engine.

    Parameters
    ----------
    evaluation
        The workload; its pages are one batch.
    roofline
        The card, and the type that is computed in.
    calibration
        The coefficients of the engine.
    model
        The name of the registered model that was evaluated.

    Raises
    ------
    RecordError
        If the card has no rate for the type.
    WorkloadError
        If the evaluators refuse a size.
    """
    stages = []
    for stage, calls in _list_calls(evaluation, model):
        estimates = [
            (
                count,
                estimate_seconds(
                    calibration, roofline.hardware, work, dtype=roofline.dtype,
                    float32_matmul_precision=roofline.float32_matmul_precision,
                ),
            )
            for work, count in calls
        ]  # fmt: skip
        stages.append(
            StageEstimate(
                stage=stage,
                time_ms=1000 * sum(count * each.seconds for count, each in estimates),
                bound_ms=1000 * sum(count * each.bound_seconds for count, each in estimates),
                host_ms=1000 * sum(count * each.host_seconds for count, each in estimates),
            )
        )
    request = StageEstimate(
        stage="request",
        time_ms=sum(each.time_ms for each in stages),
        bound_ms=sum(each.bound_ms for each in stages),
        host_ms=sum(each.host_ms for each in stages),
    )
    return EngineEstimate(
        calibration=calibration.name,
        engine=calibration.engine,
        traffic=calibration.coefficients.traffic,
        relative_error=calibration.worst_error,
        description=describe_choice(calibration, roofline.hardware),
        stages=(*stages, request),
    )


def _list_calls(evaluation: Evaluation, model: str) -> Iterator[tuple[RunStage, list[tuple[StageWork, int]]]]:
    """Yield the stages with the work of their calls, and how many such calls there are.

    The steps of a batch are as many as its tokens. Their work is linear in the step, before a window of attention is
    full and after it, so that the mean of each of both is exact for the work; and for the time, where no operator
    changes what it waits for in between.
    """
    sizes = evaluation.sizes
    served = ServedModel(model=model, bits={name: sizes[name] for name in _BITS})
    names = served.serving
    for stage in evaluation.stages:
        if stage != names.step_stage:
            given: dict[str, Any] = {name: size for name, size in sizes.items() if name not in _BITS}
            yield stage, [(served.list_stage_work(stage, **given), 1)]
            continue
        steps, batch_size = int(sizes[names.steps]), int(sizes[names.batch_size])
        prompt = 0 if names.seq_len is None else sizes[names.seq_len]
        runs = served.step_lines.find(int(prompt), steps)
        yield stage, [(list_mean_work(served, batch_size, [run.sum]), run.count) for run in runs]
