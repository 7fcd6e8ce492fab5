"""What the tests of the verifier share."""

from __future__ import annotations

import pytest
from attrs import evolve

from modelmeter.layers.operators import Operator
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_rms_norm import DeepseekV2RMSNorm


@pytest.fixture
def wrong_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    """One FLOP too many in the backward of each operator of :class:`DeepseekV2RMSNorm`."""
    operators = DeepseekV2RMSNorm.operators

    def damaged(layer: DeepseekV2RMSNorm) -> tuple[Operator, ...]:
        return tuple(
            evolve(operator, backward_cuda_core_flops=operator.backward_cuda_core_flops + 1)
            for operator in operators(layer)
        )

    monkeypatch.setattr(DeepseekV2RMSNorm, "operators", damaged)
