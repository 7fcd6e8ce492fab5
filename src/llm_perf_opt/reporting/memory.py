"""Whether a workload fits into the memory of a card."""

from __future__ import annotations

from attrs import frozen

from llm_perf_opt.data import MemoryReserve, Prediction


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
    reserve
        What of that is not for the model, and why.
    """

    weight_bytes: int
    kv_cache_bytes: int
    peak_activation_bytes: int
    activation_bytes: int
    memory_bytes: int
    reserve: MemoryReserve

    @property
    def total_bytes(self) -> int:
        """Weights, cache and activations at their peak."""
        return self.weight_bytes + self.kv_cache_bytes + self.peak_activation_bytes

    @property
    def usable_bytes(self) -> int:
        """What the card has less the reserve; 0 where the reserve is more than all of it."""
        return max(0, self.memory_bytes - self.reserve.reserve_bytes)

    @property
    def headroom_bytes(self) -> int:
        """What of the usable memory is free at the peak; below 0 by what is missing."""
        return self.usable_bytes - self.total_bytes

    @property
    def fits(self) -> bool:
        """Whether the usable memory holds it at the peak."""
        return self.headroom_bytes >= 0

    @property
    def verdict(self) -> str:
        """Whether it fits, as far as these numbers tell."""
        held = self.weight_bytes + self.kv_cache_bytes
        if held > self.usable_bytes:
            return "does not fit: weights and cache alone are larger"
        if not self.fits:
            return "does not fit"
        if held + self.activation_bytes > self.usable_bytes:
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
        reserve=prediction.reserve or prediction.hardware.memory_reserve,
    )
