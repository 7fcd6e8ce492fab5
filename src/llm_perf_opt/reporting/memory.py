"""Whether a workload fits into the memory of a card, with logits of all positions and with those of the last."""

from __future__ import annotations

from attrs import evolve, frozen

from llm_perf_opt.data import MemoryReserve, Prediction
from llm_perf_opt.data.rationals import Rational


@frozen(kw_only=True)
class MemoryNeed:
    """What stands in memory, in bytes.

    Parameters
    ----------
    logits_tokens, seq_len
        Positions of each prompt that get logits, of how many.
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

    logits_tokens: Rational
    seq_len: Rational
    weight_bytes: int
    kv_cache_bytes: int
    peak_activation_bytes: int
    activation_bytes: int
    memory_bytes: int
    reserve: MemoryReserve

    @property
    def words(self) -> str:
        """Which positions get logits, as a sentence says it."""
        if self.logits_tokens == 1:
            return "logits of the last position"
        which = "all" if self.logits_tokens == self.seq_len else "the last"
        return f"logits of {which} {self.logits_tokens:,} positions"

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


def measure_memory(prediction: Prediction, logits_tokens: int | None = None) -> tuple[MemoryNeed, ...]:
    """Return what the request of a prediction needs, beside what its card has.

    First with the logits that were asked for; then with those of the last position only, where that is something else
    and the prediction tells it.

    Parameters
    ----------
    prediction
        The request.
    logits_tokens
        Positions of each prompt that get logits in a model whose sizes do not say; None for all of them.
    """
    request, last = prediction.stage("request"), prediction.last_logits
    seq_len = prediction.sizes["seq_len"]
    asked = MemoryNeed(
        # Earlier versions knew logits of all positions only, and did not say so.
        logits_tokens=prediction.sizes.get("logits_tokens", seq_len if logits_tokens is None else logits_tokens),
        seq_len=seq_len,
        weight_bytes=request.weight_bytes,
        kv_cache_bytes=request.kv_cache_bytes,
        peak_activation_bytes=request.peak_activation_bytes,
        activation_bytes=request.activation_bytes,
        memory_bytes=prediction.hardware.memory_bytes,
        reserve=prediction.reserve or prediction.hardware.memory_reserve,
    )
    if last is None or last.logits_tokens == asked.logits_tokens:
        return (asked,)
    return asked, evolve(
        asked,
        logits_tokens=last.logits_tokens,
        peak_activation_bytes=last.peak_activation_bytes,
        activation_bytes=last.activation_bytes,
    )
