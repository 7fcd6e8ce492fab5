"""The comparison: our formulas are exact, and every difference of the others is explained to the last FLOP."""

from __future__ import annotations

import pytest
from attrs import evolve
from other_counter_sizes import PAGE
from tiny import TINY

from modelmeter.compiled_model import CompiledModel
from modelmeter.models.deepseek_ocr.proofs.other_counters.comparison import compare_counters, evaluate_formulas
from modelmeter.models.deepseek_ocr.proofs.other_counters.stages import build_stages
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.support.errors import CountError
from modelmeter.verify.other_counters.answers import explain
from modelmeter.verify.other_counters.calls import record_calls
from modelmeter.verify.other_counters.counters import COUNTERS, EXACT, Count


def test_model_formulas_are_exact_for_the_default_page(published: CompiledModel) -> None:
    """The whole published model at full size, on the meta device."""
    stages = build_stages(published.architecture, Workload(), device="meta")
    counted = {name: EXACT.count(stage).flops for name, stage in stages.items()}
    assert evaluate_formulas(published, Workload()) == counted


@pytest.mark.parametrize("name", COUNTERS)
def test_every_difference_is_explained(name: str) -> None:
    pytest.importorskip(COUNTERS[name].package)
    comparison = compare_counters(TINY, PAGE, [COUNTERS[name]])
    assert comparison.ours == comparison.exact
    (answer,) = comparison.answers
    for stage, exact in comparison.exact.items():
        explained = sum(difference.flops[stage] for difference in answer.differences)
        assert answer.counts[stage].flops == exact + explained
    assert answer.counts["prefill"].flops != comparison.exact["prefill"], "all of them miss something there"


def test_a_difference_of_one_flop_without_a_cause_is_an_error() -> None:
    counter = COUNTERS["FlopCounterMode on the CPU"]
    stages = build_stages(TINY, PAGE, device="meta")
    exact = {"projector": EXACT.count(stages["projector"]).flops}
    calls = {"projector": record_calls(stages["projector"])}
    right = Count(flops=exact["projector"])  # the projector does not attend
    assert explain(counter, {"projector": right}, exact, calls).counts == {"projector": right}
    wrong = evolve(right, flops=right.flops + 1)
    with pytest.raises(CountError, match="projector: the causes do not explain what FlopCounterMode on the CPU counts"):
        explain(counter, {"projector": wrong}, exact, calls)
