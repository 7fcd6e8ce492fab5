"""The book in LaTeX: it has every formula and reference, TeX finds no line too long, and the PDF is always the same.

What does not depend on the typesetter is tested here with each of them; the Typst has a file of its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from attrs import evolve
from typer.testing import CliRunner

from llm_perf_opt.cli import app
from llm_perf_opt.commands import book
from modelmeter.analysis.evidence import Evidence
from modelmeter.compiled_model import CompiledModel
from modelmeter.publishing.book import typesetters
from modelmeter.publishing.book.study_pages import LONGEST_TABLE, StudyLanguage, list_studies, read_study
from modelmeter.publishing.book.tex.prose import write_code, write_prose
from modelmeter.publishing.book.tex.source import write_source
from modelmeter.publishing.book.tex.studies import LATEX_STUDIES
from modelmeter.publishing.book.tex.typesetting import ENGINE, typeset
from modelmeter.publishing.book.typesetters import TYPESETTERS, choose_typesetter
from modelmeter.publishing.book.typst.studies import TYPST_STUDIES
from modelmeter.support.errors import OutputError

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "codegen/formulas/evidence.json"

PAGE = r"""<!-- Written by `modelmeter study`: change the library, not this page. -->

# Prompt length

**How long may a prompt_text be?**

Of a model. [All studies](README.md)

## In short

- On **card_1**: $`S \le 512`$ & more, see `what/is_here`.

```math
61\,440 \, S^{2}
```

![A picture](pictures/prompt-length-parts.svg)

A caption. [SVG](pictures/prompt-length-parts.svg), [PNG](pictures/prompt-length-parts.png)

**A table.** [CSV](tables/a.csv), [Parquet](tables/a.parquet)

| card | tokens |
| --- | --- |
| a 100% card | 1,234 |

## Statements

