"""Reports, arrays and frozen functions of a compiled folder; expected numbers are counted by hand from the config."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from compiled_llama import NAME, PARAMETERS, count_prefill, refuse, run

from llm_perf_opt.contracts import CompiledModelReportSummary
from llm_perf_opt.data.compiled_report import CompiledModelReport
from llm_perf_opt.data.serialization import from_json, read_record
from llm_perf_opt.evaluators import load_costs
from llm_perf_opt.reporting import compiled_build
from llm_perf_opt.reporting.categories import categorize
from modelmeter.frontend.cards.page_rules import PAGE_RULES, make_page_views
from modelmeter.frontend.compiled_folder import open_folder

HEAD_BYTES = 2 * (33 * 97 + 33 + 97)
"""What the head moves for one row: its weights, a row of 33 channels, and 97 logits, of 16 bits each."""

STEP_FLOPS = 3 * (2 * (33 * 30 + 2 * 33 * 10 + 30 * 33 + 3 * 33 * 53) + 4 * 3 * 10 * 38) + 2 * 33 * 97
"""The matrix products of a token that sees 38 keys."""


def make_report(folder: Path, out: Path, *arguments: str) -> CompiledModelReport:
    run("report", "--model", str(folder), "--out", str(out), "seq_len=37", "max_new_tokens=2", *arguments)
    return read_record(out / "report.json", CompiledModelReport)


def test_the_work_is_what_is_counted_by_hand_and_times_are_rooflines(folder: Path, tmp_path: Path) -> None:
    report = make_report(folder, tmp_path / "out")
    assert report == read_record(tmp_path / "out" / "report.yaml", CompiledModelReport)
    assert report.prediction.sizes == {
        "batch_size": 1, "seq_len": 37, "decode_steps": 1, "weight_bits": 16, "activation_bits": 16, "kv_bits": 16
    }  # fmt: skip
    stages = {stage.stage: stage for stage in report.prediction.stages}
    assert stages["prefill"].tensor_core_flops == count_prefill(37)
    assert stages["decode"].tensor_core_flops == STEP_FLOPS
    assert stages["request"].tensor_core_flops == count_prefill(37) + STEP_FLOPS
    assert stages["request"].weight_bytes == 2 * PARAMETERS
    head = next(row for row in report.prediction.operators if row.module_id == "decode.lm_head")
    assert (head.category_id, head.io_bits) == ("linear", 8 * HEAD_BYTES)
    # 3.35 TB/s of an H100; its 2 x 33 x 97 FLOPs take a thousandth of that.
    assert head.bound_by == "memory"
    assert math.isclose(head.time_ms, 1000 * HEAD_BYTES / 3.35e12, rel_tol=1e-12)
    assert math.isclose(math.fsum(each.share_of_model_time for each in report.module_metrics), 1, rel_tol=1e-12)
    assert sum(each.flops or 0 for each in report.module_metrics) == (
        stages["request"].tensor_core_flops + stages["request"].cuda_core_flops
    )


def test_every_module_has_a_page_and_every_link_leads_to_one(folder: Path, tmp_path: Path) -> None:
    report = make_report(folder, tmp_path / "out", "--engine", "graphs", "batch_size=3")
    pages = {path.stem for path in (tmp_path / "out" / "layers").iterdir()}
    assert pages == {node.module_id for node in report.modules}
    summary = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "3 prompts side by side, each of 37 tokens and 2 new ones." in summary
    assert "The last position of each prompt gets logits" in summary
    assert "page" not in summary.replace("formula page", "").partition("## Exact totals")[0]
    assert "fused bound / estimated |\n" in summary, "a host that prepares no page has no column"
    assert report.prediction.estimate is not None
    assert [each.stage for each in report.prediction.estimate.stages] == ["prefill", "decode", "request"]


def test_json_has_the_shares_of_stages_kinds_and_modules(folder: Path, tmp_path: Path) -> None:
    text = run("report", "--model", str(folder), "--out", str(tmp_path / "out"), "seq_len=37", "--json")
    summary = from_json(text, CompiledModelReportSummary)
    assert (summary.model_id, summary.hardware_id) == (NAME, "h100-sxm")
    assert {each.category_id for each in summary.categories} == {
        "linear", "attention", "normalization", "activation", "embedding", "positional_encoding", "elementwise",
        "data_movement",
    }  # fmt: skip
    assert math.isclose(sum(each.share_of_model_time for each in summary.categories), 1, rel_tol=1e-12)
    assert math.isclose(sum(each.share_of_model_time for each in summary.stages[:-1]), 1, rel_tol=1e-12)


def test_weights_of_other_widths_and_the_batch_that_fits(folder: Path, tmp_path: Path) -> None:
    report = make_report(folder, tmp_path / "out", "--weight-bits", "5.5")
    request = report.prediction.stage("request")
    assert request.weight_bytes == math.ceil(PARAMETERS * Fraction(11, 16))
    printed = run(
        "report", "--model", str(folder), "--out", str(tmp_path / "other"), "seq_len=2011", "max_new_tokens=2"
    )
    assert re.search(r"^logits of the last position: \d\.\d\d MiB at the peak, fits", printed, re.MULTILINE)
    words = "most prompts that fit at once: "
    fits = int(printed.partition(words)[2].partition(" ")[0].replace(",", ""))
    costs = load_costs(NAME)

    def count_bytes(batch_size: int) -> int:
        sizes = {"batch_size": batch_size, "seq_len": 2011, "decode_steps": 1}
        request = costs.request(**sizes)
        peak: int = costs.request_peak_activation_bytes(**sizes)
        held: int = request.weight_bytes + request.kv_cache_bytes
        return held + peak

    usable = 80 * 2**30 - int(Fraction("2.14") * 2**30)
    assert count_bytes(fits) <= usable < count_bytes(fits + 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workload", "tiny"), "--workload: profiles and their pages are DeepSeek-OCR's; give its sizes"),
        (("--num-pages", "3"), "--num-pages: profiles and their pages are DeepSeek-OCR's"),
        (("--vision-batch-size", "3"), "--vision-batch-size: profiles"),
        (("--logits-tokens", "3"), "--logits-tokens: profiles"),
        (("--page", "1191x1684"), "this model does not look at pages"),
        (("hidden_size=40",), "there is no argument of request of this name; found hidden_size"),
        (("seq_len=1",), "seq_len must be at least 2, not 1"),
        (("decode_steps=3", "max_new_tokens=3"), "decode_steps"),
        (("weight_bits=8", "--weight-bits", "4"), "weight_bits: a width is given twice"),
        (("--engine", "graphs", "--efficiency", "0.5"), "an engine has efficiencies of its own"),
    ],
)
def test_what_a_compiled_model_has_not_is_refused_in_one_line(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    problem = refuse("report", "--model", str(folder), "--out", str(tmp_path / "out"), *arguments)
    assert message in problem
    assert "\n" not in problem
    assert not (tmp_path / "out").exists()


def test_sizes_without_a_model_are_refused(tmp_path: Path) -> None:
    problem = refuse("report", "seq_len=37", "--out", str(tmp_path / "out"))
    assert problem.startswith("seq_len=37: the sizes of DeepSeek-OCR are those of a profile")


@pytest.mark.parametrize(
    ("operator", "class_name", "category_id"),
    [
        ("pow", "Qwen3RMSNorm", "normalization"),
        ("mul", "Qwen3RotaryEmbedding", "positional_encoding"),
        ("scaled_dot_product_attention", "Qwen3Attention", "attention"),
        ("mul", "Qwen3Attention", "elementwise"),
        ("mm", "Qwen3MoeTopKRouter", "moe_routing"),
        ("mm", "Qwen3MLP", "linear"),
    ],
)
def test_classes_of_any_model_have_kinds_by_how_their_names_end(
    operator: str, class_name: str, category_id: str
) -> None:
    assert categorize(operator, class_name) == category_id


def test_arrays_equal_what_is_counted_by_hand(folder: Path) -> None:
    pytest.importorskip("numpy")
    costs: Any = load_costs(open_folder(folder))
    lengths = [3, 7, 19]
    assert costs.arrays.prefill(seq_len=lengths).tensor_core_flops.tolist() == [count_prefill(each) for each in lengths]
    grid = costs.arrays.grid("prefill", seq_len=lengths, batch_size=[1, 5])
    products = [[size * (count_prefill(each)) for size in (1, 5)] for each in lengths]
    assert grid.tensor_core_flops.reshape(3, 2).tolist() == products
    both = costs.arrays.stages(seq_len=37, decode_steps=[1, 1]).request
    assert both.tensor_core_flops.tolist() == [count_prefill(37) + STEP_FLOPS] * 2


def test_frozen_functions_equal_what_is_counted_by_hand(folder: Path) -> None:
    costs: Any = load_costs(open_folder(folder))
    frozen = costs.freeze("prefill", metric="tensor_core_flops", free=["seq_len"])
    assert [frozen(each) for each in (3, 7, 19)] == [count_prefill(each) for each in (3, 7, 19)]
    cost = costs.freeze("request", free=["decode_steps"], seq_len=37, batch_size=1)(1)
    assert cost.tensor_core_flops == count_prefill(37) + STEP_FLOPS
    assert cost.weight_bytes == 2 * PARAMETERS


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("training_step", "no training step"),
        ("step", "no steps of a serving engine"),
        ("chunk", "no chunks of a prompt"),
    ],
)
def test_what_only_models_with_layers_of_their_own_have_is_refused_by_name(folder: Path, name: str, words: str) -> None:
    problem = refuse("eval", name, "--model", str(folder))
    assert words in problem
    assert "prefill or decode or request" in problem
    assert "\n" not in problem


def test_a_page_that_is_cut_is_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (1654, 2339)
    for rule, images, words in (
        (PAGE_RULES["smolvlm2-2.2b"], 13, "one page of 1654 x 2339 pixels, cut into 13 images"),
        (PAGE_RULES["gemma-3-4b"], 1, "one page of 1654 x 2339 pixels"),
        (PAGE_RULES["paddleocr-vl"], 1, "one page of 1654 x 2339 pixels"),
        (PAGE_RULES["paddleocr-vl"], 3, "3 pages of 1654 x 2339 pixels"),
    ):
        views = make_page_views(rule)
        monkeypatch.setattr(compiled_build, "find_page_views", lambda model, views=views: views)
        assert compiled_build.describe_pages(images, "a-model", page) == words
