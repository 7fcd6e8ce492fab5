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
    peak_activation_bytes
        The most bytes of activations that are alive at once, each freed after its last use.
    activation_bytes
        The outputs of all operators of one forward, of the stage with the most: what activations take if none is freed
        before the forward ends.
    memory_bytes
        What the card has.
    """

    weight_bytes: int
    kv_cache_bytes: int
    peak_activation_bytes: int
    activation_bytes: int
    memory_bytes: int

    @property
    def total_bytes(self) -> int:
        """Weights, cache and activations at their peak."""
        return self.weight_bytes + self.kv_cache_bytes + self.peak_activation_bytes

    @property
    def verdict(self) -> str:
        """Whether it fits, as far as these numbers tell."""
        held = self.weight_bytes + self.kv_cache_bytes
        if held > self.memory_bytes:
            return "does not fit: weights and cache alone are larger"
        if self.total_bytes > self.memory_bytes:
            return "does not fit"
        if held + self.activation_bytes > self.memory_bytes:
            return "fits, if activations are freed after their last use"
        return "fits"


def measure_memory(prediction: Prediction) -> MemoryNeed:
    """Return what the request of a prediction needs, beside what its card has."""
    request = prediction.stage("request")
    return MemoryNeed(
        weight_bytes=request.weight_bytes,
        kv_cache_bytes=request.kv_cache_bytes,
        peak_activation_bytes=request.peak_activation_bytes,
        activation_bytes=request.activation_bytes,
        memory_bytes=prediction.hardware.memory_bytes,
    )
