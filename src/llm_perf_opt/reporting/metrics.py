"""What each module costs itself, in the units of the first specification and, exactly, in plain ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from llm_perf_opt.data import ModuleMetricsSnapshot, OperatorCost, OperatorMetrics, Prediction
from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.reporting.evaluation import Evaluation
from llm_perf_opt.reporting.work import module_id, total_time

TERA: Final = 10**12
GIBIBYTE: Final = 2**30


def measure_modules(
    evaluation: Evaluation, prediction: Prediction, profile_id: str
) -> tuple[ModuleMetricsSnapshot, ...]:
    """Return a snapshot of every module that has operators or holds anything itself; together they are the model."""
    rows: defaultdict[str, list[OperatorCost]] = defaultdict(list)
    for row in prediction.operators:
        rows[row.module_id].append(row)
    held = {
        module_id(name, state.path): (state.weight_bits, state.kv_cache_bits)
        for name, stage in evaluation.stages.items()
        for state in stage.states
    }
    total = prediction.stage("request").time_ms
    return tuple(
        _measure(identity, rows[identity], *held.get(identity, (0, 0)), profile_id=profile_id, total=total)
        for identity in dict.fromkeys((*rows, *held))
    )


def _measure(
    identity: str,
    rows: Sequence[OperatorCost],
    weight_bits: Rational,
    kv_cache_bits: Rational,
    *,
    profile_id: str,
    total: float,
) -> ModuleMetricsSnapshot:
    time = total_time(rows)
    activation_bits = sum(row.activation_bits for row in rows)
    return ModuleMetricsSnapshot(
        module_id=identity,
        profile_id=profile_id,
        calls=sum(row.calls for row in rows),
        total_time_ms=time,
        total_flops_tflops=_flops(rows) / TERA,
        total_io_tb=float(_bits(rows) / TERA),
        memory_weights_gb=float(weight_bits / (8 * GIBIBYTE)),
        memory_activations_gb=float(activation_bits / (8 * GIBIBYTE)),
        memory_kvcache_gb=float(kv_cache_bits / (8 * GIBIBYTE)),
        share_of_model_time=time / total,
        operator_breakdown=break_down(rows),
        flops=_flops(rows),
        io_bytes=to_bytes(_bits(rows)),
        weight_bytes=to_bytes(weight_bits),
        activation_bytes=to_bytes(activation_bits),
        kv_cache_bytes=to_bytes(kv_cache_bits),
    )


def break_down(rows: Sequence[OperatorCost]) -> tuple[OperatorMetrics, ...]:
    """Return the work of operators by category, in the order in which the categories appear.

    Operators without any FLOPs have their shares by what they read and write.
    """
    by_category: defaultdict[str, list[OperatorCost]] = defaultdict(list)
    for row in rows:
        by_category[row.category_id].append(row)
    weigh = _flops if _flops(rows) else _bits
    return tuple(
        OperatorMetrics(
            category_id=category_id,
            calls=sum(row.calls for row in members),
            flops_tflops=_flops(members) / TERA,
            io_tb=float(_bits(members) / TERA),
            share_of_module_flops=float(weigh(members) / weigh(rows)),
            flops=_flops(members),
            io_bytes=to_bytes(_bits(members)),
        )
        for category_id, members in by_category.items()
    )


def to_bytes(bits: Rational) -> int:
    """Return bits in bytes, rounded up."""
    return -(-bits // 8)


def _flops(rows: Sequence[OperatorCost]) -> int:
    return sum(row.tensor_core_flops + row.cuda_core_flops for row in rows)


def _bits(rows: Sequence[OperatorCost]) -> Rational:
    return sum(row.io_bits for row in rows)
