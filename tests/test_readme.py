"""Everything that the README shows is so."""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import deepseek_ocr_costs as costs
from llm_perf_opt.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def find_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_stage_table_is_what_the_evaluators_return() -> None:
    """Each row of the table has the six metrics of one stage of the default request, to the last digit."""
    rows = re.findall(r"^\| (\w+) \| ([\d,]+ (?:\| [\d,]+ ){5})\|$", README, re.MULTILINE)
    shown = {stage: tuple(int(cell.replace(",", "")) for cell in cells.split(" | ")) for stage, cells in rows}
    assert shown == {stage: tuple(cost) for stage, cost in costs.stages()._asdict().items()}


def test_the_python_code_runs() -> None:
    """Every line of every Python block runs; all of them are calls of the evaluators."""
    (block,) = find_blocks("python")
    names: dict[str, object] = {}
    for line in block.splitlines():
        exec(line, names)  # our own README
    assert names["costs"] is costs


@pytest.mark.parametrize(
    "command",
    [
        line
        for line in "".join(find_blocks("bash")).splitlines()
        # Proofs take long; test_verify_command.py runs the quick ones.
        if line.startswith("modelmeter") and "verify" not in line
    ],
)
def test_the_commands_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every modelmeter command that the README shows succeeds and prints something."""
    monkeypatch.setenv("LLM_PERF_OPT_ROOT", str(tmp_path))  # where reports go
    monkeypatch.chdir(tmp_path)  # where sweeps go
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    assert result.output.strip()


def test_the_report_is_what_it_prints(tmp_path: Path) -> None:
    """Every line of it, in this order; an ellipsis stands for what is left out."""
    (block,) = find_blocks("text")
    (command,) = (line for line in "".join(find_blocks("bash")).splitlines() if line.startswith("modelmeter report"))
    result = CliRunner().invoke(app, [*shlex.split(command)[1:], "--out", str(tmp_path / "report")])
    shown, hidden = block.rstrip("\n").split("\n...\n")
    assert result.output.startswith(shown + "\n")
    assert hidden + "\n" in result.output


def test_the_pages_that_fit_on_the_card() -> None:
    """The cache of 913 tokens and 1023 steps, and the LM head on 913 tokens: see test_examples.py."""
    one_page = 12 * 2 * 1280 * 2 * (913 + 1023) + (1280 + 129_280) * 913 * 2
    usable = 80 * 2**30 - math.ceil(2.14 * 2**30)
    assert f"says that {(usable - 2 * 3_336_106_240) // one_page} of these pages fit" in README


def test_what_is_left_of_a_frozen_formula() -> None:
    """The comment behind the source that it asks for is what that returns."""
    call, comment = re.findall(r"^(costs\.freeze\(.*\.source)  # (.*)$", README, re.MULTILINE)[0]
    assert eval(call, {"costs": costs}).endswith(f"    return {comment}\n")  # our own README


def test_every_make_target_exists() -> None:
    """The README names no make target that the Makefile lacks."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"make (\w+)", README)) <= set(targets)


def test_the_formula_is_that_of_its_page() -> None:
    """The formula is on the layer's page, letter for letter."""
    (formula,) = find_blocks("math")
    page = (ROOT / "codegen/formulas/layers/llama_flash_attention2.md").read_text(encoding="utf-8")
    assert formula.strip() in page


def test_every_link_leads_somewhere() -> None:
    """Every relative link names a file of the project."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
