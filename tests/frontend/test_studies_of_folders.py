"""Studies of a compiled folder with experts that tokens choose among."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiled_llama import refuse, run

pytest.importorskip("transformers")


def test_active_parameters_are_of_the_experts_that_a_token_chooses(experts: Path) -> None:
    """By hand: q and o of 6 heads of 14, k and v of 2, the router of 7, 3 of its experts, 3 layers; and the head."""
    active = 3 * (2 * 34 * 84 + 2 * 34 * 28 + 34 * 7 + 3 * 3 * 34 * 22) + 34 * 97
    printed = run("study", "rules-of-thumb", "--model", str(experts))
    assert f"2 FLOPs for each of {active:,} active parameters" in printed


def test_batches_of_experts_are_compared_where_reads_grow_with_the_tokens(experts: Path) -> None:
    assert "batch_size" in run("study", "batch-and-experts", "--model", str(experts))


def test_studies_of_what_a_model_lacks_are_refused_where_nothing_else_is_asked_for(experts: Path) -> None:
    said = refuse("study", "training", "--model", str(experts))
    assert said.startswith("training is left out: ")
    assert said.endswith("it was compiled without --training")
    assert refuse("study", "architecture", "--model", str(experts)).endswith("it was compiled without --general")
    printed = run("study", "training", "rules-of-thumb", "--model", str(experts))
    assert f"\n{said}\n" in printed
