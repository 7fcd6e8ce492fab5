"""``modelmeter verify`` as a command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from command_line import CODEGEN, Run, assert_refused

from llm_perf_opt.commands.sources import compile_graph, read_graph
from llm_perf_opt.commands.verify import EVIDENCE_FILE
from llm_perf_opt.verification import run as verification
from llm_perf_opt.verification.record import Verification
from modelmeter.analysis.evidence import Evidence
from modelmeter.layers.operators import Operator
from modelmeter.metrics.metric import BACKWARD_METRICS, FUSED_IO, METRICS, PEAK
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_rms_norm import DeepseekV2RMSNorm
from modelmeter.models.deepseek_ocr.proofs import all_proofs
from modelmeter.models.deepseek_ocr.proofs.all_proofs import list_quick_proofs


def test_the_quick_proofs_hold_and_cover_every_layer_and_metric(run: Run, tmp_path: Path) -> None:
    result = run("verify", "--quick", "--json", str(tmp_path / "rows.json"), "--out", str(tmp_path))
    assert result.code == 0
    steps = result.err.splitlines()
    assert "routings of a few tokens" in steps, "where there is no terminal, each proof is a line as it begins"
    assert ", 0 with a difference" in result.out
    for name in ("deepseek_ocr_for_causal_lm  backward_tensor_core_flops  reference ", " transformers  identity "):
        assert name in result.out, "no name is cut"
    assert " exact at 1 point " in result.out
    record = json.loads((tmp_path / "rows.json").read_text())
    assert record["comparisons"] > 2000
    assert (record["differences"], record["gaps"]) == (0, [])
    assert {row["difference"] for row in record["rows"]} == {"0"}
    assert {row["implementation"] for row in record["rows"]} == {"reference", "transformers", "formulas", "enumeration"}
    assert {(row["name"], row["metric"]) for row in record["rows"] if row["name"] == "deepseek_v2_moe"} == {
        ("deepseek_v2_moe", metric) for metric in (*METRICS, *BACKWARD_METRICS, FUSED_IO, PEAK)
    }
    assert "mm" in record["operators"]["reference"]["matrix product"]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"], "only a full run leaves evidence"


def test_a_formula_changed_by_hand_fails_and_its_layer_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    operators = DeepseekV2RMSNorm.operators

    def damaged(layer: DeepseekV2RMSNorm) -> Iterator[Operator]:
        for operator in operators(layer):
            yield evolve(operator, cuda_core_flops=operator.cuda_core_flops + 1)

    monkeypatch.setattr(DeepseekV2RMSNorm, "operators", damaged)
    unshared = all_proofs._substitute_sizes.__wrapped__  # not what other tests left there
    monkeypatch.setattr(all_proofs, "_substitute_sizes", unshared)
    # Of prompts and decode steps only: the first proof.
    monkeypatch.setattr(verification, "_list_proofs", lambda sizes, is_full: [next(list_quick_proofs(sizes))])
    result = run("verify", "--layer", "DeepseekV2RMSNorm")
    assert result.code == 1
    assert "DIFFERENCE in layer deepseek_v2_rms_norm, cuda_core_flops, at model.layers.0.input_layernorm" in result.out


def test_a_layer_that_nothing_was_compared_with_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_list_proofs", lambda sizes, is_full: [])
    result = run("verify", "--layer", "attention")
    assert result.code == 1
    assert "NOT COMPARED: attention tensor_core_flops" in result.out


@pytest.mark.parametrize("options", [("--json", "absent/rows.json"), ("--full", "--out", "absent")])
def test_a_file_that_cannot_be_is_refused_before_the_proofs(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verification, "run", None)
    assert_refused(run("verify", *options), "absent", "the folder of this file does not exist")


@pytest.mark.parametrize("options", [("--json", "mine.json"), ("--full", "--out", ".")])
def test_a_file_of_others_is_refused_before_the_proofs(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verification, "run", None)
    (tmp_path / "formulas").mkdir()
    for name in ("mine.json", "formulas/evidence.json"):
        (tmp_path / name).write_text('{"rows": "mine"}')
    assert_refused(run("verify", *options), ".json", "would replace a file that modelmeter did not write")


def test_a_full_run_leaves_nothing_unless_it_is_told_where(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a checkout ``codegen`` has the evidence of others; only ``--out`` names it."""
    evidence = CODEGEN / EVIDENCE_FILE
    found = Verification(rows=(), count=3, differences=0, gaps=(), operators={}, evidence=Evidence.read(evidence))
    monkeypatch.setattr(verification, "run", lambda **_: found)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "codegen" / "formulas").mkdir(parents=True)
    result = run("verify", "--full")
    assert (result.code, result.err) == (0, "")
    assert "the evidence is not kept: name a folder with --out" in result.out
    assert list((tmp_path / "codegen" / "formulas").iterdir()) == []
    assert run("verify", "--full", "--out", "codegen").code == 0
    assert (tmp_path / "codegen" / EVIDENCE_FILE).read_bytes() == evidence.read_bytes()
    assert run("verify", "--full", "--out", "codegen").code == 0, "it is ours"


def test_there_are_no_more_processes_than_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of more processes than a queue can have places is an OverflowError."""
    asked: list[int] = []

    class Pool:
        def __init__(self, max_workers: int, **_: object) -> None:
            asked.append(max_workers)
            raise InterruptedError

    monkeypatch.setattr(verification, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(verification, "compile_model", lambda _: compile_graph(read_graph(None)))
    monkeypatch.setattr(verification, "_list_proofs", lambda sizes, is_full: [None] * 3)
    for jobs in (2, 3, 10**400):
        with pytest.raises(InterruptedError):
            verification.run(is_full=False, name=None, jobs=jobs, begin=lambda _: None)
    assert asked == [2, 3, 3]


def test_an_unknown_layer_is_refused_before_the_trace(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "compile_model", None)
    assert_refused(run("verify", "--layer", "attentoin"), "attentoin", "no layer, torch class or stage")
