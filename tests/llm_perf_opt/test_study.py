"""``modelmeter study``: pages, tables and pictures in a folder; every statement as JSON; one line where it is wrong."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet
import pytest
from command_line import GRAPH, Run, assert_refused

import modelmeter
from llm_perf_opt.studies import list_cards, render_files
from llm_perf_opt.studies.formulas import to_latex
from llm_perf_opt.studies.markup import to_latex as table_to_latex
from llm_perf_opt.studies.markup import to_markdown
from llm_perf_opt.studies.tables import list_columns, to_csv, to_parquet
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.scaling.studies import Book, Column, StudyTable, write_book

SMALL = ("cards", "training", "--hardware", "h100-sxm")
"""Two studies of a second."""


@pytest.fixture(scope="module")
def book() -> Book:
    return write_book(modelmeter.load(), list_cards(["h100-sxm", "l40s"]), names=["what-to-optimise"])


def read_folder(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_list_as_json(run: Run) -> None:
    listed = json.loads(run("study", "cards", "training", "--list", "--json").out)
    assert list(listed) == ["cards", "training"]
    assert listed["training"].startswith("What does a training step cost")


@pytest.mark.parametrize("out", ["/dev/null", "/dev/null/new", "/proc/new", "x" * 300, "file", "file/new"])
def test_a_place_that_takes_no_folder_is_refused_before_the_work(run: Run, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("mine")
    assert_refused(run("study", *SMALL, "--out", tmp_path / out))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder(run: Run, tmp_path: Path) -> None:
    """Every picture in three formats, every table in three; all links of the pages lead somewhere."""
    result = run("study", *SMALL, "--out", tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    files = read_folder(tmp_path / "out")
    number = len(json.loads(files["statements.json"])["statements"])
    assert result.out == f"{tmp_path / 'out'}: {number} statements in 2 studies\n"
    assert {"README.md", "cards.md", "training.md", "statements.json", "tables/statements.csv"} <= files.keys()
    pictures = {Path(path).stem: set() for path in files if path.startswith("pictures/")}
    for path in files:
        if path.startswith("pictures/"):
            pictures[Path(path).stem].add(Path(path).suffix)
    assert pictures
    assert set(map(frozenset, pictures.values())) == {frozenset({".svg", ".png", ".pdf"})}
    for path, content in files.items():
        if path.endswith(".md"):
            links = re.findall(r"\]\(([^)]+)\)", content.decode())
            assert links
            assert set(links) <= files.keys(), path
    assert files["pictures/cards-intensity-h100-sxm.png"].startswith(b"\x89PNG")
    assert files["pictures/cards-intensity-h100-sxm.pdf"].startswith(b"%PDF")
    assert b"<dc:date>" not in files["pictures/cards-intensity-h100-sxm.svg"]


def test_the_same_bytes_again_and_what_is_gone_goes(run: Run, tmp_path: Path) -> None:
    assert run("study", *SMALL, "--out", tmp_path).code == 0
    before = read_folder(tmp_path)
    assert run("study", *SMALL, "--out", tmp_path).code == 0
    assert read_folder(tmp_path) == before
    assert run("study", "training", "--hardware", "h100-sxm", "--out", tmp_path).code == 0
    after = read_folder(tmp_path)
    assert "cards.md" not in after
    assert after["training.md"] == before["training.md"]


def test_files_of_others_stay(run: Run, tmp_path: Path) -> None:
    (tmp_path / "training.md").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine too")
    result = run("study", "training", "--out", tmp_path)
    assert_refused(result, "training.md", "move them away")
    assert read_folder(tmp_path) == {"training.md": b"mine", "notes.txt": b"mine too"}


def test_json_has_every_statement(run: Run) -> None:
    result = run("study", *SMALL, "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    assert [study["id"] for study in document["studies"]] == ["cards", "training"]
    statements = {each["id"]: each for each in document["statements"]}
    assert len(statements) == len(document["statements"]) > 20
    # r h / (h - r) with r = 989400 / 3350 and h = 640.
    query = statements["cards/h100-sxm-1280x1280/crossover/num_tokens"]
    assert query["value"] == 549
    assert query["kind"] == "crossover"
    ratio = Fraction(989400, 3350)
    assert Fraction(query["threshold"]) == ratio * 640 / (640 - ratio)
    for key in ("formula", "domain", "certificates", "known", "sentence"):
        assert all(key in each for each in statements.values())


def test_sentences_and_names(run: Run) -> None:
    listed = run("study", "--list")
    assert listed.code == 0
    names = [line.partition(":")[0] for line in listed.out.splitlines()]
    assert {"what-to-optimise", "prompt-length", "tiles", "resolution-and-modes"} <= set(names)
    said = run("study", "training")
    assert "training/step-over-request/crossover/seq_len\n  " in said.out
    assert_refused(run("study", "tile"), "there is no study of this name; found tile", "did you mean tiles")
    assert_refused(run("study", "training", "--hardware", "h100"), "did you mean h100-sxm")


def test_a_saved_graph(run: Run) -> None:
    assert run("study", "training", "--graph", GRAPH).out == run("study", "training").out


@pytest.mark.parametrize(("package", "extra"), [("pyarrow", "sweep"), ("matplotlib", "plot")])
def test_a_missing_extra_ends_in_one_line(package: str, extra: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from llm_perf_opt.cli import main\n"
        f"sys.argv = ['modelmeter', 'study', 'training', '--out', {str(tmp_path / 'out')!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"pip install 'modelmeter[{extra}]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_someone_with_only_the_pages_knows_what_to_optimise(book: Book) -> None:
    """Stage, from which size on it changes, what holds its time, how much fits, what binds and helps: on the index."""
    index = str(render_files(book, list_cards(["h100-sxm", "l40s"]))["README.md"])
    short = "\n".join(line for line in index.splitlines() if line.startswith("- "))
    assert (
        "On each of the 2 cards, at batch_size = 1 page and max_new_tokens = 1,200 tokens, optimise **decode**" in short
    )
    assert "That does not change however large the batch is" in short
    assert re.search(r"below max_new_tokens = \d+ to \d+ tokens it is vision", short)
    assert re.search(r"`mlp.experts` \d+ % \([\d,]+ bytes\)", short)
    assert re.search(r"weight_bits = 8 makes it 1\.\d+ times as fast", short)
    assert re.search(
        r"max_new_tokens = 1,200 tokens, \d+ to \d+ pages fit, where the peak of \*\*prefill\*\* fills the memory",
        short,
    )
    only = r"with logits of the last position only \(`logits_tokens=1`\)"
    assert re.search(only + r" \d+ to \d+ do, where the peak of \*\*\w+\*\* fills the memory first, at `", short)
    assert short.count("Without that peak") == 1
    assert "optimise **decode**, at every batch: that does not change" in short
    assert "It is bound by memory traffic, so by the bandwidth of the card" in short
    assert re.search(r"At batch_size = \d+ pages, kv_bits = 8 makes it 1\.\d+ times as fast", short)
    assert re.search(
        r"costs at least as much as vision from max_new_tokens = 26 by .*, from 23 by .*, from 2,693 by ", short
    )
    assert "q x kv" in index
    assert "| `logits_tokens` |" in index
    assert "binds" not in index
    for card in ("NVIDIA H100 SXM5 80GB", "NVIDIA L40S 48GB"):
        (row,) = (line for line in index.splitlines() if line.startswith(f"| the {card} | decode"))
        assert row.count("| prefill |") == 2
    proof = book.find("what-to-optimise/h100-sxm-slowest-stage/regimes/batch_size")
    assert f"`{proof.id}`" in index


def find_table(book: Book, name: str) -> list[dict[str, object]]:
    (table,) = (each for found in book.findings for each in found.tables if each.name == name)
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]


def test_the_modules_of_a_stage_hold_all_its_time_and_traffic(book: Book) -> None:
    """Added up they are the roofline time of the other table, and the traffic of the compiled formula."""
    model = modelmeter.load()
    # The first of 1,200 tokens is the prefill's.
    moved = evaluate(model.formula("decode", "io_bytes"), {**model.defaults, "decode_steps": 1199})
    rows = find_table(book, "modules-of-decode")
    for card in ("the NVIDIA H100 SXM5 80GB", "the NVIDIA L40S 48GB"):
        mine = [row for row in rows if row["card"] == card]
        (time,) = (row["decode"] for row in find_table(book, "times") if row["card"] == card and row["batch_size"] == 1)
        assert sum(Fraction(str(row["time"])) for row in mine) == time
        assert sum(Fraction(str(row["share"])) for row in mine) == 1
        assert sum(Fraction(str(row["io_bytes"])) for row in mine) == moved


def test_a_batch_beyond_the_memory_is_marked(book: Book) -> None:
    """Of an L40S 47 pages fit, 173 with logits of the last position only."""
    fits = {
        row["batch_size"]: row["fits"] for row in find_table(book, "times") if row["card"] == "the NVIDIA L40S 48GB"
    }
    assert (fits[32], fits[64], fits[128], fits[256]) == (
        "yes", "with logits_tokens = 1", "with logits_tokens = 1", "no"
    )  # fmt: skip
    (picture,) = (each for found in book.findings for each in found.pictures)
    # The picture is of the first card, an H100: 336 fit with logits of the last position.
    assert max(x for line in picture.lines for x, _ in line.points) == 512
    assert picture.y_label == "time (s)"


def test_captions_and_closed_forms_say_their_sizes(run: Run, tmp_path: Path) -> None:
    assert run("study", "what-to-optimise", "batch-and-experts", "--hardware", "h100-sxm", "--out", tmp_path).code == 0
    helps, batch = ((tmp_path / f"{name}.md").read_text() for name in ("what-to-optimise", "batch-and-experts"))
    largest = "**The largest batch_size that fits while each stage is at its peak, and the stage that fills the memory"
    (line, _) = (line for line in helps.splitlines() if line.startswith(largest))
    assert "max_new_tokens = 1,200" in line
    line = next(line for line in batch.splitlines() if line.startswith(largest))
    assert "max_new_tokens = 1,024" in line or "decode_steps = 1,023" in line
    form = next(
        line for line in batch.splitlines() if line.startswith("The memory traffic (bytes) of the decode stage, at")
    )
    assert "weight_bits = 16" in form
    assert "rounded to the nearest whole number" in batch
    assert "## In short" in batch
    assert "100 %" not in batch


def test_the_answer_comes_before_the_statements(run: Run) -> None:
    lines = run("study", "training", "--hardware", "h100-sxm").out.splitlines()
    assert lines[0] == "Training, in short:"
    assert lines[1].startswith("- ")
    assert 1 <= sum(line.startswith("- ") for line in lines) <= 4


TABLE = StudyTable(
    name="t", title="A & B", columns=(Column(name="who"), Column(name="n_1", unit="bytes"), Column(name="part")),
    rows=(("x|y", 2**70, Fraction(2, 3)), ("z", 5, None)),
)  # fmt: skip


def test_tables_are_exact() -> None:
    assert list(csv.reader(to_csv(TABLE).splitlines())) == [
        ["who", "n_1", "part", "part_exact"],
        ["x|y", "1180591620717411303424", repr(2 / 3), "2/3"],
        ["z", "5", "", ""],
    ]
    assert [name for name, _ in list_columns(TABLE)] == ["who", "n_1", "part", "part_exact"]
    rows = pyarrow.parquet.read_table(pyarrow.BufferReader(to_parquet(TABLE))).to_pylist()
    assert rows == [
        {"who": "x|y", "n_1": 2**70, "part": 2 / 3, "part_exact": "2/3"},
        {"who": "z", "n_1": 5, "part": None, "part_exact": None},
    ]
    assert r"A \& B" in table_to_latex(TABLE)
    assert r"x|y & 1\,180\,591\,620\,717\,411\,303\,424 & 0.6667 \\" in table_to_latex(TABLE)
    assert r"| x\|y | 1,180,591,620,717,411,303,424 | 0.6667 |" in to_markdown(TABLE)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX is installed")
def test_a_table_compiles(tmp_path: Path) -> None:
    text = rf"\documentclass{{article}}\begin{{document}}{table_to_latex(TABLE)}\end{{document}}"
    (tmp_path / "t.tex").write_text(text)
    subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True, capture_output=True, timeout=60)


def test_formulas_of_statements() -> None:
    import sympy

    sizes = modelmeter.load().definition.dimensions
    length = sizes.symbol("seq_len")
    root = sympy.ceiling((sympy.sqrt(624991376881) - 706601) / 80, evaluate=False)
    assert (
        to_latex(root, sizes)
        == r"\left\lceil \tfrac{1}{80} \, \sqrt{624\,991\,376\,881} - \tfrac{706\,601}{80} \right\rceil"
    )
    assert to_latex(3 * length**2, sizes) == r"3 \, S^{2}"
    assert to_latex(sympy.oo, sizes) == r"\infty"
    assert to_latex(sympy.Add(*(length**power for power in range(2, 900)), evaluate=False), sizes) is None


def test_one_study_of_one_card(run: Run, tmp_path: Path) -> None:
    """Then no card is left out of all, and nothing is in the plural."""
    result = run("study", "cards", "--hardware", "h100-sxm", "--out", tmp_path / "out")
    assert result.out.endswith(" statements in 1 study\n")
    page = (tmp_path / "out" / "cards.md").read_text()
    assert "- On the NVIDIA H100 SXM5 80GB, 14 of 15 linear layers are bound by compute" in page
    assert "all but" not in page
    assert "by the card" not in page
