"""The files of a report."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import pytest
from attrs import evolve
from records import make_report

from llm_perf_opt.data import AnalyticModelReport, HardwareSource, MemoryReserve
from llm_perf_opt.data.serialization import from_json, from_yaml
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.profiles import find_profile
from llm_perf_opt.reporting.build import ReportRequest, build_report
from llm_perf_opt.visualize.pages import render_files

REPORT = build_report(ReportRequest(profile=find_profile("dsocr-standard-v1"), hardware=find_hardware("h100-sxm")))
CONVENTIONS = ("One multiply-accumulate is 2 FLOPs.",)


@pytest.fixture(scope="module")
def files() -> Mapping[str, str]:
    return render_files(REPORT, CONVENTIONS)


def test_there_is_a_page_for_each_module(files: Mapping[str, str]) -> None:
    assert set(files) == {
        "report.json", "report.yaml", "summary.md", *(f"layers/{node.module_id}.md" for node in REPORT.modules)
    }  # fmt: skip


def test_the_records_are_the_report(files: Mapping[str, str]) -> None:
    assert from_json(files["report.json"], AnalyticModelReport) == REPORT
    assert from_yaml(files["report.yaml"], AnalyticModelReport) == REPORT


def test_every_link_leads_to_a_page(files: Mapping[str, str]) -> None:
    links = 0
    for path, text in files.items():
        if path.endswith(".md"):
            for target in re.findall(r"\]\(([^)]+)\)", text):
                assert str(PurePosixPath(path).parent / target) in files, f"{path}: {target}"
                links += 1
    assert links > 2 * len(REPORT.modules)


def test_the_summary_says_what_it_is_about_and_how_it_was_made(files: Mapping[str, str]) -> None:
    summary = files["summary.md"]
    assert summary.startswith("# deepseek-ai/DeepSeek-OCR, dsocr-standard-v1, on NVIDIA H100 SXM5 80GB\n")
    assert f"**{REPORT.predicted_total_time_ms:#.4g} ms** for one page." in summary
    assert "tensor_core_flops / 989.4e12 + cuda_core_flops / 66.9e12" in summary
    assert "io_bytes / 3.35e12) / 1.0" in summary
    assert "| efficiency | 1.0 |" in summary
    assert "NVIDIA H100 Tensor Core GPU (datasheet), 2023" in summary
    assert "- One multiply-accumulate is 2 FLOPs." in summary
    assert "The reserve is 0.89 GiB of the 80 that CUDA does not show" in summary
    assert "take one page in a call. The" in summary
    for words in ("logits of all 512 positions", "logits of the last position"):
        assert f"- With {words}: **fits**. If no activation were freed" in summary
    assert "| request | " in summary
    assert re.search(r"memory-bound for \d\d\.\d % of the time", summary)
    assert "Measured" not in summary


def test_what_fits_is_said_for_the_logits_of_all_positions_and_of_the_last() -> None:
    """Two bytes of 3,336,106,240 parameters; keys and values of 12 layers, 1280 channels, 913 + 1023 tokens.

    With all logits the peak is 913 x (129,280 x 6 + 1280 x 2 + 8) bytes: two bytes of a logit and four of its float32
    copy, a hidden state, an id. With the last ones it is that of six views in a call of the towers, 549,273,600 bytes
    as counted on the vendor's modules, of the prompt's embeddings and ids, 913 x (1280 x 2 + 8), and of the pixels of
    the global view, 2 x 3 x 1024 x 1024.
    """
    report = build_report(ReportRequest(profile=find_profile("gundam"), hardware=find_hardware("h100-sxm")))
    summary = render_files(report, CONVENTIONS)["summary.md"]
    held = 2 * 3_336_106_240, 12 * 2 * 1280 * 2 * 1936
    peaks = 913 * (129_280 * 6 + 1280 * 2 + 8), 549_273_600 + 913 * (1280 * 2 + 8) + 2 * 3 * 1024**2
    sums = [sum(held) + peak for peak in peaks]
    usable = 80 * 2**30 - math.ceil(2.14 * 2**30)
    assert "\n| in memory, in GiB | logits of all 913 positions | logits of the last position |\n" in summary
    for name, counts in (
        ("weights", [held[0]] * 2), ("KV cache at the end", [held[1]] * 2), ("activations at their peak", peaks),
        ("together", sums), ("the card", [80 * 2**30] * 2), ("reserve", [2.14 * 2**30] * 2),
        ("usable: the card less the reserve", [usable] * 2),
        ("headroom, below 0 where memory is missing", [usable - each for each in sums]),
    ):  # fmt: skip
        assert f"\n| {name} | {' | '.join(f'{count / 2**30:.2f}' for count in counts)} |\n" in summary


def test_a_page_says_how_many_pages_a_call_takes_and_which_logits_were_asked_for() -> None:
    profile = evolve(find_profile("tiny"), num_pages=14, vision_batch_size=7, logits_tokens=1)
    summary = render_files(build_report(ReportRequest(profile=profile, hardware=find_hardware("l40s"))), ())[
        "summary.md"
    ]
    for words in ("\n| vision_batch_size | 7 |\n", "\n| logits_tokens | 1 |\n", "take 7 pages in a call."):
        assert words in summary
    assert "\n| in memory, in GiB | logits of the last position |\n" in summary


def test_the_rates_of_a_card_have_all_their_digits() -> None:
    """So that the times can be computed again from the page."""
    hardware = evolve(
        find_hardware("l40s"), vector_flops_per_second=91.60625e12, memory_bytes_per_second=864.0e9,
        tensor_flops_per_second={"bfloat16": 362.0512345e12},
    )  # fmt: skip
    report = build_report(ReportRequest(profile=find_profile("tiny"), hardware=hardware))
    summary = render_files(report, CONVENTIONS)["summary.md"]
    assert "tensor_core_flops / 362.0512345e12 + cuda_core_flops / 91.60625e12,\n" in summary
    assert " io_bytes / 864e9) / 1.0\n" in summary


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        (
            "highest",
            ("tensor_core_flops / 91.6e12 +", "float32, matrices as they are", "outside the tensor cores, and for"),
        ),
        (
            "high",
            ("tensor_core_flops / 183e12 +", "float32, matrices rounded to TF32", "peaks for float32 rounded to TF32"),
        ),
    ],
)
def test_a_page_of_float32_says_how_matrices_are_multiplied(precision: str, words: tuple[str, ...]) -> None:
    request = ReportRequest(
        profile=find_profile("tiny"),
        hardware=find_hardware("l40s"),
        dtype="float32",
        float32_matmul_precision=precision,
    )
    summary = render_files(build_report(request), CONVENTIONS)["summary.md"]
    for each in words:
        assert each in summary


def test_what_does_not_fit_says_how_much_is_missing() -> None:
    """Weights of 6.2140 GiB and more, on a card of 7 GiB with a reserve of one."""
    reserve = MemoryReserve(reserve_gib=1.0, reason="a *test*")
    hardware = evolve(find_hardware("l40s"), memory_bytes=7 * 2**30, reserve=reserve)
    summary = render_files(build_report(ReportRequest(profile=find_profile("tiny"), hardware=hardware)), ())[
        "summary.md"
    ]
    assert "**It does not fit into the memory of the card:** see *What fits*." in summary.partition("\n## ")[0]
    assert "| usable: the card less the reserve | 6.00 | 6.00 |" in summary
    assert re.search(r"\n\| headroom, below 0 where memory is missing \| -0\.\d\d \| -0\.\d\d \|\n", summary)
    for words in ("all 83 positions", "the last position"):
        assert f"- With logits of {words}: **does not fit: weights and cache alone are larger**." in summary
    assert r"The reserve is a \*test\*." in summary


def test_what_users_wrote_is_shown_as_it_is() -> None:
    """In their own profiles and cards: neither HTML nor Markdown, nor another row of a table."""
    words = "<script>a</script> | ![b](c) `d` **e**"
    shown = r"\<script\>a\</script\> \| !\[b\](c) \`d\` \*\*e\*\*"
    profile = evolve(find_profile("tiny"), profile_id=words, description=f"{words}\n\n# f")
    source = HardwareSource(title=words, year=1987, states=words)
    hardware = evolve(find_hardware("l40s"), hardware_id=words, name=words, sources=[source])
    summary = render_files(build_report(ReportRequest(profile=profile, hardware=hardware)), CONVENTIONS)["summary.md"]
    assert words not in summary
    for line in (
        f"# deepseek-ai/DeepSeek-OCR, {shown}, on {shown}", rf"{shown} \# f.",
        f"- {shown}, 1987: {shown}",
    ):  # fmt: skip
        assert f"\n{line}\n" in f"\n{summary}"


def test_every_page_ends_with_one_line_break_and_has_no_gap(files: Mapping[str, str]) -> None:
    for path, text in files.items():
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert "\n\n\n" not in text, path


def test_a_page_has_the_operators_of_the_module_and_of_everything_in_it(files: Mapping[str, str]) -> None:
    """The mixture of experts: its own page sums what its children's pages list."""
    page = files["layers/decode.model.layers.1-11.mlp.md"]
    assert page.startswith("# decode.model.layers.1-11.mlp\n\n[request](request.md) / [decode](decode.md) / ")
    own, inside = page.split("## Its own operators")[1].split("## With everything in it")
    assert "index_put" in own
    assert "| mm |" not in own
    assert "| Linear |" not in own
    assert "| Linear |" in inside
    assert "[experts](decode.model.layers.1-11.mlp.experts.md) ModuleList" in inside
    time = sum(
        row.time_ms
        for row in REPORT.prediction.operators  # type: ignore[union-attr] # it has one
        if (row.module_id + ".").startswith("decode.model.layers.1-11.mlp.")
    )
    assert f"{time:#.4g} ms, {100 * time / REPORT.predicted_total_time_ms:.1f} % of the request" in inside


