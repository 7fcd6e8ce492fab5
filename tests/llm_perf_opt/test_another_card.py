"""The example: a report's JSON is all that another card's time needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from llm_perf_opt.data.serialization import to_json
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.profiles import find_profile
from llm_perf_opt.reporting.build import ReportRequest, build_report

EXAMPLE = Path(__file__).parents[2] / "examples" / "another_card.py"


def test_it_finds_what_a_report_for_that_card_says(tmp_path: Path) -> None:
    profile = find_profile("dsocr-standard-v1")
    reports = {
        name: build_report(ReportRequest(profile=profile, hardware=find_hardware(name), efficiency=0.625))
        for name in ("h100-sxm", "a100-sxm-80gb", "l40s")
    }
    file = tmp_path / "report.json"
    file.write_text(to_json(reports["h100-sxm"]), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    times = [float(time) for time in re.findall(r" ([0-9.]+) ms", done.stdout)]
    # It prints three digits after the point; the fourth card has 6 GiB, less than the model.
    for time, report in zip(times[:3], reports.values(), strict=True):
        assert abs(time - report.predicted_total_time_ms) <= 0.0005
    assert len(set(times)) == 4
    assert int(re.findall(r"(\d+)% of its memory", done.stdout)[-1]) > 100


def test_it_is_short_and_needs_nothing_of_ours() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count("\n") < 60
    assert not re.search(r"^(import|from) (llm_perf_opt|modelmeter|deepseek_ocr_costs)", text, re.MULTILINE)


def test_the_cards_are_the_shipped_ones() -> None:
    """Its numbers are copies, since it imports nothing; they must not drift."""
    scope: dict[str, object] = {"__name__": "example"}
    exec(compile(EXAMPLE.read_text(encoding="utf-8"), str(EXAMPLE), "exec"), scope)
    cards = scope["CARDS"]
    assert isinstance(cards, dict)
    for name in ("a100-sxm-80gb", "l40s"):
        card = find_hardware(name)
        assert cards[card.name] == (
            card.tensor_peak("bfloat16"), card.vector_flops_per_second, card.memory_bytes_per_second, card.memory_bytes
        )  # fmt: skip
