"""The page that compares the document models: what of it can be counted without compiling them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import deepseek_ocr_costs
from modelmeter import scaling

FOLDER = Path(__file__).parents[2] / "codegen" / "formulas"
OUTPUT = 1000


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "compared.json").read_text(encoding="utf-8"))
    return document


def find_work(shipped: dict[str, Any], model: str, width: int) -> dict[str, int]:
    (row,) = (row for row in shipped["pages"] if (row["model"], row["page"]["width"]) == (model, width))
    return {name: each["value"] for name, each in row["work"].items()}


def test_it_is_of_a4_pages_at_three_densities(shipped: dict[str, Any]) -> None:
    """8.27 x 11.69 inches at 150, 200 and 300 pixels an inch, each of every model."""
    sides = [(row["page"]["width"], row["page"]["height"]) for row in shipped["pages"]]
    assert sorted(set(sides)) == [(1240, 1754), (1654, 2339), (2480, 3508)]
    assert len(sides) == 3 * len({row["model"] for row in shipped["pages"]})


def test_the_rows_of_deepseek_ocr_are_what_its_evaluators_return(shipped: dict[str, Any]) -> None:
    for width in (1240, 1654, 2480):
        cost = deepseek_ocr_costs.request(prompt_tokens=10, max_new_tokens=OUTPUT, logits_tokens=1)
        work = find_work(shipped, "deepseek-ocr", width)
        assert {name: work[name] for name in cost._fields if name in work} == {
            name: value for name, value in cost._asdict().items() if name in work
        }


def test_the_work_of_qwen_is_what_was_written_by_hand(shipped: dict[str, Any]) -> None:
    """Its tower, prefill and steps by formulas of cells and tokens that were derived by hand."""
    for width, height in ((1240, 1754), (1654, 2339), (2480, 3508)):
        rows, columns = round(height / 28), round(width / 28)
        squares = [16 * (side // 4) + (side % 4) ** 2 for side in (rows, columns)]
        tower = 20480 * (16 * rows**2 * columns**2 + 250252 * rows * columns + 112 * squares[0] * squares[1])
        prompt = rows * columns + 10
        prefill = 32768 * (9 * prompt**2 + 169344 * prompt + 18992)
        steps = sum(32768 * (9 * cached + 188345) for cached in range(prompt, prompt + OUTPUT - 1))
        work = find_work(shipped, "qwen2-5-vl-3b", width)
        assert work["image_tokens"] == rows * columns
        assert work["tensor_core_flops"] == tower + prefill + steps
        assert work["kv_cache_bytes"] == (prompt + OUTPUT - 1) * 36 * 2 * 2 * 128 * 2


def test_the_cache_of_models_with_windows_is_what_was_written_by_hand(shipped: dict[str, Any]) -> None:
    """Ten tokens of prompt beside the image, and 999 steps: all windows are full in the end."""
    for width in (1240, 1654, 2480):
        # Gemma-3: 5 layers keep all positions, and 29 keep 1023; keys and values of 4 heads of 256 channels.
        gemma = find_work(shipped, "gemma-3-4b", width)
        assert gemma["prompt_tokens"] == 256 + 10
        assert gemma["kv_cache_bytes"] == (5 * (266 + 999) + 29 * 1023) * 2 * 4 * 256 * 2
        # Unlimited-OCR: 12 layers keep the prompt and 127 positions; keys and values of 10 heads of 128 channels.
        unlimited = find_work(shipped, "unlimited-ocr", width)
        assert unlimited["kv_cache_bytes"] == (unlimited["prompt_tokens"] + 127) * 12 * 2 * 1280 * 2


def test_every_certificate_is_replayed(shipped: dict[str, Any]) -> None:
    models = len(shipped["models"])
    # Three pages, and FLOPs, bytes, fused bytes and cache.
    assert len(shipped["frontiers"]) == 3 * 4 * models * (models - 1)
    for frontier in shipped["frontiers"]:
        for certificate in frontier["statement"]["certificates"]:
            scaling.certificate_from_json(certificate).check()


def test_the_page_says_what_the_numbers_say(shipped: dict[str, Any]) -> None:
    page = (FOLDER / "compared.md").read_text(encoding="utf-8")
    for row in shipped["pages"]:
        numbers = [f"{row['work'][name]['value']:,}" for name in ("image_tokens", "tensor_core_flops")]
        assert f"| {row['model']} | {row['page']['width']}x{row['page']['height']} | {' | '.join(numbers)} |" in page
