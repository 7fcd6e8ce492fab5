"""The formula pages as text: they hold everything, link where they should, and compile."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from page_reader import render, sections

from modelmeter.algebra.polynomials import prove_equal
from modelmeter.backends.latex.printer import print_breakable_block, print_display, print_latex
from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import compile_model
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.latex_names import LATEX_NAMES
from modelmeter.publishing.formula import is_bytes
from modelmeter.publishing.page_spec import Pages
from modelmeter.publishing.text import format_number

ROOT = Path(__file__).parents[2]


def test_every_formula_that_is_shown_is_proved_equal_to_the_compiled_one(pages: Pages) -> None:
    for name, section in sections(pages).items():
        for block in section.metrics:
            for part in block.formula.parts:
                shown = part.shown / 8 if is_bytes(block.metric) else part.shown
                try:
                    prove_equal(shown, part.source)
                except Exception as error:
                    raise AssertionError(f"{name}, {block.metric}, {part.label}") from error


def test_there_is_a_page_for_everything(compiled: CompiledModel, texts: dict[str, str]) -> None:
    expected = {"README.md", "formulas.tex"}
    expected |= {f"layers/{entry.name}.md" for entry in compiled.catalogue}
    stages = ("vision", "projector", "prefill", "decode", "request", "training_step")
    expected |= {f"stages/{stage}.md" for stage in stages}
    assert set(texts) == expected


def test_grids_and_windows_have_names_in_every_formula(pages: Pages) -> None:
    for name, section in sections(pages).items():
        for block in section.metrics:
            assert not [
                shown for shown in block.blocks if "floor" in print_display(shown) or "ceil" in print_display(shown)
            ], name


def test_every_formula_and_value_is_in_the_text(pages: Pages, texts: dict[str, str]) -> None:
    for name, section in sections(pages).items():
        text = texts[f"{name.split()[0]}.md"]
        for block in section.metrics:
            assert not block.value or f" {format_number(block.value)} " in text
            for display in block.blocks:
                assert f"```math\n{print_display(display)}\n```" in text
                assert print_breakable_block(display) in texts["formulas.tex"]
        for part in section.parts:
            assert f"$`{part.name.letter} = {print_latex(part.definition)}`$" in text
        for row in section.sizes:
            assert f"| $`{row.symbol.letter}`$ | `{row.name}` |" in text


def test_the_index_lists_every_size_and_operator(texts: dict[str, str]) -> None:
    for name, latex in LATEX_NAMES.items():
        assert f"| $`{latex}`$ | `{name}` |" in texts["README.md"]
    assert "| `_upsample_bicubic2d_aa` | 31 | output | sixteen products and fifteen sums |" in texts["README.md"]
    assert "`constant_pad_nd`" in texts["README.md"]


def test_the_index_has_the_model_tree(published: CompiledModel) -> None:
    index = render(published)["README.md"]
    lines = iter(index.splitlines())
    # In this order, among others.
    for expected in (
        "- [DeepseekOCRForCausalLM](layers/deepseek_ocr_for_causal_lm.md); calls: prefill 1, decode 1",
        "  - `model`: [DeepseekOCRModel](layers/deepseek_ocr_model.md); calls: prefill 1, decode 1",
        "    - `layers`: ModuleList",
        "      - `1-11`: 11 \u00d7 [DeepseekV2DecoderLayer](layers/deepseek_v2_decoder_layer.md), one after the other; "
        "calls: prefill 1, decode 1",
        "          - `experts`: ModuleList",
        "            - `0-63`: 64 \u00d7 [DeepseekV2MLP](layers/deepseek_v2_mlp.md), side by side; "
        "calls: prefill 1, decode 1",
        "    - `sam_model`: [ImageEncoderViT](layers/image_encoder_vit.md); calls: prefill 2",
        "        - `0-1,3-4,6-7,9-10`: 8 \u00d7 [Block](layers/block.md), one after the other; calls: prefill 2",
        "        - `patch_embedding`: [Conv2d](layers/conv2d.md); never called",
        "  - `lm_head`: [LMHead](layers/lm_head.md); calls: prefill 1, decode 1",
    ):
        assert expected in lines, expected


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere(texts: dict[str, str]) -> None:
    links = 0
    for path, text in texts.items():
        for target in re.findall(r"\]\(([^)]+)\)", text) if path.endswith(".md") else ():
            if target.startswith("https://arxiv.org/abs/"):
                continue
            file, _, anchor = target.partition("#")
            found = os.path.normpath(os.path.join(os.path.dirname(path), file))
            assert found in texts, (path, target)
            assert not anchor or anchor in anchors(texts[found]), (path, target)
            links += 1
    assert links > 200


def test_the_index_links_to_what_other_counters_say_where_that_page_is(published: CompiledModel) -> None:
    with_page, without = (render(published, has_accuracy=has_accuracy)["README.md"] for has_accuracy in (True, False))
    assert "](accuracy.md)" in with_page
    assert "accuracy.md" not in without


def test_every_row_of_a_table_has_the_cells_of_its_heading(texts: dict[str, str]) -> None:
    for path, text in texts.items():
        cells = 0
        for line in text.splitlines() if path.endswith(".md") else ():
            if not line.startswith("|"):
                cells = 0
                continue
            found = len(re.findall(r"(?<!\\)\|", line)) - 1
            cells = cells or found
            assert (found, line[-1]) == (cells, "|"), (path, line)


def test_headings_tables_and_formulas_stand_alone(texts: dict[str, str]) -> None:
    """Markdown needs an empty line before a table and around a list, and code fences in pairs."""
    for path, text in texts.items():
        if not path.endswith(".md"):
            continue
        assert text.count("```") == 2 * text.count("```math\n")
        lines = text.splitlines()
        for before, line in pairwise(lines):
            if line.startswith("#"):
                assert not before or before.startswith("<!--"), (path, line)
            if line.startswith("|") and not before.startswith("|"):
                assert not before, (path, line)
            if line.lstrip().startswith("- ") and not before.lstrip().startswith("- "):
                assert not before, (path, line)
        assert "\n\n\n" not in text, path
        assert text == f"{text.rstrip()}\n", path
        assert not re.search(r"[ \t]$", text, flags=re.MULTILINE), path


FORBIDDEN = (r"\operatorname", r"\def", r"\newcommand", "$$")
"""What GitHub's MathJax refuses, or takes for something else."""


