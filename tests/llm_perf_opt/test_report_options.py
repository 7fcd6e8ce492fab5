"""Options of a report: bits, batches, reserves, and workloads and cards of the user."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from attrs import evolve
from evaluations import accept_fractions
from predictions import make_hardware
from records import make_profile
from report_runs import run

import deepseek_ocr_costs as costs
from llm_perf_opt.data import AnalyticModelReport
from llm_perf_opt.data.serialization import read_record, to_yaml
from llm_perf_opt.evaluators import find_defaults
from llm_perf_opt.hardware import list_hardware
from llm_perf_opt.profiles import find_profile


def test_the_default_workload_is_that_of_the_evaluators(tmp_path: Path) -> None:
    run("--out", tmp_path)
    prediction = read_record(tmp_path / "report.json", AnalyticModelReport).prediction
    assert prediction is not None
    request, expected = prediction.stage("request"), costs.request()._asdict()
    assert {metric: getattr(request, metric) for metric in expected} == expected
    defaults = find_defaults(costs.request)
    assert {name: defaults.get(name) or size for name, size in prediction.sizes.items()} == prediction.sizes


def test_bits_are_asked_for_one_by_one(tmp_path: Path) -> None:
    """fp8 weights, bf16 activations, an int8 cache: half of the bytes of weights and of the cache."""
    shown = run("--workload", "tiny", "--weight-bits", "8", "--kv-bits", "8", "--out", tmp_path).stdout
    assert "(bfloat16, weights of 8 bits, cache of 8 bits, efficiency 1)" in shown
    prediction = read_record(tmp_path / "report.json", AnalyticModelReport).prediction
    assert prediction is not None
    request = prediction.stage("request")
    assert request.weight_bytes == 3_336_106_240
    assert request.kv_cache_bytes == 12 * 2 * 1280 * (83 + 1023)
    assert "| activation_bits | 16 |" in (tmp_path / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["5.5", "11/2", "5.50"])
def test_bits_may_be_fractions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    accept_fractions(monkeypatch)
    shown = run("--workload", "tiny", "--weight-bits", text, "--out", tmp_path).stdout
    assert "(bfloat16, weights of 5.5 bits, efficiency 1)" in shown
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["prediction"]["sizes"]["weight_bits"] == "11/2"
    assert "| weight_bits | 5.5 |" in (tmp_path / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list_hardware())
def test_float32_is_predicted_on_every_card(tmp_path: Path, name: str) -> None:
    for precision in ("highest", "high"):
        options = ("--dtype", "float32", "--float32-matmul-precision", precision, "--hardware", name)
        result = run("--workload", "tiny", *options, "--out", tmp_path / precision)
        assert result.exit_code == 0, result.exception
        assert f"(float32{', matrices in TF32' * (precision == 'high')}, efficiency 1)" in result.stdout


def test_a_reserve_is_named_and_may_be_chosen(tmp_path: Path) -> None:
    """6.2140 GiB of weights and more do not fit into 80 GiB less 74, whatever logits there are."""
    shown = run("--workload", "tiny", "--reserve", "74", "--out", tmp_path).stdout
    assert "\nmemory: 6.00 GiB usable (80.00 less a reserve of 74.00), 1 page in a call" in shown
    refusal = r" 6\.\d\d GiB at the peak, does not fit: weights and cache alone are larger, 0\.\d\d GiB short\n"
    for words in ("logits of all 83 positions", "logits of the last position"):
        assert re.search(f"^{words}:{refusal}", shown, re.MULTILINE)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["prediction"]["reserve"] == {"reserve_gib": 74.0, "reason": "as asked for"}


def test_users_bring_workloads_and_cards(tmp_path: Path) -> None:
    workload, card = tmp_path / "mine.yaml", tmp_path / "card.yaml"
    workload.write_text(to_yaml(make_profile(profile_id="mine", seq_len=523)), encoding="utf-8")
    card.write_text(to_yaml(make_hardware()), encoding="utf-8")
    result = run("--workload", workload, "--hardware", card, "--out", tmp_path / "out", "--efficiency", "0.5")
    assert "mine on An abacus: " in result.stdout
    assert "does not fit" in result.stdout
    assert json.loads((tmp_path / "out" / "report.json").read_text())["prediction"]["efficiency"] == 0.5


def test_pages_in_one_batch(tmp_path: Path) -> None:
    """Seven pages cache seven times as much as the one page of the profile."""
    caches = []
    for options, words in (((), "tiny on NVIDIA"), (("--num-pages", "7"), "tiny, 7 pages, on NVIDIA")):
        printed = run("--workload", "tiny", *options, "--out", tmp_path / "out").stdout
        assert printed.startswith(words)
        assert (" ms a page (bfloat16" in printed) == bool(options)
        written = read_record(tmp_path / "out" / "report.json", AnalyticModelReport)
        assert written.prediction is not None
        caches.append(written.prediction.stage("request").kv_cache_bytes)
    assert written.workload.num_pages == 7
    assert caches[1] == 7 * caches[0]
    assert "for a batch of 7 pages" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert run("--num-pages", "0", "--out", tmp_path / "none").exit_code == 2
    assert not (tmp_path / "none").exists()


def test_pages_in_a_call_of_the_towers_and_positions_with_logits(tmp_path: Path) -> None:
    """The options go before what the workload says, and are checked together with it."""
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        to_yaml(evolve(find_profile("tiny"), num_pages=6, vision_batch_size=3, logits_tokens=7)), encoding="utf-8"
    )
    for options, sizes, words in (
        ((), (6, 3, 7), "3 pages in a call of the vision towers\nlogits of the last 7 positions: "),
        (("--vision-batch-size", "2", "--logits-tokens", "1"), (6, 2, 1), "2 pages in a call of the vision towers\n"),
        (("--num-pages", "5", "--vision-batch-size", "5"), (5, 5, 7), "5 pages in a call of the vision towers\n"),
    ):
        shown = run("--workload", mine, *options, "--out", tmp_path / "out").stdout
        assert words in shown
        prediction = read_record(tmp_path / "out" / "report.json", AnalyticModelReport).prediction
        assert prediction is not None
        assert tuple(prediction.sizes[name] for name in ("batch_size", "vision_batch_size", "logits_tokens")) == sizes
        # A view of 512 pixels is 73 image tokens and 10 of prompt; all that a request takes is said to its evaluators.
        expected = costs.request(
            batch_size=sizes[0], vision_batch_size=sizes[1], logits_tokens=sizes[2], base_size=512,
            num_width_tiles=0, num_height_tiles=0, seq_len=83, max_new_tokens=1024,
        )  # fmt: skip
        assert prediction.stage("request").io_bytes == expected.io_bytes
    refused = run("--workload", mine, "--num-pages", "5", "--out", tmp_path / "none")
    assert "vision_batch_size: the pages do not fill" in str(refused.exception)
    assert not (tmp_path / "none").exists()
