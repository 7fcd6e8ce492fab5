"""A page on the command line: the views of both of the vendor's programs, and nothing where they differ unnamed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run, assert_refused, run_apart

import deepseek_ocr_costs as costs


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        (("--preprocessing", "transformers"), {"num_width_tiles": 3, "num_height_tiles": 3}),
        (("--preprocessing", "serving"), {"num_width_tiles": 2, "num_height_tiles": 2}),
        (("image_size=1024", "base_size=1280", "--preprocessing", "serving"),
         {"num_width_tiles": 2, "num_height_tiles": 2, "image_size": 1024, "base_size": 1280}),
    ],
)  # fmt: skip
def test_the_tiles_of_a_square_page(run: Run, options: tuple[str, ...], sizes: dict[str, int]) -> None:
    result = json.loads(run("eval", "request", "--page", "1920x1920", *options, "--json").out)
    assert result["cost"] == costs.request(**sizes)._asdict()
    assert {name: result["arguments"][name] for name in sizes} == sizes


def test_the_tiles_of_a_page_that_is_cut_in_one_way_only(run: Run) -> None:
    """A4 at 144 dots per inch has 2 x 3 tiles, as the default page."""
    result = json.loads(run("eval", "vision", "--page", "1191x1684", "--json").out)
    assert result["cost"] == costs.vision()._asdict()


@pytest.mark.parametrize(
    ("program", "tokens", "side"),
    [("transformers", 10 * 11 + 1, 640), ("serving", 16 * 17 + 1, 1024)],
)
def test_a_page_that_is_not_cut(run: Run, program: str, tokens: int, side: int) -> None:
    """Its cache at the end of a request: image tokens, 10 of the prompt, and all new tokens but the first."""
    result = run("eval", "request", "--no-crop", "--preprocessing", program, "max_new_tokens=1", "--json")
    found = json.loads(result.out)
    assert found["cost"]["kv_cache_bytes"] == (tokens + 10) * 12 * 2 * 1280 * 2
    assert (found["arguments"]["base_size"], found["arguments"]["num_width_tiles"]) == (side, 1)


def test_a_sweep_of_a_page(run: Run) -> None:
    result = run(
        "sweep", "vision", "--grid", "batch_size=2,3", "--page", "1920x1920", "--preprocessing", "transformers",
        "--metric", "io_bytes", "--out", "-",
    )  # fmt: skip
    expected = [costs.vision(batch_size=n, num_width_tiles=3, num_height_tiles=3).io_bytes for n in (2, 3)]
    held = "images_per_prompt,vision_batch_size,base_size,image_size,num_width_tiles,num_height_tiles"
    assert result.out.splitlines() == [
        f"batch_size,{held},weight_bits,activation_bits,io_bytes",
        f"2,1,1,1024,640,3,3,16,16,{expected[0]}",
        f"3,1,1,1024,640,3,3,16,16,{expected[1]}",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("eval", "request", "--page", "1920x1920"),
            ("preprocessing", "(3, 3)", "(2, 2)", "say which one is meant, with --preprocessing"),
        ),
        (("eval", "request", "--no-crop"), ("preprocessing", "640", "1024", "say which one is meant")),
        (("eval", "request", "--page", "1920"), ("--page", "WxH")),
        (("eval", "request", "--page", "0x7"), ("--page", "size of a page", "each from 1 to", "0x7")),
        (("eval", "request", "--page", "999999999x7"), ("--page", "each from 1 to 67108864", "999999999x7")),
        (("eval", "request", "--page", "7x67108865"), ("--page", "each from 1 to 67108864", "7x67108865")),
        (("eval", "request", "--page", "1x1000000000"), ("--page", "each from 1 to 67108864", "1x1000000000")),
        (("eval", "request", "--page", "7x7", "--preprocessing", "vllm"), ("transformers or serving", "vllm")),
        (("eval", "request", "--preprocessing", "serving"), ("--preprocessing", "--page or --no-crop")),
        (("eval", "request", "--page", "7x7", "--no-crop"), ("--page", "leave out")),
        (("eval", "request", "--page", "7x7", "num_width_tiles=2"), ("num_width_tiles", "follow from the page")),
        (("eval", "prefill", "--page", "7x7"), ("prefill", "does not depend on the views")),
        (("eval", "linear", "--no-crop"), ("linear", "does not depend on the views")),
        (("sweep", "vision", "--grid", "image_size=640,1024", "--page", "7x7", "--out", "-"), ("image_size",)),
        (("sweep", "vision", "--grid", "base_size=640,1024", "--no-crop", "--out", "-"), ("base_size",)),
        (("sweep", "absent", "--grid", "base_size=640", "--no-crop", "--out", "-"), ("absent",)),
        (("report", "--workload", "tiny", "--preprocessing", "vllm"), ("transformers or serving", "vllm")),
    ],
)
def test_what_cannot_be_meant_is_refused(run: Run, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_refused(run(*arguments), *words)


def test_a_report_takes_the_program(run: Run, tmp_path: Path) -> None:
    """One view of 1024 pixels has 273 tokens, one of 640 has 111: a prompt of 283 holds both."""
    profile = tmp_path / "uncut.yaml"
    profile.write_text(
        "profile_id: uncut\ndescription: a page that is not cut\nseq_len: 283\nbase_size: 1024\nimage_size: 640\n"
        "crop_mode: false\nmax_new_tokens: 3\ndoc_kind: text_heavy\nnum_pages: 1\n",
        encoding="utf-8",
    )
    refused = run("report", "--workload", profile, "--out", tmp_path / "none")
    assert_refused(refused, "preprocessing", "640", "1024")
    assert not (tmp_path / "none").exists()
    for program, side in (("transformers", 640), ("serving", 1024)):
        out = tmp_path / program
        assert run("report", "--workload", profile, "--preprocessing", program, "--out", out).code == 0
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        assert report["workload"]["preprocessing"] == program
        assert report["prediction"]["sizes"]["base_size"] == side


def test_a_report_of_a_page(run: Run, tmp_path: Path) -> None:
    """A page of 3 x 2 tiles: (2 * 10) * (3 * 10 + 1) = 620 tokens of tiles and 16 * 17 + 1 of its view, 10 of text."""
    assert run("report", "--page", "1684x1191", "--out", tmp_path / "wide").code == 0
    report = json.loads((tmp_path / "wide" / "report.json").read_text(encoding="utf-8"))
    sizes = {name: report["prediction"]["sizes"][name] for name in ("num_width_tiles", "num_height_tiles", "seq_len")}
    assert sizes == {"num_width_tiles": 3, "num_height_tiles": 2, "seq_len": 620 + 273 + 10}
    assert (report["workload"]["page_width"], report["workload"]["page_height"]) == (1684, 1191)
    refused = run("report", "--workload", "tiny", "--page", "1684x1191", "--out", tmp_path / "none")
    assert_refused(refused, "tiny", "not cut", "leave out --page")
    assert_refused(run("report", "--page", "1920x1920", "--out", tmp_path / "none"), "preprocessing", "say which")
    assert not (tmp_path / "none").exists()


def test_pages_need_no_sympy() -> None:
    result = run_apart("eval", "request", "--page", "1191x1684", forbidden=("sympy", "torch", "numpy"))
    assert (result.returncode, result.stderr) == (0, "")