def test_a_module_that_only_holds_others_says_so(files: Mapping[str, str]) -> None:
    assert "None: it only holds other modules." in files["layers/decode.model.layers.md"]
    assert "None: it only holds other modules." not in files["layers/decode.lm_head.md"]


def test_a_module_that_never_runs_says_so(files: Mapping[str, str]) -> None:
    """CLIP's own patch convolution: SAM's features stand for it, so that its weights are only stored."""
    page = files["layers/vision.model.vision_model.embeddings.patch_embedding.md"]
    assert "None: it does not run in this workload." in page
    assert "| own weight_bytes | 1.20 MB (1,204,224) |" in page  # 1024 x 3 x 14 x 14 = 602,112 weights of two bytes
    assert "| own io_bytes | 0 B (0) |" in page


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("lm_head", "one module"),
        ("model.layers.1-11", "11 alike modules, in turn"),
        ("model.layers.1-11.self_attn", "one module in each of 11 alike"),
        ("model.layers.1-11.mlp.experts.0-63", "64 alike modules, side by side, in each of 11 alike"),
        ("model.layers.1-11.mlp.experts.0-63.up_proj", "one module in each of 704 alike"),
    ],
)
def test_a_page_says_how_many_modules_its_numbers_are_of(files: Mapping[str, str], module: str, text: str) -> None:
    assert f"| stands for | {text} |" in files[f"layers/decode.{module}.md"]


def test_a_batch_has_a_time_for_a_page() -> None:
    profile = evolve(find_profile("tiny"), num_pages=7)
    report = build_report(ReportRequest(profile=profile, hardware=find_hardware("l40s")))
    predicted = report.predicted_total_time_ms
    summary = render_files(report, CONVENTIONS)["summary.md"]
    assert f"**{predicted:,.0f} ms** for a batch of 7 pages, {predicted / 7:#.4g} ms a page." in summary


def test_a_measurement_is_compared() -> None:
    measured = evolve(
        REPORT, measured_total_time_ms=400.0, predicted_vs_measured_ratio=REPORT.predicted_total_time_ms / 400
    )
    ratio = f"{REPORT.predicted_total_time_ms / 400:#.4g}"
    assert f"Measured: 400.0 ms, so that predicted / measured = {ratio}." in render_files(measured, ())["summary.md"]


def test_a_report_without_a_prediction_has_no_pages() -> None:
    with pytest.raises(ValueError, match="without a prediction"):
        render_files(make_report(), ())
