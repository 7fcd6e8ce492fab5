"""What the time of a call is made of: the roofline of its operators by kind, its launches, its sequences, its pages."""

from __future__ import annotations

import math
from collections.abc import Iterable

from attrs import frozen

from llm_perf_opt.data import HardwareSpec
from llm_perf_opt.data.hardware import Float32MatmulPrecision
from llm_perf_opt.planning.time.records import Coefficients, Traffic
from llm_perf_opt.planning.work import OperatorKind, OperatorWork, StageWork


@frozen(kw_only=True)
class CallTerms:
    """The terms of a call of a stage, or of a step, on a card: what coefficients multiply or divide.

    Parameters
    ----------
    matrix_product_seconds, attention_seconds, other_seconds
        The rooflines of the operators of a kind at peak rates, one after the other.
    launches
        How many operators are started, as expected.
    sequences, host_pages, looks_at_pages
        As of the work.
    """

    matrix_product_seconds: float
    attention_seconds: float
    other_seconds: float
    launches: float
    sequences: int
    host_pages: int
    looks_at_pages: bool = False

    @property
    def bound_seconds(self) -> float:
        """The roofline of all operators."""
        return self.matrix_product_seconds + self.attention_seconds + self.other_seconds

    def device_seconds(self, coefficients: Coefficients) -> float:
        """Return the time of the kernels on the card, as a profiler adds it up."""
        return (
            self.matrix_product_seconds / coefficients.matrix_product_efficiency
            + self.attention_seconds / coefficients.attention_efficiency
            + self.other_seconds / coefficients.other_efficiency
            + coefficients.launch_device_seconds * self.launches
        )

    def wall_seconds(self, coefficients: Coefficients) -> float:
        """Return the time of the call: that of the card, or of the host that starts its kernels, if it is longer."""
        on_card = (
            coefficients.step_seconds
            + coefficients.sequence_seconds * self.sequences
            + self.device_seconds(coefficients)
        )
        return max(on_card, coefficients.launch_host_seconds * self.launches)


def find_terms(
    work: StageWork,
    card: HardwareSpec,
    traffic: Traffic,
    *,
    dtype: str = "bfloat16",
    float32_matmul_precision: Float32MatmulPrecision = "highest",
) -> CallTerms:
    """Return the terms of some work on a card.

    Raises
    ------
    RecordError
        If the card has no rate for the type.
    """
    peak, _ = card.matrix_peak(dtype, float32_matmul_precision)
    run = [row for row in work.operators if is_run(row, traffic)]

    def add_up(kind: OperatorKind) -> float:
        return math.fsum(bound_operator(row, card, peak, traffic) for row in run if row.kind == kind)

    return CallTerms(
        matrix_product_seconds=add_up("matrix product"),
        attention_seconds=add_up("attention"),
        other_seconds=add_up("other"),
        launches=_count_launches(run),
        sequences=work.sequences,
        host_pages=work.host_pages,
        looks_at_pages=work.looks_at_pages,
    )


def is_run(row: OperatorWork, traffic: Traffic) -> bool:
    """Tell whether an operator is there at all: what is fused into its neighbours takes no time of its own."""
    return traffic == "eager" or row.kind != "other" or bool(row.fused_io_bytes)


def bound_operator(row: OperatorWork, card: HardwareSpec, peak: float, traffic: Traffic) -> float:
    """Return the roofline of an operator in seconds: the longer of its arithmetic and its traffic.

    Parameters
    ----------
    peak
        The rate of matrix products of the card, in FLOP/s.
    """
    arithmetic = float(row.tensor_core_flops) / peak + float(row.cuda_core_flops) / card.vector_flops_per_second
    moved = row.io_bytes if traffic == "eager" else row.fused_io_bytes
    return max(arithmetic, float(moved) / card.memory_bytes_per_second)


def _count_launches(operators: Iterable[OperatorWork]) -> float:
    return math.fsum(row.launches for row in operators)
