"""The examples run as their first lines say, and what they print is right."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from card_pages import PARAMETERS, count_pages
from llm_perf_opt.cli import app

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
CODEGEN = ROOT / "codegen"


def run_example(name: str, *arguments: object, folder: Path) -> str:
    """Run an example in a folder of its own, and return what it prints."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        capture_output=True, text=True, timeout=240, check=False, cwd=folder, env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 70


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_says_what_it_is_for(path: Path, tmp_path: Path) -> None:
    """Its first line, which its help has too; and nothing is done."""
    out = run_example(path.name, "--help", folder=tmp_path)
    assert out.startswith(f"usage: {path.name}")
    assert path.read_text(encoding="utf-8").splitlines()[0].removeprefix('"""') in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("another_card.py", (), "the following arguments are required: report"),
        ("another_card.py", ("no.json",), "no.json is no report: [Errno 2] No such file"),
        ("another_card.py", (EXAMPLES / "demo.py",), "demo.py is no report"),
        ("attention_overtakes_mlp.py", ("picture.docx",), "picture.docx cannot be drawn"),
        ("cheapest_mode.py", ("0",), "an image token carries at least one text token"),
        ("largest_batch.py", ("h100",), "did you mean h100-sxm"),
        ("largest_batch.py", ("h100-sxm", "0"), "max_new_tokens"),
        ("cost_a_page.py", ("gundam",), "unrecognized arguments: gundam"),
        ("demo.py", (), "the following arguments are required: folder"),
        ("demo.py", ("no",), "no has no evaluators: run modelmeter compile --out no"),
        ("fill_a_card.py", ("h100",), "did you mean h100-sxm"),
        ("fill_a_card.py", ("no.yaml",), "no.yaml"),
        ("sweep_on_a_cluster.py", (), "the following arguments are required: path"),
        ("sweep_on_a_cluster.py", ("sweep.xlsx",), "expected .parquet or .csv"),
        ("sweep_on_a_cluster.py", ("sweep.csv", "nowhere"), "error: "),
        ("write_formula_page.py", ("deepseek_v2_mo",), "no layer is called deepseek_v2_mo, only deepseek_ocr_for"),
        ("write_formula_page.py", ("linear", "no"), "no is no folder"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    name: str, arguments: tuple[object, ...], words: str, tmp_path: Path
) -> None:
    """After the usage, where it is how the example was called."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert result.returncode in (1, 2)
    *usage, problem = result.stderr.splitlines()
    assert words in problem
    assert "error: " in problem
    assert [line.startswith("usage: ") for line in usage] == [True] * len(usage)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_cost_a_page_in_every_mode(tmp_path: Path) -> None:
    """Image tokens: g (g + 1) + 1 for the page, and 3 g (2 g + 1) for 2 x 3 tiles; a side of s gives g = s / 64."""
    header, *rows = [line.split() for line in run_example("cost_a_page.py", folder=tmp_path).splitlines()]
    assert header[0] == "mode"
    assert {row[0]: int(row[1].replace(",", "")) for row in rows} == {
        "tiny": 8 * 9 + 1,
        "small": 10 * 11 + 1,
        "base": 16 * 17 + 1,
        "large": 20 * 21 + 1,
        "gundam": 16 * 17 + 1 + 30 * 21,
        "gundam-m": 20 * 21 + 1 + 48 * 33,
    }
    # The cache at the end: 12 layers, keys and values of 1280 channels, 2 bytes each, 10 tokens of text, 1023 steps.
    gundam = next(row for row in rows if row[0] == "gundam")
    assert float(gundam[4]) == pytest.approx(12 * 2 * 1280 * 2 * (903 + 10 + 1023) / 1e9, abs=0.0005)


def test_fill_a_card(tmp_path: Path) -> None:
    """In mode base a page has 273 + 10 tokens of prompt and 1023 steps: :func:`card_pages.count_pages`."""
    _, _, *rows = run_example("fill_a_card.py", folder=tmp_path).splitlines()
    modes = ["tiny", "small", "base", "large", "gundam", "gundam-m"]
    assert [row.split()[:2] for row in rows] == [[mode, logits] for mode in modes for logits in ("all", "last")]
    for row, num_pages in zip(rows[4:6], count_pages(283), strict=True):
        _, _, pages, held, seconds, rate = row.split()
        assert int(pages) == num_pages
        assert float(held) == pytest.approx(77.86, abs=0.3)  # a page takes less than that
        assert float(rate) == pytest.approx(num_pages / float(seconds), abs=0.1)
    card = (ROOT / "src/llm_perf_opt/hardware/l40s.yaml").read_text(encoding="utf-8")
    (tmp_path / "small.yaml").write_text(card.replace("51539607552", str(7 * 2**30)), encoding="utf-8")
    _, _, *rows = run_example("fill_a_card.py", tmp_path / "small.yaml", folder=tmp_path).splitlines()
    assert [row.split()[2] for row in rows] == ["0"] * 12
    assert min(float(row.split()[3]) for row in rows) > 2 * PARAMETERS / 2**30  # what one page needs


def test_attention_overtakes_the_mlps(tmp_path: Path) -> None:
    """Equal where 4 d S^2 L = 6 d S (6848 + 11 (6 + 2) 896) + 2 d S 11 * 64, for 12 layers of which 11 have experts.

    That is S = (6 * 6848 + 11 * (6 * 8 * 896 + 2 * 64)) / 48 = 515584 / 48 = 32224 / 3 = 10741.33...
    """
    out = run_example("attention_overtakes_mlp.py", "picture.png", folder=tmp_path)
    assert "They cost the same at seq_len = 32224/3 (proved)." in out
    assert "Attention costs more from 10742 tokens on." in out
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_largest_batch(tmp_path: Path) -> None:
    """A page has 903 + 10 tokens of prompt and 1023 steps: :func:`card_pages.count_pages`; the prefill binds."""
    lines = run_example("largest_batch.py", folder=tmp_path).splitlines()
    assert [line for line in lines if "holds" in line] == [
        f"NVIDIA H100 SXM5 80GB holds {num_pages} pages; prefill binds." for num_pages in count_pages(913)
    ]
    for logits, num_pages in zip(("all", "last"), count_pages(913), strict=True):
        (row,) = (line.split() for line in lines if line.startswith(f"logits of {logits}") and "prefill" in line)
        assert int(row[8].replace(",", "")) == num_pages


def test_the_cheapest_mode(tmp_path: Path) -> None:
    """A mode carries ten text tokens for each image token, and each costs at least as much as the one before it."""
    lines = run_example("cheapest_mode.py", folder=tmp_path).splitlines()
    assert [line.split(": ")[1] for line in lines[:5]] == ["always, proved"] * 5
    rows = [line.replace(",", "").split() for line in lines[5:]]
    image_tokens = [8 * 9 + 1, 10 * 11 + 1, 16 * 17 + 1, 20 * 21 + 1, 16 * 17 + 1 + 30 * 21, 20 * 21 + 1 + 48 * 33]
    last = [10 * tokens for tokens in image_tokens]
    assert [(int(row[1]), row[4], int(row[-1])) for row in rows] == [
        (first, mode, end)
        for first, mode, end in zip(
            [1, *(end + 1 for end in last)],
            ["tiny", "small", "base", "large", "gundam", "gundam-m"],
            last,
            strict=False,
        )
    ]


def test_the_formula_page_is_the_published_one(tmp_path: Path) -> None:
    run_example("write_formula_page.py", "moe_gate", tmp_path, folder=tmp_path)
    written, *checks = (tmp_path / "moe_gate.md").read_bytes().partition(b"\n## How it was checked\n")
    published, *_ = (CODEGEN / "formulas" / "layers" / "moe_gate.md").read_bytes().partition(checks[0])
    assert written == published, "but for the evidence, which the project has and the example has not"
    assert b"tests/models/deepseek_ocr/test_layers.py" in checks[1]
    assert b"tensor\\_core\\_flops" in written


def test_a_page_of_each_layer_of_a_class(tmp_path: Path) -> None:
    out = run_example("write_formula_page.py", "Linear", folder=tmp_path)
    assert [line.partition(":")[0] for line in out.splitlines()] == ["linear.md", "lm_head.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linear.md", "lm_head.md"]


def test_a_sweep_on_a_cluster_is_the_same_file(tmp_path: Path) -> None:
    """6 batch sizes, 3 x 3 tile grids, 2048 lengths of prompt; the same from the command line."""
    out = run_example("sweep_on_a_cluster.py", "cluster.parquet", folder=tmp_path)
    assert out == f"{6 * 9 * 2048:,} points on 2 workers\nWritten to cluster.parquet.\n"
    axes = ("batch_size=1,2,4,8,16,32", "num_width_tiles=1:4", "num_height_tiles=1:4", "prompt_tokens=0:32768:16")
    metrics = ("tensor_core_flops", "io_bytes", "kv_cache_bytes")
    options = [*(f"--grid={axis}" for axis in axes), *(f"--metric={metric}" for metric in metrics)]
    command = ["sweep", "request", "max_new_tokens=512", *options, "--out", str(tmp_path / "plain.parquet")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "cluster.parquet").read_bytes() == (tmp_path / "plain.parquet").read_bytes()


def test_the_demo_compares_every_stage_with_a_count(tmp_path: Path) -> None:
    out = run_example("demo.py", CODEGEN, folder=tmp_path)
    compared = out[out.index("FlopCounterMode") :].splitlines()[2:]
    differences = {line[:17].strip(): line.split()[-1] for line in compared if line.endswith(" 0")}
    assert list(differences) == [
        "vision", "projector", "prefill", "decode step 1", "decode step 512", "decode step 1023",
    ]  # fmt: skip
    # The page through both towers, and the six tiles: the two counts that are known by heart, less the projector's
    # 2 x 2048 x 1280 FLOPs for each of 16 x 16 and 10 x 10 image tokens.
    vision = 1_139_967_033_344 + 6 * 388_149_837_824 - 2 * 2048 * 1280 * (16 * 16 + 6 * 10 * 10)
    assert f"vision             {vision:,}  {vision:,}           0" in out
    assert f"{CODEGEN}/deepseek_ocr_costs" in out
    assert max(map(len, out.splitlines()[:20])) <= 80


def test_the_demo_fails_where_the_count_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = _import_example("demo.py")
    monkeypatch.setattr(sys, "argv", ["demo.py", str(CODEGEN)])
    monkeypatch.setattr(demo, "count_flops", lambda: {"projector": 4_487_905_280 - 1})
    with pytest.raises(SystemExit) as ended:
        demo.main()
    assert ended.value.code == 1
    assert "4,487,905,279           1" in " ".join(capsys.readouterr().out.split(" "))


def _import_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("example", EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
