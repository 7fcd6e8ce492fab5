"""The roofline: how long an operator takes at least, and what it waits for."""

from __future__ import annotations

from attrs import field, frozen

from llm_perf_opt.data import HardwareSpec, rules
from llm_perf_opt.data.prediction import DTYPE_BITS, EFFICIENCY, Limit


@frozen(kw_only=True)
class Roofline:
    """The rates that a card reaches.

    Parameters
    ----------
    hardware
        The card.
    dtype
        The type whose tensor-core peak counts.
    efficiency
        The part of every peak rate that is reached.

    Raises
    ------
    RecordError
        If a field breaks its rule, or the card has no tensor-core peak for the type.
    """

    hardware: HardwareSpec = field(validator=rules.record(HardwareSpec))
    dtype: str = field(validator=rules.choice(*DTYPE_BITS))
    efficiency: float = field(default=1.0, converter=rules.as_float, validator=EFFICIENCY)

    def __attrs_post_init__(self) -> None:
        self.hardware.tensor_peak(self.dtype)

    def predict(self, tensor_core_flops: int, cuda_core_flops: int, io_bits: int) -> tuple[float, Limit]:
        """Return the time of some work in milliseconds, and what it is made of for the most part.

        The two kinds of arithmetic follow each other; moving bytes goes on beside them.
        """
        tensor = tensor_core_flops / self.hardware.tensor_peak(self.dtype)
        vector = cuda_core_flops / self.hardware.vector_flops_per_second
        memory = io_bits / 8 / self.hardware.memory_bytes_per_second
        seconds = max(tensor + vector, memory)
        limit: Limit = "memory" if memory >= tensor + vector else "tensor_cores" if tensor >= vector else "cuda_cores"
        return 1000 * seconds / self.efficiency, limit
