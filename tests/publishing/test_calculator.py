"""The calculator in a real browser: Python's integers and refusals, whatever is typed, and copies that compute them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from calculator_page import READ, TYPE, answer, draw_workload

import deepseek_ocr_costs as costs
import modelmeter
from modelmeter.models.deepseek_ocr.page_views import PAGE_VIEWS
from modelmeter.publishing.site.calculator import shorten_script
from modelmeter.support.errors import WorkloadError

WORKLOADS = 500

MOST_BYTES = 60_000


def test_scripts_are_shortened_to_what_they_mean() -> None:
    """Space inside texts, and between signs that would become one, says something."""
    script = """
      // A line of its own.
      const a = b - -c + +d, e = f++ + g, h = `x  ${ i }`;
      /** More
          lines. */
      if (a !== "  //  ") return 'y  z'.at(- 1);
      for (const k of l) delete m.n;
    """
    assert shorten_script(script) == (
        "const a=b - -c + +d,e=f++ + g,h=`x  ${ i }`;if(a!==\"  //  \")return'y  z'.at(-1);for(const k of l)delete m.n;"
    )


def read_integer(text: str) -> int:
    return int(text.replace("\u202f", ""))


def test_the_numbers_and_refusals_are_those_of_python_and_none_is_stale(page: Any) -> None:
    draw = Random(7)
    workloads = [draw_workload(draw) for _ in range(WORKLOADS)]
    answers = page.evaluate(
        f"(workloads) => workloads.map((each) => {{ ({TYPE})(each); return ({READ})(); }})", workloads
    )
    refusals = 0
    for workload, shown in zip(workloads, answers, strict=True):
        expected = answer(workload)
        if isinstance(expected, str):
            refusals += 1
            assert shown["refusal"] == expected, workload
            assert shown["isHidden"]
            assert not "".join([*shown["texts"].values(), *shown["values"].values(), shown["stale"]]), workload
            continue
        assert not shown["refusal"], workload
        assert not shown["isHidden"]
        assert shown["values"] == expected, workload
        for cell, text in shown["texts"].items():
            digits = text.replace("\u202f", "").replace(".", "")  # microseconds are written as milliseconds
            assert int(digits) == int(expected[cell]), (cell, workload)
    assert WORKLOADS / 5 < refusals < WORKLOADS * 4 / 5, "both answers were seen"


def test_one_coefficient_that_is_altered_is_seen(site_folder: Path, browser: Any, tmp_path: Path) -> None:
    """Some factors of the programs of costs, each made larger by one, change a number of one of a few workloads."""
    altered = shutil.copytree(site_folder, tmp_path / "altered")
    script = altered / "assets/evaluators.js"
    before, after = script.read_text(encoding="utf-8").split("M.programs", 1)
    costs_only = after.partition("const peak_")[0]  # of a peak, a factor matters where it is the largest
    factors = list(re.finditer(r"(?<!==)(?<!\w)(\d+)n\*", costs_only))[::12]
    assert len(factors) > 5
    draw, workloads = Random(17), []
    while len(workloads) < 15:
        workload = draw_workload(draw)
        workloads += [] if isinstance(answer(workload), str) else [workload]
    expected = [answer(workload) for workload in workloads]
    page = browser.new_page()
    for found in factors:
        changed = f"{after[: found.start(1)]}{int(found[1]) + 1}{after[found.end(1) :]}"
        script.write_text(f"{before}M.programs{changed}", encoding="utf-8")
        page.goto((altered / "calculator.html").as_uri())
        shown = page.evaluate(
            f"(workloads) => workloads.map((each) => {{ ({TYPE})(each); return ({READ})(); }})", workloads
        )
        assert [each["values"] for each in shown] != expected, after[found.start() - 60 : found.end() + 60]
    page.close()


def test_pages_are_cut_as_python_cuts_them(page: Any) -> None:
    """Sides of all lengths, those where ratios are halfway among them, on three sizes of tiles."""
    draw = Random(3)
    sides = (1, 640, 641, 1280, 1920, 2**26)
    asked = [
        (
            *(draw.choice((draw.randint(1, 5000), draw.choice(sides), draw.randint(1, 2**26))) for _ in range(2)),
            draw.choice((640, 1024, 457, 2**26)), draw.choice(("", "serving", "transformers")),
        )
        for _ in range(20_000)
    ]  # fmt: skip
    script = """(asked) => {
      const refuse = (problem, { place, found }) => { throw new RangeError(`${place}: ${problem}: ${found}`); };
      const views = PAGE_VIEWS(refuse);
      return asked.map(([width, height, image_size, preprocessing]) => {
        try {
          const sizes = { image_size: BigInt(image_size) };
          return Object.values(views.cut(BigInt(width), BigInt(height), sizes, preprocessing)).map(Number);
        } catch (error) { return error.message; }
      });
    }"""
    refused = 0
    for (width, height, image_size, program), found in zip(asked, page.evaluate(script, asked), strict=True):
        try:
            expected: Any = list(PAGE_VIEWS.cut(width, height, {"image_size": image_size}, program or None).values())
        except WorkloadError as error:
            expected = f"{error.place}: {error.problem}: {error.found}"
            refused += 1
        assert found == expected, (width, height, image_size, program)
    assert refused > 1000


def test_a_mode_sets_the_views_and_a_page_its_tiles(page: Any) -> None:
    """A view of 512 pixels has 8 x 9 + 1 = 73 tokens."""
    page.select_option("#field-mode", "tiny")
    assert [page.input_value(f"#field-{name}") for name in ("base_size", "num_width_tiles")] == ["512", "1"]
    assert page.locator("#tokens").inner_text().startswith("image_tokens 73,")
    page.select_option("#field-mode", "gundam-m")
    assert [page.input_value(f"#field-num_{side}_tiles") for side in ("width", "height")] == ["2", "3"]
    page.fill("#field-page_width", "3300")
    assert "page_height: a size is not a whole number in range" in page.locator("#refusal").inner_text()
    assert page.input_value("#field-num_width_tiles") == "", "nothing stale among what follows either"
    page.fill("#field-page_height", "2550")
    page.select_option("#field-preprocessing", "serving")
    expected = modelmeter.page_sizes(3300, 2550, base_size=1280, image_size=1024, preprocessing="serving")
    shown = {name: int(page.input_value(f"#field-{name}")) for name in expected}
    assert shown == expected
    assert page.input_value("#field-mode") == "gundam-m"
    page.fill("#field-base_size", "640")
    assert page.input_value("#field-mode") == "", "these are not its sizes any more"


def test_a_card_is_typed_in(page: Any) -> None:
    """At 1 FLOP a microsecond the products bind; of 9 GiB with 2 of reserve, 7 x 2^30 = 7,516,192,768 bytes are."""
    for name, text in (
        ("tensor_flops_per_second", "1e6"), ("vector_flops_per_second", "66.9e12"), ("memory_bytes", str(9 * 2**30)),
        ("reserve_gib", "2"),
    ):  # fmt: skip
        page.fill(f"#field-{name}", text)
    assert page.input_value("#field-card") == ""
    value = page.get_attribute('button[data-cell="request.time"]', "data-value")
    assert int(value) == costs.request_tensor_core_flops()
    assert page.locator('[data-binds="decode"]').inner_text() == "matrix products"
    needed = int(page.get_attribute('button[data-cell="request.memory"]', "data-value"))
    assert page.locator("#fits").inner_text().startswith("It fits" if needed <= 7_516_192_768 else "It does not fit")
    page.fill("#field-reserve_gib", "8.5")
    assert page.locator("#fits").inner_text().startswith("It does not fit")
    assert "batch_size 0 is" in page.locator("#batch").inner_text()
    for name, text, message in (
        ("vector_flops_per_second", "0", "wrong value; expected a finite number above 0; found float 0.0"),
        ("memory_bytes", "1.5", "wrong value; expected a whole number of at least 1, below 2^63; found str '1.5'"),
        ("memory_bytes_per_second", "fast", "wrong value; expected a finite number above 0; found str 'fast'"),
    ):
        before = page.input_value(f"#field-{name}")
        page.fill(f"#field-{name}", text)
        assert page.locator("#refusal").inner_text() == f"{name}: {message}"
        assert not page.locator("#results").is_visible()
        page.fill(f"#field-{name}", before)
    assert page.locator("#results").is_visible()


def test_the_largest_batch_fits_and_one_more_does_not(page: Any) -> None:
    page.fill("#field-batch_size", "5")
    page.fill("#field-vision_batch_size", "5")
    found = re.search(r"batch_size (\S+) is the largest", page.locator("#batch").inner_text())
    assert found is not None
    largest = read_integer(found[1])
    usable = 85_899_345_920 - 2_297_807_504  # 80 GiB less 2.14 of them, rounded up

    def measure(batch_size: int) -> int:
        sizes = {"batch_size": batch_size, "vision_batch_size": 5}
        cost = costs.request(**sizes)
        return cost.weight_bytes + cost.kv_cache_bytes + costs.request_peak_activation_bytes(**sizes)

    assert largest % 5 == 0
    assert measure(largest) <= usable < measure(largest + 5)


@pytest.mark.parametrize("size", ["batch_size", "max_new_tokens", "base_size", "seq_len", "kv_bits"])
def test_each_point_of_the_chart_is_exact(page: Any, size: str) -> None:
    page.click('button[data-cell="request.io_bytes"]')
    page.select_option("#field-over", size)
    rows = list(csv.DictReader(io.StringIO(page.locator("#points").text_content())))
    assert len(rows) > 10
    assert page.locator("#chart path").count() == 1
    for row in rows:
        assert int(row["request.io_bytes"]) == costs.request_io_bytes(**{size: int(row[size])}), row
    if size == "base_size":  # a patch has 16 pixels
        assert "base_size must be at least sam_patch_size" in page.locator("#chart-title").inner_text()
        page.fill("#field-from", "no number")
        assert page.locator("#chart-title").inner_text().startswith("from: the value is not an integer")
        assert page.locator("#points").text_content() == ""


def test_the_inputs_that_move_a_number_are_marked(page: Any) -> None:
    """Every input that changes a number of Python is marked; weights are moved by the bits of a weight alone."""
    changed = {
        "batch_size": 3, "base_size": 1063, "image_size": 457, "num_width_tiles": 5, "num_height_tiles": 7,
        "prompt_tokens": 97, "max_new_tokens": 31, "weight_bits": 8, "activation_bits": 8, "kv_bits": 8,
        "images_per_prompt": 3, "expert_routing": "even",
    }  # fmt: skip
    standard = costs.stages()._asdict()
    for cell in ("request.weight_bytes", "prefill.kv_cache_bytes", "vision.io_bytes", "decode.tensor_core_flops"):
        stage, metric = cell.split(".")
        moving = {
            name
            for name, value in changed.items()
            if getattr(getattr(costs.stages(**{name: value}), stage), metric) != getattr(standard[stage], metric)
        }
        page.click(f'button[data-cell="{cell}"]')
        marked = set(page.evaluate("[...document.querySelectorAll('.moves [name]')].map(({ name }) => name)"))
        assert moving <= marked <= {*moving, "vision_batch_size"}, cell
        assert page.locator("#detail-formula math").first.is_visible()
        assert set(page.locator("#detail-movers").inner_text().split(", ")) == marked
    page.fill("#field-prompt_tokens", "")
    page.fill("#field-seq_len", "913")
    page.click('button[data-cell="prefill.kv_cache_bytes"]')
    assert page.locator("#detail-movers").inner_text() == "batch_size, seq_len, kv_bits"


def test_every_number_has_its_formula(page: Any) -> None:
    for cell in page.evaluate("[...document.querySelectorAll('button[data-cell]')].map(({ dataset }) => dataset.cell)"):
        page.click(f'button[data-cell="{cell}"]')
        assert page.locator("#detail-formula").inner_text(), cell
        is_zero = page.get_attribute(f'button[data-cell="{cell}"]', "data-value") == "0"
        assert (page.locator("#detail-movers").inner_text() == "none of the fields") == is_zero, cell


def test_the_keyboard_alone_changes_the_mode_reads_a_cell_and_finds_the_copies(page: Any) -> None:
    page.focus("#field-mode")
    page.keyboard.type("tiny")
    assert page.locator("#tokens").inner_text().startswith("image_tokens 73,")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.cell ?? ''"):
            break
    assert page.evaluate("document.activeElement.dataset.cell") == "decode.io_bytes"
    walked = []
    for key in ("ArrowUp", "ArrowLeft", "ArrowRight", "ArrowRight", "ArrowRight", *["ArrowDown"] * 9, "ArrowUp"):
        page.keyboard.press(key)
        walked.append(page.evaluate("document.activeElement.dataset.cell"))
    assert walked[:5] == [
        "decode.cuda_core_flops", "prefill.cuda_core_flops", "decode.cuda_core_flops", "request.cuda_core_flops",
        "request.cuda_core_flops",
    ]  # fmt: skip
    assert walked[-2:] == ["request.memory", "request.time"]
    assert page.locator("#detail-name").inner_text() == "request · time"
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"field-over", "copy-link", "copy-csv", "copy-latex", "copy-python", "Copy"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_numbers_and_after_a_refusal(site_folder: Path, browser: Any, scheme: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = browser.new_page(color_scheme=scheme)
    page.goto((site_folder / "calculator.html").as_uri())
    page.click('button[data-cell="vision.time"]')
    assert page.locator("#detail-formula math").is_visible()
    assert not axe.Axe().run(page).response["violations"]
    page.fill("#field-batch_size", "two")
    assert page.locator("#refusal").is_visible()
    assert not axe.Axe().run(page).response["violations"]
    page.close()


def test_the_scripts_are_short_and_ask_for_nothing(site: dict[str, bytes]) -> None:
    scripts = {path: site[f"assets/{path}.js"] for path in ("evaluators", "calculator")}
    assert sum(map(len, scripts.values())) < MOST_BYTES
    for content in scripts.values():
        assert not re.search(rb"fetch\(|XMLHttpRequest|import\(|https?:|sendBeacon|WebSocket", content)
    data = re.search(r'id="data">(.*?)</script>', site["calculator.html"].decode(), re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["package"] == "deepseek_ocr_costs"
