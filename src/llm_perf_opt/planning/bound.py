"""The least time that exact work takes on a card: the roofline, operator by operator."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from llm_perf_opt.data import HardwareSpec
from llm_perf_opt.data.hardware import Float32MatmulPrecision
from llm_perf_opt.planning.work import StageWork

LIMITS: Final = ("matrix products", "other arithmetic", "memory", "links")
"""What an operator waits for; links only where several cards share a model."""


@frozen(kw_only=True)
class Rates:
    """The peak rates of a card for one type.

    Parameters
    ----------
    card
        The card.
    dtype
        The type that matrices are multiplied in.
    float32_matmul_precision
        Of float32 only: ``highest`` as it is, ``high`` rounded to TF32.

    Raises
    ------
    RecordError
        If the card has no rate for the type.
    """

    card: HardwareSpec
    dtype: str = "bfloat16"
    float32_matmul_precision: Float32MatmulPrecision = "highest"

    def __attrs_post_init__(self) -> None:
        self.card.matrix_peak(self.dtype, self.float32_matmul_precision)

    def bound(self, work: StageWork) -> tuple[float, dict[str, float]]:
        """Return the least seconds of some work, and how many of them are bound by each of :data:`LIMITS`.

        Operators follow each other; in each, the arithmetic of both kinds follows each other, beside the memory. The
        traffic is that of fused operators, which no engine moves less than.
        """
        peak, _ = self.card.matrix_peak(self.dtype, self.float32_matmul_precision)
        vector_rate, bandwidth = self.card.vector_flops_per_second, self.card.memory_bytes_per_second
        by_limit = dict.fromkeys(LIMITS, 0.0)
        for row in work.operators:
            matrix, vector = row.tensor_core_flops / peak, row.cuda_core_flops / vector_rate
            memory = row.fused_io_bytes / bandwidth
            if memory >= matrix + vector:
                by_limit["memory"] += float(memory)
            else:
                by_limit["matrix products" if matrix >= vector else "other arithmetic"] += float(matrix + vector)
        return sum(by_limit.values()), by_limit
