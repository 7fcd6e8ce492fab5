"""The expected reads of experts' weights, case by case."""

from __future__ import annotations

from functools import partial

import pytest

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import bounded_routed_reads
from modelmeter.models.deepseek_ocr.proofs import routing
from modelmeter.models.deepseek_ocr.proofs.routing import POINTS, prove_routing


def test_the_formula_is_the_mean_over_all_routings() -> None:
    verdicts = list(prove_routing())
    assert [verdict for verdict in verdicts if not verdict.is_equal] == []
    assert len({verdict.domain for verdict in verdicts}) == len(POINTS)
    (one,) = {
        verdict.measured for verdict in verdicts if "n_routed_experts = 2; num_experts_per_tok = 1" in verdict.domain
    }
    # 3 tokens, 2 experts: of 8 routings 2 use one expert, 6 use both: 14 / 8 of 13 * 17 = 386.75.
    assert one == 387


def test_a_wrong_expectation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "evaluate", partial(evaluate, routed_reads=bounded_routed_reads))
    assert not all(verdict.is_equal for verdict in prove_routing())
