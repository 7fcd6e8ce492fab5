"""The page about other counters: what it says, and that it is current as far as a test can afford to know."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from modelmeter.compiled_model import CompiledModel
from modelmeter.models.deepseek_ocr.proofs.other_counters.comparison import Comparison, evaluate_formulas
from modelmeter.models.deepseek_ocr.proofs.other_counters.page import render_page
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.publishing.text import format_number
from modelmeter.verify.other_counters.answers import Answer, Difference
from modelmeter.verify.other_counters.causes import CAUSES
from modelmeter.verify.other_counters.counters import COUNTERS, Count

PAGE = Path(__file__).parents[4] / "codegen" / "formulas" / "accuracy.md"

# The counter of torch, which is always installed.
ANSWER = Answer(
    counter=COUNTERS["FlopCounterMode on the CPU"],
    counts={"prefill": Count(flops=7500, unsupported=("cos", "topk")), "decode": Count(flops=1001)},
    differences=(
        Difference(cause="leaves `out`", flops={"prefill": -2600, "decode": 0}),
        Difference(cause="adds", flops={"prefill": 100, "decode": 1}),
    ),
)
COMPARISON = Comparison(
    workload=Workload(), exact={"prefill": 10000, "decode": 1000}, ours={"prefill": 10000, "decode": 999},
    answers=(ANSWER,),
)  # fmt: skip


def test_the_page_shows_counts_ratios_and_causes() -> None:
    lines = render_page(COMPARISON).replace("\u202f", " ").splitlines()
    assert "| prefill | 10 000 | 10 000 | 0 |" in lines
    assert "| decode | 1 000 | 999 | \u22121 |" in lines
    assert "| FlopCounterMode on the CPU | 7 500<br>0.7500 | 1 001<br>1.0010 |" in lines
    assert "| leaves `out` | \u22122 600 | 0 |" in lines
    assert "| adds | 100 | 1 |" in lines
    assert "| **difference** | \u22122 500 | 1 |" in lines
    assert "- prefill: `cos`, `topk`" in lines


def test_tables_have_no_gaps() -> None:
    """A row after an empty line would be text; every row has as many cells as the one before."""
    lines = render_page(COMPARISON).splitlines()
    for above, line in pairwise(lines):
        if line.startswith("| ---"):
            assert above.startswith("| ")
        if line.startswith("|") and above.startswith("|"):
            assert line.count("|") == above.count("|")
    assert "" not in lines[-1:]


def test_the_published_page_has_model_formulas_with_difference_0(published: CompiledModel) -> None:
    """A formula that changes makes the page stale; so do counters and causes that come or go."""
    text = PAGE.read_text(encoding="utf-8")
    for stage, flops in evaluate_formulas(published, Workload()).items():
        number = format_number(flops)
        assert f"| {stage} | {number} | {number} | 0 |" in text
    assert [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")] == list(COUNTERS)
    for causes in CAUSES.values():
        assert all(f"| {cause.text} |" in text for cause in causes)
