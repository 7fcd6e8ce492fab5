"""Steps of a serving engine: what is proved of them, and that a wrong formula is found."""

from __future__ import annotations

from typing import Any

import pytest
import sympy
from attrs import evolve
from tiny import SHALLOW

from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.proofs import server_steps
from modelmeter.models.deepseek_ocr.proofs.server_steps import prove_server_steps
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import BATCH_SIZE, CACHED_TOKENS, CHUNK_TOKENS
from modelmeter.verify.proof import Verdict


def prove() -> list[Verdict]:
    return list(prove_server_steps(SHALLOW, lambda _: None))


def test_a_chunk_and_a_step_hold_in_every_metric() -> None:
    verdicts = prove()
    assert [verdict for verdict in verdicts if not verdict.is_equal] == []
    assert [(verdict.stages, verdict.metric) for verdict in verdicts] == [
        (stage, metric) for stage in ("chunk", "step") for metric in METRICS
    ]
    assert {(verdict.stages, verdict.implementation) for verdict in verdicts} == {
        ("chunk", "reference"), ("step", "formulas")
    }  # fmt: skip
    (flops,) = [v.measured for v in verdicts if (v.stages, v.metric) == ("chunk", "tensor_core_flops")]
    # New positions see all that is cached: two products of 2 FLOPs over chunk x cached for each of 24 channels, in the
    # one layer.
    assert flops.coeff(BATCH_SIZE * CHUNK_TOKENS * CACHED_TOKENS) == 2 * 2 * 24


@pytest.mark.parametrize("stage", ["chunk", "step"])
def test_a_wrong_formula_is_found(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"cost_{stage}"
    cost = getattr(server_steps, name)

    def damaged(sizes: Any) -> Cost:
        right: Cost = cost(sizes)
        return evolve(right, io_bytes=right.io_bytes + symbol("batch_size"))

    monkeypatch.setattr(server_steps, name, damaged)
    different = {(verdict.stages, verdict.metric): verdict.difference for verdict in prove() if not verdict.is_equal}
    assert different == {(stage, "io_bytes"): symbol("batch_size")}
    assert sympy.sympify(different[stage, "io_bytes"]) != 0
