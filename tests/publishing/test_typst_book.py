"""The book in Typst: it has what that in LaTeX has, nothing is wider than its place, and the PDF is always the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from attrs import evolve
from test_book import EVIDENCE, PAGE

from llm_perf_opt.commands import book
from modelmeter.analysis.evidence import Evidence
from modelmeter.compiled_model import CompiledModel
from modelmeter.publishing.book.study_pages import read_study
from modelmeter.publishing.book.typst.prose import LONGEST_WORD, escape_typst, write_code, write_prose
from modelmeter.publishing.book.typst.source import write_source
from modelmeter.publishing.book.typst.studies import TYPST_STUDIES
from modelmeter.publishing.book.typst.typesetting import typeset
from modelmeter.support.errors import OutputError

FUNCTIONS = resources.files("modelmeter.publishing").joinpath("templates/book_functions.typ").read_text("utf-8")
MARGIN_POINTS = 24 / 25.4 * 72  # 24 mm
PAGE_POINTS = 210 / 25.4 * 72  # A4

HOSTILE = (
    "#panic()", "#import \"x\"", "$x$", "= no heading", "- no item", "1. no item", "*bold*", "_a_", "`raw`", "<label>",
    "@ref", "// no", "/* no */", "a\\b", "\\u{41}", "[x]", "(x)", "a~b", "--", "...", "https://example.com", "/ a: b",
    'say "x"', "{x}", "a & b; c, d", "100 %",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def typst() -> Any:
    return pytest.importorskip("typst", reason="typst is not installed: it sets no book here")


@pytest.fixture(scope="module")
def source(published: CompiledModel) -> str:
    studies = (read_study("prompt-length", PAGE, TYPST_STUDIES),)
    return write_source(book._collect(published, Evidence.read(EVIDENCE), studies))


@pytest.fixture(scope="module")
def pdf(published: CompiledModel) -> bytes:
    """The book of the model."""
    return book.make_book(published, evidence=Evidence.read(EVIDENCE), typesetter="typst")


class TestText:
    """Text and names are shown as they are."""

    @pytest.mark.parametrize("text", HOSTILE)
    def test_text_is_no_command(self, typst: Any, text: str) -> None:
        """What Typst reads between two words is the text, also beside a call, in a heading and alone in a line."""
        for before, after in (("", ""), ("#strong[x]", ""), ("", "(y)"), ('#raw("x");', "[y]")):
            written = f"#strong[{before}{escape_typst(text)}{escape_typst(after)}]"
            (found,) = json.loads(typst.query(written.encode(), "strong", ignore_system_fonts=True))[:1]
            assert list_words(found["body"]) == f"{'x' if before else ''}{text}{after}"
        alone = typst.query(f"= Head\n\n{escape_typst(text)}\n".encode(), "heading", ignore_system_fonts=True)
        assert len(json.loads(alone)) == 1

    @pytest.mark.parametrize("text", HOSTILE)
    def test_a_name_is_no_command(self, typst: Any, text: str) -> None:
        source = f"#let code(..parts) = strong(parts.pos().map(part => raw(part)).join())\n{write_code(text)}(x)[y]"
        (found,) = json.loads(typst.query(source.encode(), "strong", ignore_system_fonts=True))
        assert list_words(found["body"]) == text

    def test_names_may_break_behind_underscores_and_nowhere_else_but_when_long(self) -> None:
        assert write_code("a_b.py") == '#code("a_", "b.", "py");'
        assert write_code("--full") == '#code("--", "full");'
        assert write_code("x" * (LONGEST_WORD + 1)) == f'#code("{"x" * LONGEST_WORD}", "x");'
        assert write_prose("100 % of ``x_y`` is $N$") == r'100 \% of #code("x_", "y"); is $N$'
        assert write_prose("arXiv:2510.18234") == (r'#link("https://arxiv.org/abs/2510.18234")[arXiv\:2510\.18234];')

    def test_long_words_may_break_but_are_the_same_text(self, tmp_path: Path) -> None:
        word = "y" * (3 * LONGEST_WORD)
        assert escape_typst(word).split("\u200b") == ["y" * LONGEST_WORD] * 3
        assert escape_typst("a word of " + "y" * LONGEST_WORD) == "a word of " + "y" * LONGEST_WORD


class TestHostileModel:
    """A model whose every name and text is a command of Typst, or has no end."""

    def test_its_book_shows_all_of_it_within_the_text(self, published: CompiledModel, tmp_path: Path) -> None:
        if not shutil.which("pdftotext"):
            pytest.skip("pdftotext is not installed: nothing reads the words of the PDF")
        record = book._collect(published, None, ())
        stage, layer = record.pages.stages[0], record.pages.layers[1]
        endless = "z" * 300
        rows = tuple(evolve(row, meaning=f"{endless} #panic()") for row in layer.section.sizes)
        pages = evolve(
            record.pages,
            sizes=tuple(
                (f"#{title}]", tuple(evolve(row, unit='"$') for row in each)) for title, each in record.pages.sizes
            ),
            stages=(evolve(stage, description=" ".join(HOSTILE), name="#panic(`a"),),
            layers=(
                evolve(
                    layer, title=f"[{endless}", name='lay"er \\', description=HOSTILE, flags=("$x=1", endless),
                    stages=("#panic(`a",), section=evolve(layer.section, sizes=rows), variants=(),
                    evidence=("``]#panic()`` and ``" + endless + "``", *HOSTILE),
                ),
            ),
        )  # fmt: skip
        common = {**record.common, "name": "#panic() $", "pages": pages}
        versions = {"// torch": "1.0 /*"}
        made = typeset(write_source(evolve(record, common=common, pages=pages, ids={}, versions=versions)), {})
        assert list_beyond(made, tmp_path) == []
        shown = "".join("".join(word for word, *_ in read_words(made, tmp_path)).split())
        plain = [text for text in HOSTILE if "$" not in text]  # in a sentence, these are around a formula
        for text in (*plain, "#panic()$", "[zzz", "#panic(`a", "$x=1", "]#panic()and", "//torch1.0/*"):
            assert "".join(text.split()) in shown
        assert shown.count("z" * 300) >= 3


class TestSource:
    """The Typst of the book."""

    def test_it_has_every_chapter(self, source: str) -> None:
        assert re.findall(r"^= (.*)$", source, re.M) == [
            "Conventions", "Symbols", "Stages", "Layers", "Studies", "Evidence", "Index of symbols",
        ]  # fmt: skip

    def test_it_has_every_formula_with_its_id(self, source: str, published: CompiledModel) -> None:
        calls = re.findall(r'#code\(("deepseek-", "ocr/", .*?)\);', source)
        found = [json.loads(f"[{call}]") for call in calls]
        assert sorted("".join(parts) for parts in found) == sorted(
            str(each.id) for each in published.published_formulas()
        )

    def test_no_template_is_left_in_it(self, source: str) -> None:
        assert not re.search(r"<<|>>|<%|%>|\bNone\b|\bUndefined\b", source)

    def test_the_model_is_named_by_its_own_records_only(self) -> None:
        templates = resources.files("modelmeter.publishing").joinpath("templates")
        for name in ("book.typ.jinja", "book_functions.typ"):
            assert not re.search("deepseek|ocr|clip|gundam", templates.joinpath(name).read_text("utf-8"), re.IGNORECASE)


class TestStudies:
    """Pages of studies as sections."""

    def test_a_page(self) -> None:
        chapter = read_study("prompt-length", PAGE, TYPST_STUDIES)
        assert (chapter.title, chapter.pictures) == ("Prompt length", ("prompt-length-parts",))
        lines = [line for line in chapter.body.splitlines() if line]
        assert lines[:3] == [
            r"#block(sticky: true)[#strong[How long may a prompt\_text be\?];]", r"Of a model\.", "#part[In short]",
        ]  # fmt: skip
        assert r'On #strong[card\_1];\: $S lt.eq 512$ \& more, see #code("what/", "is_", "here");\.' in lines
        assert (
            "#formula((indent: 0, label: none, body: $61 thin 440 #h(0.17em) S^(2)$, "
            "chunks: ($61 thin 440 #h(0.17em) S^(2)$,)))"
        ) in lines
        assert '#picture("prompt-length-parts.pdf")' in lines
        assert "#block(sticky: true)[#strong[A table\\.];]" in lines, "which stays with the table"
        assert "  (left, right,)," in lines
        assert r"  [a 100\% card], [1,234]," in lines
        assert "Thousands" not in chapter.body
        assert (
            lines[-1] == r'#emph[In the files of the studies: all statements, in] #code("prompt-", "length.", "md");.'
        )


class TestTypesetting:
    """What Typst makes of it."""

    def test_fonts_are_embedded_and_no_bitmaps(self, pdf: bytes, tmp_path: Path) -> None:
        """And none is of the machine: Typst brings them with it."""
        assert pdf.startswith(b"%PDF-")
        assert len(pdf) > 300_000
        assert b"/Type3" not in pdf
        assert b"/CreationDate" not in pdf
        (target := tmp_path / "book.pdf").write_bytes(pdf)
        if not shutil.which("pdffonts"):
            pytest.skip("pdffonts is not installed: nothing lists the fonts")
        rows = subprocess.run(["pdffonts", target], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
        assert {row.split()[0].partition("+")[2].partition("-")[0] for row in rows} <= {
            "LibertinusSerif", "DejaVuSansMono", "NewCMMath",
        }  # fmt: skip
        assert rows
        assert all(re.search(r" yes +yes +yes ", row) for row in rows), "embedded, a subset, and searchable"

    def test_another_process_with_another_hash_seed_makes_the_same_bytes(self, pdf: bytes, tmp_path: Path) -> None:
        """In another folder, and from the shipped graph: what this process made is what the command makes."""
        (target := tmp_path / "book.pdf").write_bytes(pdf)
        seed = "7" if os.environ.get("PYTHONHASHSEED") != "7" else "3"
        command = [sys.executable, "-m", "llm_perf_opt.cli", "publish", "--book", str(target), "--typesetter", "typst",
                   "--evidence", str(EVIDENCE), "--check"]  # fmt: skip
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.rpartition(",")[2].strip() == "current"

    def test_no_word_stands_beyond_the_text(self, pdf: bytes, tmp_path: Path) -> None:
        """Measured by another program, which knows nothing of the template's own checks."""
        if not shutil.which("pdftotext"):
            pytest.skip("pdftotext is not installed: nothing measures the words of the PDF")
        assert list_beyond(pdf, tmp_path) == []

    def test_pictures_of_studies(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: there is no picture")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3, 2))
        figure.subplots().plot([1, 3, 2])
        figure.savefig(tmp_path / "a.pdf", metadata={"CreationDate": None})
        with_picture = typeset(
            '#set document(date: none)\n#image("a.pdf")', {"a.pdf": (tmp_path / "a.pdf").read_bytes()}
        )
        assert len(with_picture) > len(typeset("#set document(date: none)\n", {})) + 1000

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ('#formula((indent: 0, label: none, body: $"@"$, chunks: ($"@"$,)))', "a formula is too wide for its page"),
            ("#data-table((left, left), [a], [b], [c], [@])", "a table is too wide for its page"),
            ("#page-of(\"nowhere\")", "`<nowhere>` does not exist"),
            ("#link(label(\"nowhere\"))[x]", "`<nowhere>` does not exist"),
            ('#image("nowhere.pdf")', "file not found"),
            ('#read("/etc/passwd")', "file not found"),
            ("#undefined-function()", "unknown variable"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_an_error(self, body: str, words: str) -> None:
        head = f"{FUNCTIONS}\n#set page(margin: 24mm)\n"
        assert typeset(head + body.replace("@", "x" * 30), {}) if "@" in body else True, "and what fits is none"
        with pytest.raises(OutputError, match=words):
            typeset(head + body.replace("@", "x" * 300), {})

    def test_without_typst(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "typst", None)
        with pytest.raises(OutputError, match=r"the book needs Typst.*pip install 'modelmeter\[book\]'"):
            typeset("x", {})

    def test_a_long_line_goes_on_in_the_next(self, tmp_path: Path) -> None:
        """Ninety terms that one line has no room for: all of them are there, none beyond the text."""
        if not shutil.which("pdftotext"):
            pytest.skip("pdftotext is not installed: nothing measures the words of the PDF")
        chunks = [f'"" plus #raw("term{number:02}")' for number in range(90)]
        pieces = " ".join(f"${chunk}$," for chunk in chunks)
        line = f"(indent: 1, label: none, body: ${' '.join(chunks)}$, chunks: ({pieces}))"
        made = typeset(f"{FUNCTIONS}\n#set page(margin: 24mm)\n#formula({line})", {})
        assert list_beyond(made, tmp_path) == []
        words = re.findall(r"term\d\d", " ".join(word for word, *_ in read_words(made, tmp_path)))
        assert words == [f"term{number:02}" for number in range(90)]


def list_words(tree: Any) -> str:
    """Return the text of a tree of Typst."""
    if isinstance(tree, list):
        return "".join(map(list_words, tree))
    if tree["func"] == "space":
        return " "
    for inner in ("children", "body", "child"):
        if inner in tree:
            return list_words(tree[inner])
    return str(tree.get("text", ""))


def read_words(pdf: bytes, folder: Path) -> list[tuple[str, float, float]]:
    """Return the words of a PDF, and where they begin and end, in points from the left."""
    (target := folder / "words.pdf").write_bytes(pdf)
    subprocess.run(["pdftotext", "-bbox", target, folder / "words.html"], check=True, capture_output=True)
    root = ElementTree.parse(folder / "words.html").getroot()
    words = [
        (each.text or "", float(each.attrib["xMin"]), float(each.attrib["xMax"]))
        for each in root.iter("{http://www.w3.org/1999/xhtml}word")
    ]
    assert words
    return words


def list_beyond(pdf: bytes, folder: Path) -> list[tuple[str, float, float]]:
    """Return the words that begin or end outside of the text of the page, by more than a point."""
    return [
        (word, left, right) for word, left, right in read_words(pdf, folder)
        if left < MARGIN_POINTS - 1 or right > PAGE_POINTS - MARGIN_POINTS + 1
    ]  # fmt: skip
