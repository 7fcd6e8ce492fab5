"""The roofline: how long an operator takes at least, and what it waits for."""

from __future__ import annotations

from attrs import field, frozen

from llm_perf_opt.data import HardwareSpec, rules
from llm_perf_opt.data.hardware import DTYPE_BITS, PRECISION, Float32MatmulPrecision
from llm_perf_opt.data.prediction import EFFICIENCY, Limit
from llm_perf_opt.data.rationals import Rational


@frozen(kw_only=True)
class Roofline:
    """The rates that a card reaches.

    Parameters
    ----------
    hardware
        The card.
    dtype
        The type that matrices are multiplied in, whose peak counts.
    efficiency
        The part of every peak rate that is reached.
    float32_matmul_precision
        Of float32 only: ``highest`` as it is, ``high`` rounded to TF32.

    Raises
    ------
    RecordError
        If a field breaks its rule, or the card has no rate for the type.
    """

    hardware: HardwareSpec = field(validator=rules.record(HardwareSpec))
    dtype: str = field(validator=rules.choice(*DTYPE_BITS))
    efficiency: float = field(default=1.0, converter=rules.as_float, validator=EFFICIENCY)
    float32_matmul_precision: Float32MatmulPrecision = field(default="highest", validator=PRECISION)

    def __attrs_post_init__(self) -> None:
        self.hardware.matrix_peak(self.dtype, self.float32_matmul_precision)

    def predict(self, tensor_core_flops: int, cuda_core_flops: int, io_bits: Rational) -> tuple[float, Limit]:
        """Return the time of some work in milliseconds, and what it is made of for the most part.

        The two kinds of arithmetic follow each other; moving bytes goes on beside them. Matrix products are bound by
        what does them, which for float32 is no tensor core.
        """
        peak, unit = self.hardware.matrix_peak(self.dtype, self.float32_matmul_precision)
        matrix = tensor_core_flops / peak
        vector = cuda_core_flops / self.hardware.vector_flops_per_second
        memory = float(io_bits / 8) / self.hardware.memory_bytes_per_second
        seconds = max(matrix + vector, memory)
        limit: Limit = "memory" if memory >= matrix + vector else unit if matrix >= vector else "cuda_cores"
        return 1000 * seconds / self.efficiency, limit