def test_the_latex_is_balanced_and_what_github_accepts(pages: Pages, texts: dict[str, str]) -> None:
    for path, text in texts.items():
        formulas = re.findall(r"```math\n(.*?)\n```", text, flags=re.DOTALL) + re.findall(r"\$`(.*?)`\$", text)
        for formula in [text] if path.endswith(".tex") else formulas:
            check_balance(formula, path)
            assert not any(word in formula for word in FORBIDDEN), path


def check_balance(latex: str, path: str) -> None:
    bare = latex.replace(r"\{", "").replace(r"\}", "")
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0, path
    assert depth == 0, path
    assert len(re.findall(r"\\left(?![a-zA-Z])", bare)) == len(re.findall(r"\\right(?![a-zA-Z])", bare)), path
    assert len(re.findall(r"\\bigl", bare)) == len(re.findall(r"\\bigr", bare)), path
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", bare):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name, path
    assert not opened, path


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here; the structure is checked above")
def test_the_document_compiles(texts: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "formulas.tex").write_text(texts["formulas.tex"], encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "formulas.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout, "a formula is wider than the page"
    assert (tmp_path / "formulas.pdf").stat().st_size > 100_000


def test_the_text_is_the_same_whatever_the_hash_seed_and_the_folder(published: CompiledModel, tmp_path: Path) -> None:
    """Nor whether the graph was traced or read."""
    graph = tmp_path / "graph.json"
    published.graph.write(graph)
    program = (
        "import hashlib, sys\n"
        "from modelmeter.compiler import compile_model\n"
        "from modelmeter.graph.module_graph import ModuleGraph\n"
        "from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture\n"
        "c = compile_model(DeepSeekOCRArchitecture(), ModuleGraph.read(sys.argv[1]))\n"
        "t = c.pages()\n"
        "assert 'torch' not in sys.modules\n"
        "print(hashlib.sha256(repr(sorted(t.items())).encode()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(graph)], cwd=tmp_path, capture_output=True, text=True, check=True,
        timeout=120, env={**os.environ, "PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"},
    )  # fmt: skip
    here = hashlib.sha256(repr(sorted(published.pages().items())).encode()).hexdigest()
    assert done.stdout.strip() == here


def test_nothing_of_this_machine_is_in_the_text(texts: dict[str, str]) -> None:
    for path, text in texts.items():
        assert str(ROOT) not in text, path
        assert str(Path.home()) not in text or Path.home() == Path("/"), path


def test_what_was_given_as_evidence_replaces_the_default_and_is_escaped(published: CompiledModel) -> None:
    evidence = {"linear": ["first", "``verify`` found | 0 <differences> & 100 % *sure*"], "vision": ["seen_"]}
    texts = render(published, evidence=evidence)
    assert texts["layers/linear.md"].endswith(
        "\n- first\n- `verify` found \\| 0 \\<differences\\> & 100 % \\*sure\\*\n"
    )
    assert "test_linear" not in texts["layers/linear.md"]
    assert texts["stages/vision.md"].endswith("\n- seen\\_\n")
    escaped = r"\texttt{verify} found \textbar{} 0 \textless{}differences\textgreater{} \& 100 \% *sure*"
    assert f"\\item {escaped}\n" in texts["formulas.tex"]


def test_the_tests_that_a_page_names_exist(texts: dict[str, str]) -> None:
    named = {file for text in texts.values() for file in re.findall(r"`(tests/[\w/]+\.py)`", text)}
    assert len(named) > 3
    for file in named:
        assert (ROOT / file).is_file(), file


def test_a_model_of_dense_layers_only_has_pages(published: CompiledModel) -> None:
    """Nothing on the pages needs the experts to be there."""
    dense = compile_model(DeepSeekOCRArchitecture(num_hidden_layers=2, first_k_dense_replace=2))
    texts = render(dense)
    assert "layers/deepseek_v2_moe.md" not in texts
    assert "expert" not in texts["stages/prefill.md"].lower()


def test_one_module_is_not_one_after_the_other(texts: dict[str, str]) -> None:
    """As the dense layer before the layers with experts."""
    page = texts["layers/deepseek_ocr_model.md"]
    assert "$`1`$, " not in page
    assert ", one after the other |" in page
