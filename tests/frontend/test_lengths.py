"""Lengths past ``max_position_embeddings`` of a compiled model are costed, and it is said of them; a Llama has 2048."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compiled_llama import NAME, count_prefill, run

WORDS = f"positions are more than the 2,048 of max_position_embeddings of {NAME}: they are counted like any other"


@pytest.mark.parametrize(
    ("stage", "sizes", "positions"),
    [
        ("prefill", ("seq_len=2049",), 2049),
        ("decode", ("seq_len=2047", "decode_steps=2"), 2049),
        # The first token is of the prefill, and the last one is never read.
        ("request", ("seq_len=2047", "max_new_tokens=5"), 2051),
    ],
)
def test_eval_says_it_and_counts_on(folder: Path, stage: str, sizes: tuple[str, ...], positions: int) -> None:
    document = json.loads(run("eval", stage, *sizes, "--model", str(folder), "--json"))
    assert len(document["notes"]) == 1
    assert document["notes"][0].startswith(f"{positions:,} {WORDS}")
    if stage == "prefill":
        assert document["cost"]["tensor_core_flops"] == count_prefill(2049)
    assert f"{positions:,} positions are more than" in " ".join(
        run("eval", stage, *sizes, "--model", str(folder)).split()
    )


@pytest.mark.parametrize(
    ("stage", "sizes"),
    [("prefill", ("seq_len=2048",)), ("request", ("seq_len=2047", "max_new_tokens=2"))],
)
def test_nothing_is_said_up_to_it(folder: Path, stage: str, sizes: tuple[str, ...]) -> None:
    assert "notes" not in json.loads(run("eval", stage, *sizes, "--model", str(folder), "--json"))


def test_reports_and_plans_say_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    printed = run("report", "seq_len=2049", "max_new_tokens=1", "--model", str(folder), "--out", str(out))
    assert f"\n2,049 {WORDS}" in printed
    assert f"2,049 {WORDS}" in json.loads((out / "report.json").read_text(encoding="utf-8"))["notes"]
    requests = tmp_path / "requests.csv"
    requests.write_text("seq_len,output_tokens\n37,3\n2040,11\n", encoding="utf-8")
    chosen = ("plan", "--pages", str(requests), "--card", "l4", "--model", str(folder))
    assert json.loads(run(*chosen, "--json"))["notes"][0].startswith(f"2,050 {WORDS}")
    assert f"2,050 {WORDS}" in run(*chosen)
    requests.write_text("seq_len,output_tokens\n37,3\n2040,9\n", encoding="utf-8")
    assert json.loads(run(*chosen, "--json"))["notes"] == []
