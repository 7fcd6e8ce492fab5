"""What fits into a card."""

from __future__ import annotations

import pytest
from predictions import make_hardware, make_prediction, make_stage

from llm_perf_opt.reporting.memory import measure_memory


@pytest.mark.parametrize(
    ("memory_bytes", "verdict"),
    # Weights, cache, activations at their peak and all of them: 700, 31, 13 and 53 bytes; so 731, 744 and 784.
    [
        (784, "fits"),
        (783, "fits, if activations are freed after their last use"),
        (744, "fits, if activations are freed after their last use"),
        (743, "does not fit"),
        (731, "does not fit"),
        (730, "does not fit: weights and cache alone are larger"),
    ],
)
def test_the_verdict(memory_bytes: int, verdict: str) -> None:
    held = {"weight_bytes": 700, "kv_cache_bytes": 31, "activation_bytes": 53, "peak_activation_bytes": 13}
    need = measure_memory(
        make_prediction(
            hardware=make_hardware(memory_bytes=memory_bytes), stages=[make_stage("request", **held)], operators=[]
        )
    )
    assert need.total_bytes == 744
    assert need.verdict == verdict
