"""Small predictions written by hand, for tests that need one definite card or one definite sum of operators."""

from __future__ import annotations

from typing import Any

from llm_perf_opt.data import (
    ActivationMemory,
    HardwareSource,
    HardwareSpec,
    MemoryReserve,
    OperatorCost,
    Prediction,
    StageCost,
)
from llm_perf_opt.data.prediction import EngineEstimate, StageEstimate


def make_hardware(**changes: Any) -> HardwareSpec:
    """A card of 7000 tensor FLOP, 30 other FLOP and 200 bytes a second."""
    fields: dict[str, Any] = {
        "hardware_id": "abacus",
        "name": "An abacus",
        "tensor_flops_per_second": {"bfloat16": 7000.0, "int8": 11000.0},
        "vector_flops_per_second": 30.0,
        "memory_bytes_per_second": 200.0,
        "memory_bytes": 1000,
        "sources": [HardwareSource(title="Beads", year=1987, states="everything")],
        "reserve": MemoryReserve(reserve_gib=0.0, reason="beads need no driver"),
        "memory_class": "LPDDR",
        "visible_gib": 1000 / 2**30,
        "link_bytes_per_second": 17.0,
    }
    return HardwareSpec(**(fields | changes))


def make_operator(**changes: Any) -> OperatorCost:
    """An operator of the module ``leaf`` in the decode stage."""
    fields: dict[str, Any] = {
        "stage": "decode",
        "module_id": "leaf",
        "operator": "Linear",
        "category_id": "linear",
        "calls": 3,
        "tensor_core_flops": 1400,
        "cuda_core_flops": 6,
        "io_bits": 163,
        "activation_bits": 77,
        "time_ms": 400.0,
        "bound_by": "tensor_cores",
    }
    return OperatorCost(**(fields | changes))


def make_stage(stage: str, **changes: Any) -> StageCost:
    """A stage without any work."""
    fields: dict[str, Any] = {
        "stage": stage,
        "tensor_core_flops": 0,
        "cuda_core_flops": 0,
        "io_bytes": 0,
        "weight_bytes": 17,
        "activation_bytes": 19,
        "kv_cache_bytes": 23,
        "peak_activation_bytes": 7,
        "time_ms": 0.0,
        "share_of_model_time": 0.0,
    }
    return StageCost(**(fields | changes))


def make_prediction(**changes: Any) -> Prediction:
    """Two operators in decode and one in vision.

    FLOPs: 1400 + 100 = 1500 and 6 + 5 = 11 in decode, 13 and 2 in vision. Bits: 163 + 29 = 192, which is 24 bytes,
    and 83, which is 10.375, rounded up to 11; together 275 bits, which is 34.375, rounded up to 35.
    """
    fields: dict[str, Any] = {
        "hardware": make_hardware(),
        "dtype": "bfloat16",
        "efficiency": 0.75,
        "reserve": MemoryReserve(reserve_gib=0.5, reason="a hand to count with"),
        "sizes": {"batch_size": 1, "seq_len": 513},
        "last_logits": ActivationMemory(logits_tokens=1, activation_bytes=17, peak_activation_bytes=5),
        "stages": [
            make_stage("vision", tensor_core_flops=13, cuda_core_flops=2, io_bytes=11),
            make_stage("decode", tensor_core_flops=1500, cuda_core_flops=11, io_bytes=24),
            make_stage("request", tensor_core_flops=1513, cuda_core_flops=13, io_bytes=35, share_of_model_time=1.0),
        ],
        "operators": [
            make_operator(),
            make_operator(operator="add", tensor_core_flops=100, cuda_core_flops=5, io_bits=29),
            make_operator(
                stage="vision", module_id="right", tensor_core_flops=13, cuda_core_flops=2, io_bits=83,
                bound_by="memory",
            ),
        ],
    }  # fmt: skip
    return Prediction(**({"estimate": make_estimate()} | fields | changes))


def make_estimate() -> EngineEstimate:
    """A stage of 7 ms, of which 3 are the least, and 5 of the host not included."""
    return EngineEstimate(
        traffic="eager",
        calibration="beads",
        engine="eager",
        relative_error=0.25,
        description="counted on one abacus",
        stages=(StageEstimate(stage="request", time_ms=7.0, bound_ms=3.0, host_ms=5.0),),
    )
