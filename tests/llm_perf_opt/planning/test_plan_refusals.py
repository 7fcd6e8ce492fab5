"""``modelmeter plan`` with bad input: one line, a typed exception, and nothing of others touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Run, assert_refused


def test_files_of_others_stay(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.md").write_text("mine")
    result = run("plan", "--card", "l4", "--out", str(tmp_path / "out"))
    assert_refused(result, "plan.md")
    assert (tmp_path / "out" / "plan.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--pages", "nowhere.csv"), ("nowhere.csv", "cannot be read")),
        (("--card", "l4", "--max-latency", "0.001"), ("--max-latency", "at least", "l4", "one at a time")),
        (("--card", "l4", "--gpu-memory-utilization", "0.3"), ("not even one page fits", "GiB", "l4")),
        (("--card", "h100"), ("no card", "h100-sxm")),
        (("--card", "l4", "--card", "l4"), ("a card is named twice",)),
        (("--mode", "gundma"), ("mode", "gundam")),
        (("--pages-per-day", "0"), ("--pages-per-day", "above 0")),
        (("--pages-per-second", "nan"), ("--pages-per-second", "above 0")),
        (("--max-latency", "-1"), ("--max-latency", "above 0")),
        (("--pages-per-day", "5", "--pages-per-second", "5"), ("given twice",)),
        (("--page", "1191x1684", "--workload", "gundam"), ("given twice",)),
        (("--workload", "gundam", "--mode", "tiny"), ("the workload says that itself",)),
        (("--workload", "gundam", "--output-tokens", "5"), ("--output-tokens",)),
        (("--engine", "vllm"), ("vllm",)),
        (("--card", "l4", "--dtype", "float8"), ("dtype", "bfloat16")),
        (("--weight-bits", "0"), ("weight_bits", "number of bits")),
        (("--headroom", "1"), ("--headroom", "at most 0.9")),
        (("--reserve", "-1"), ("--reserve", "at least 0")),
        (("--gpu-memory-utilization", "1.5"), ("--gpu-memory-utilization", "at most 1")),
        (("--page", "0x100"), ("--page", "each from 1 to", "0x100")),
        (("--card", "l4", "--price", "l4=abc"), ("--price", "abc is no price")),
        (("--logits", "some"), ("logits", "last, all")),
        (("--price", "free"), ("free",)),
        (("--card", "a100-sxm-80gb", "--dtype", "float8_e4m3fn"), ("a100-sxm-80gb", "no rate")),
        (("--preprocessing", "mine"), ("preprocessing",)),
        (("--burstiness", "-1", "--pages-per-day", "5"), ("burstiness",)),
        (("--burstiness", "1"), ("no load to simulate", "--pages-per-day")),
        (("--model", "nothing"), ("no model",)),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_bad_input_ends_in_one_line(run: Run, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_refused(run("plan", *arguments), *words)


def test_files_of_another_kind_are_refused_in_words_of_ours(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pages.csv").write_text("width;height;output_tokens\n1191;1684;7\n")
    assert_refused(run("plan", "--pages", str(tmp_path / "pages.csv")), "separate columns with commas")
    for name, option in (("mine.yaml", "--engine"), ("bytes.csv", "--pages")):
        (tmp_path / name).write_bytes(b"width\xff\x00\xfe")
        result = run("plan", "--card", "l4", option, str(tmp_path / name))
        assert_refused(result, name, "expected text in UTF-8")
        assert "codec" not in result.err


def test_a_card_file_without_bandwidth_is_refused_by_key(run: Run, tmp_path: Path) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(
        "hardware_id: x\nname: x\ntensor_flops_per_second: {bfloat16: 1e12}\nvector_flops_per_second: 1e12\n"
        "memory_bytes: 17179869184\n"
    )
    assert_refused(run("plan", "--card", str(card)), "memory_bytes_per_second", str(card))
