"""What is taken away from the calculator: its address, and copies that compute the same."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

from calculator_page import SIZES, STAGES, STANDARD, TYPE, answer, draw_workload, find_sizes

ROOT = Path(__file__).parents[2]


USUAL = {
    "batch_size": "15", "images_per_prompt": "1", "vision_batch_size": "3", "base_size": "1063", "image_size": "457",
    "num_width_tiles": "5", "num_height_tiles": "7", "prompt_tokens": "997", "max_new_tokens": "31",
    "weight_bits": "4.5", "activation_bits": "11", "kv_bits": "8",
}  # fmt: skip
"""A workload that is not refused."""


def test_the_address_restores_the_page(page: Any, browser: Any) -> None:
    draw = Random(11)
    for _ in range(4):
        workload = draw_workload(draw)
        while isinstance(answer(workload), str):
            workload = draw_workload(draw)
        page.evaluate(TYPE, workload)
        page.click('button[data-cell="prefill.cuda_core_flops"]')
        page.select_option("#field-over", "prompt_tokens")
        page.fill("#field-to", "4001")
        address = page.locator("#copy-link").inner_text()
        page.wait_for_url(address)
        other = browser.new_page()
        other.goto(address)
        for selector in ("#costs", "#detail", "#copy-python", "#points"):
            assert other.locator(selector).inner_text() == page.locator(selector).inner_text(), workload
        names = [*workload, "from", "to", "over", "cell"]
        assert [other.input_value(f'[name="{name}"]') for name in names] == [
            page.input_value(f'[name="{name}"]') for name in names
        ]
        other.close()


def test_an_address_with_nonsense_is_refused_or_ignored(page: Any, site_folder: Path) -> None:
    page.goto(f"{(site_folder / 'calculator.html').as_uri()}#card=none&batch_size=%3Cb%3E&cell=x&other=1")
    page.reload()
    page.wait_for_selector("#refusal:not(:empty)")  # a reload may end before the script of the page has run
    assert page.locator("#refusal").inner_text() == (
        "batch_size: the value is not an integer; expected digits: 1913 or 1_913; found <b>"
    )
    page.fill("#field-batch_size", "3")
    assert page.input_value("#field-card") == "h100-sxm"
    assert page.locator("#detail-name").inner_text() == "decode · io_bytes"


def test_the_copies_in_python_reproduce_the_page(page: Any) -> None:
    """Each asserts every cost, the peak, the bytes that are needed and the least time."""
    draw, programs = Random(13), []
    while len(programs) < 12:
        workload = draw_workload(draw)
        if not isinstance(answer(workload), str):
            page.evaluate(TYPE, workload)
            programs.append(page.locator("#copy-python").inner_text())
    assert any("Fraction(" in program for program in programs)
    assert all(program.count("assert ") == 8 for program in programs)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(programs)], check=True, timeout=60, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.count("at least") == len(programs)


def test_the_copies_in_csv_and_latex_are_the_table(page: Any) -> None:
    workload = {**STANDARD, **dict.fromkeys(SIZES, ""), **USUAL}
    expected = answer(workload)
    assert not isinstance(expected, str)
    page.evaluate(TYPE, workload)
    rows = list(csv.DictReader(io.StringIO(page.locator("#copy-csv").text_content())))
    assert [row["stage"] for row in rows] == [*STAGES, "request"]
    sizes = find_sizes(workload)
    for row in rows:
        for name, value in row.items():
            if f"{row['stage']}.{name}" in expected:
                assert value == expected[f"{row['stage']}.{name}"]
        assert row["least_microseconds"] == expected[f"{row['stage']}.time"]
        assert {name: row[name] for name in sizes} == {name: str(value) for name, value in sizes.items()}
    lines = page.locator("#copy-latex").text_content().splitlines()
    table = [line.removesuffix(r" \\").split(" & ") for line in lines if line.endswith(r" \\")]
    assert table[0][1:] == [*STAGES, "request"]
    for head, *values in table[1:-1]:
        metric = head.replace("\\", "")
        assert [value.replace("\\,", "") for value in values] == [expected[f"{each}.{metric}"] for each in table[0][1:]]
    assert len(table) == 10, "a head, eight metrics, and the time"
