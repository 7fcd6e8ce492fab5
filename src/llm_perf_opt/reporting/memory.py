"""Whether a workload fits into the memory of a card."""

from __future__ import annotations

from attrs import frozen

from llm_perf_opt.data import Prediction


@frozen(kw_only=True)
class MemoryNeed:
    """What stands in memory, in bytes.

    Parameters
    ----------
    weight_bytes, kv_cache_bytes
        All parameters, and the cache after the last step.
    activation_bytes
        The outputs of all operators of one forward, of the stage with the most. That is more than any allocator
        needs, since most are freed before the forward ends: what fits here fits.
    memory_bytes
        What the card has.
    """

    weight_bytes: int
    kv_cache_bytes: int
    activation_bytes: int
    memory_bytes: int

    @property
    def total_bytes(self) -> int:
        """The three together."""
        return self.weight_bytes + self.kv_cache_bytes + self.activation_bytes

    @property
    def verdict(self) -> str:
        """Whether it fits, as far as these numbers tell."""
        if self.total_bytes <= self.memory_bytes:
            return "fits"
        if self.weight_bytes + self.kv_cache_bytes > self.memory_bytes:
            return "does not fit: weights and cache alone are larger"
        return "may fit: only if enough activations are freed early"


def measure_memory(prediction: Prediction) -> MemoryNeed:
    """Return what the request of a prediction needs, beside what its card has."""
    request = prediction.stage("request")
    return MemoryNeed(
        weight_bytes=request.weight_bytes,
        kv_cache_bytes=request.kv_cache_bytes,
        activation_bytes=request.activation_bytes,
        memory_bytes=prediction.hardware.memory_bytes,
    )