- Thousands of them.
"""

TINY = {
    "tex": "\\documentclass{article}\n\\pdftrailerid{}\n\\begin{document}\nfirst\n\\end{document}\n",
    "typst": "#set document(date: none)\nfirst\n",
}


@pytest.fixture(scope="module")
def source(published: CompiledModel) -> str:
    studies = (read_study("prompt-length", PAGE, LATEX_STUDIES),)
    return write_source(book._collect(published, Evidence.read(EVIDENCE), studies))


def needs_tex() -> None:
    if shutil.which(ENGINE) is None:
        pytest.skip(f"{ENGINE} is not installed: TeX sets no book here")


@pytest.fixture(params=TYPESETTERS)
def typesetter(request: pytest.FixtureRequest) -> str:
    """Each of the typesetters that is installed."""
    name = str(request.param)
    if not TYPESETTERS[name].is_installed():
        pytest.skip(f"{TYPESETTERS[name].name} is not installed: it sets no book here")
    return name


class TestSource:
    """The LaTeX."""

    def test_it_has_every_chapter(self, source: str) -> None:
        assert re.findall(r"\\chapter\{(.*)\}", source) == [
            "Conventions", "Symbols", "Stages", "Layers", "Studies", "Evidence", "Index of symbols",
        ]  # fmt: skip

    def test_it_has_every_formula_with_its_id(self, source: str, published: CompiledModel) -> None:
        """And no other: an id is a model, a subject, a metric, and digits."""
        found = re.findall(r"\{(deepseek-ocr/[^}]*)\}", source)
        assert sorted(each.replace(r"\_", "_") for each in found) == sorted(
            str(each.id) for each in published.published_formulas()
        )

    def test_every_reference_has_its_label(self, source: str) -> None:
        labels = re.findall(r"\\label\{([^}]*)\}", source)
        assert len(labels) == len(set(labels))
        assert {*re.findall(r"\\(?:page)?ref\{([^}]*)\}", source)} <= {*labels}
        targets = re.findall(r"\\hypertarget\{([^}]*)\}", source)
        assert {*re.findall(r"\\hyperlink\{([^}]*)\}", source)} <= {*targets}

    def test_a_symbol_is_indexed_where_it_is_used(self, source: str) -> None:
        """``seq_len``, by hand: in the stages whose formulas have S on their pages, and in layers of the decoder."""
        index = source[source.index(r"\chapter{Index of symbols}") :]
        (line,) = [each for each in index.splitlines() if "hyperlink{symbol:seq_len}" in each]
        labels = re.findall(r"\\pageref\{([^}]*)\}", line)
        assert labels[0] == "symbol:seq_len"
        assert {"stage:prefill", "stage:decode", "stage:request"} <= {*labels}
        assert "layer:linear" not in labels

    def test_no_template_is_left_in_it(self, source: str) -> None:
        assert not re.search(r"<<|>>|<%|%>|None|\bUndefined\b", source)

    def test_code_may_break_behind_underscores(self) -> None:
        assert write_code("a_b.py") == r"\texttt{a\_\allowbreak{}b.\allowbreak{}py}"
        assert write_code("--full") == r"\texttt{-\allowbreak{}-\allowbreak{}full}", "and two hyphens are no dash"
        assert write_prose("100 % of ``x_y`` is $N$") == r"100 \% of \texttt{x\_\allowbreak{}y} is $N$"


class TestStudies:
    """Pages of studies as sections."""

    def test_a_page(self) -> None:
        chapter = read_study("prompt-length", PAGE, LATEX_STUDIES)
        assert (chapter.title, chapter.pictures) == ("Prompt length", ("prompt-length-parts",))
        lines = [line for line in chapter.body.splitlines() if line]
        assert lines[:3] == [r"\textbf{How long may a prompt\_text be?}", "Of a model.", r"\subsection*{In short}"]
        assert (
            r"On \textbf{card\_1}: $S \le 512$ \& more, see \texttt{what/\allowbreak{}is\_\allowbreak{}here}." in lines
        )
        assert r"\fit{61\,440 \, S^{2}}" in lines
        assert r"\includegraphics[width=\textwidth]{prompt-length-parts.pdf}" in lines
        assert "A caption." in lines
        assert r"a 100\% card & 1,234 \\" in lines
        assert "Thousands" not in chapter.body
        assert lines[-1] == r"\emph{In the files of the studies: all statements, in} \texttt{prompt-length.md}."

    def test_a_long_table_is_named_and_not_printed(self) -> None:
        rows = "\n".join(f"| {number} | {number} |" for number in range(LONGEST_TABLE + 1))
        body = read_study("a", f"# A\n\n| x | y |\n| --- | --- |\n{rows}\n", LATEX_STUDIES).body
        assert "longtable" not in body
        assert f"a table of {LONGEST_TABLE + 1} rows and 2 columns" in body

    @pytest.mark.parametrize("text", ["1. one\n", "> quoted\n", "![a](elsewhere.svg)\n", "```python\nx\n```\n"])
    @pytest.mark.parametrize("language", [LATEX_STUDIES, TYPST_STUDIES], ids=["latex", "typst"])
    def test_what_no_book_has_is_an_error(self, text: str, language: StudyLanguage) -> None:
        with pytest.raises(OutputError, match="a: "):
            read_study("a", f"# A\n\n{text}", language)

    def test_the_index_says_which_there_are(self) -> None:
        index = "| study | n |\n| --- | --- |\n| [A b](a-b.md) | 3 |\n| [C](c.md) | 4 |\n| d | left out: no |\n"
        assert list_studies(index) == ["a-b", "c"]


class TestTypesetting:
    """What TeX makes of it, where TeX is installed."""

    def test_the_book_of_the_model(self, published: CompiledModel, tmp_path: Path) -> None:
        """No line is too long and no reference open, or it would fail; the same bytes twice; no font is a bitmap."""
        needs_tex()
        evidence = Evidence.read(EVIDENCE)
        first = book.make_book(published, evidence=evidence, typesetter="tex")
        assert first.startswith(b"%PDF-")
        assert len(first) > 300_000
        assert b"/Type3" not in first
        assert book.make_book(published, evidence=evidence, typesetter="tex") == first
        (target := tmp_path / "book.pdf").write_bytes(first)
        if shutil.which("pdffonts"):
            fonts = subprocess.run(["pdffonts", target], capture_output=True, text=True, check=True).stdout
            rows = fonts.splitlines()[2:]
            assert rows
            assert not [row for row in rows if "Type 3" in row]
            assert all(" yes yes " in row for row in rows), "embedded, and a subset"

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (r"\hbox to 10cm{}\par\noindent\rule{40cm}{1pt}", "lines that do not fit"),
            (r"See \ref{nowhere}.", "references that lead nowhere"),
            (r"\undefinedcommand", "TeX cannot set the book"),
            (r"\input{/etc/passwd}", "TeX cannot set the book"),
        ],
    )
    def test_what_does_not_fit_is_an_error(self, body: str, words: str) -> None:
        needs_tex()
        text = "\\documentclass{article}\n\\begin{document}\n" + body + "\n\\end{document}\n"
        with pytest.raises(OutputError, match=words):
            typeset(text, {})


class TestChoice:
    """TeX where it is found, else Typst, else one line that says how to install either."""

    def install(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        for name, each in TYPESETTERS.items():
            monkeypatch.setitem(
                typesetters.TYPESETTERS, name, evolve(each, is_installed=lambda name=name: name in names)
            )

    @pytest.mark.parametrize(
        ("installed", "asked", "chosen"),
        [
            (("tex", "typst"), None, "TeX"), (("typst",), None, "Typst"), (("tex",), None, "TeX"),
            (("tex", "typst"), "typst", "Typst"), (("tex", "typst"), "tex", "TeX"),
        ],
    )  # fmt: skip
    def test_what_is_taken(
        self, monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], asked: str | None, chosen: str
    ) -> None:
        self.install(monkeypatch, *installed)
        assert choose_typesetter(asked).name == chosen

    def test_neither(self, published: CompiledModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch)
        with pytest.raises(
            OutputError, match=r"a book needs TeX or Typst.*texlive-latex-recommended.*modelmeter\[book"
        ):
            book.make_book(published)

    @pytest.mark.parametrize(("asked", "words"), [("tex", r"TeX is not.*apt-get"), ("typst", r"Typst is not.*pip")])
    def test_the_one_that_is_asked_for_is_missing(
        self, monkeypatch: pytest.MonkeyPatch, asked: str, words: str
    ) -> None:
        self.install(monkeypatch, *(TYPESETTERS.keys() - {asked}))
        with pytest.raises(OutputError, match=words):
            choose_typesetter(asked)

    def test_tex_is_looked_for_on_the_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert not TYPESETTERS["tex"].is_installed()
        with pytest.raises(OutputError, match="the book needs TeX"):
            typeset(TINY["tex"], {})

    def test_the_command_line(self, tmp_path: Path) -> None:
        target = tmp_path / "book.pdf"
        unknown = CliRunner().invoke(app, ["publish", "--book", str(target), "--typesetter", "word"])
        assert str(unknown.exception) == "no such typesetter; expected tex or typst; found word"
        alone = CliRunner().invoke(app, ["publish", "--typesetter", "tex", "--out", str(tmp_path / "site")])
        assert "only a book has a typesetter" in str(alone.exception)
        both = CliRunner().invoke(app, ["publish", "--book", str(target), "--out", str(tmp_path / "site")])
        assert f"one by one; found --book {target} and --out {tmp_path / 'site'}" in str(both.exception)
        assert not list(tmp_path.iterdir())


class TestFiles:
    """What is read, and what is replaced."""

    @pytest.mark.parametrize("check", [(), ("--check",)])
    def test_a_file_of_others_is_refused(self, tmp_path: Path, check: tuple[str, ...], typesetter: str) -> None:
        (target := tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
        result = CliRunner().invoke(app, ["publish", "--book", str(target), "--typesetter", typesetter, *check])
        assert isinstance(result.exception, OutputError)
        assert "would replace a file that is no PDF" in str(result.exception)
        assert target.read_text(encoding="utf-8") == "mine"

    def test_the_command_writes_it_once_and_checks_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typesetter: str
    ) -> None:
        def write(text: str) -> None:
            chosen = evolve(TYPESETTERS[typesetter], write_source=lambda _: text)
            monkeypatch.setitem(typesetters.TYPESETTERS, typesetter, chosen)

        write(TINY[typesetter])
        monkeypatch.setattr(book, "_collect", lambda *_: None)  # of the model: the tiny book has nothing of it
        target, name = tmp_path / "new/book.pdf", TYPESETTERS[typesetter].name
        command = ["publish", "--book", str(target), "--typesetter", typesetter]
        checked = CliRunner().invoke(app, [*command, "--check"])
        assert "the book is not the one that the formulas have" in str(checked.exception)
        assert not target.parent.exists()
        written = CliRunner().invoke(app, command)
        assert (written.exit_code, written.output) == (0, f"{target}: 0.0 MB, set by {name}, written\n")
        content = target.read_bytes()
        checked = CliRunner().invoke(app, [*command, "--check"])
        assert (checked.exit_code, checked.output) == (0, f"{target}: 0.0 MB, set by {name}, current\n")
        assert target.read_bytes() == content
        write(TINY[typesetter].replace("first", "second"))
        checked = CliRunner().invoke(app, [*command, "--check"])
        assert "another book" in str(checked.exception)
        assert target.read_bytes() == content

    @pytest.mark.parametrize("name", ["none", "empty", "file"])
    def test_what_is_no_folder_of_studies_is_an_error(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "file").write_text("", encoding="utf-8")
        with pytest.raises(OutputError, match="studies"):
            book._read_studies(tmp_path / name, LATEX_STUDIES)
