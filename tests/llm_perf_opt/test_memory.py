"""What fits into a card."""

from __future__ import annotations

import pytest
from predictions import make_hardware, make_prediction, make_stage

from llm_perf_opt.reporting.memory import measure_memory


@pytest.mark.parametrize(
    ("memory_bytes", "verdict"),
    # Weights, cache and activations: 700, 31 and 53 bytes, so 731 without the last and 784 with them.
    [(784, "fits"), (783, "may fit"), (731, "may fit"), (730, "does not fit")],
)
def test_the_verdict(memory_bytes: int, verdict: str) -> None:
    held = {"weight_bytes": 700, "kv_cache_bytes": 31, "activation_bytes": 53}
    need = measure_memory(
        make_prediction(
            hardware=make_hardware(memory_bytes=memory_bytes), stages=[make_stage("request", **held)], operators=[]
        )
    )
    assert need.total_bytes == 784
    assert need.verdict.startswith(verdict)
