"""Everything that the README shows is so."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import deepseek_ocr_costs as costs
import modelmeter
from card_pages import HEAD, TOWERS, count_pages
from llm_perf_opt.cli import app
from modelmeter.support.errors import CertificateError

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
    """Every line of every Python block runs: calls of the evaluators, and questions to the library."""
    names: dict[str, object] = {}
    for line in "".join(find_blocks("python")).splitlines():
        exec(line, names)  # our own README
    assert (names["costs"], names["modelmeter"]) == (costs, modelmeter)


def test_the_certificates_of_an_answer_are_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three lines replay what ``solve --json`` prints, and refuse it once a sign of it is changed."""
    (lines,) = find_blocks("py")
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(app, ["solve", "prefill.io_bytes <= 1 TB", "--over", "batch_size", "--json"]).output
    Path("answer.json").write_text(printed, encoding="utf-8")
    exec(lines)  # our own README
    answer = json.loads(printed)
    answer["certificates"][0]["cells"][0][-1] *= -1
    Path("answer.json").write_text(json.dumps(answer), encoding="utf-8")
    with pytest.raises(CertificateError, match="another sign"):
        exec(lines)


def test_the_comments_behind_answers_are_so() -> None:
    """What ``free`` leaves open: the formula, and the answer at the ratio of an H100."""
    names: dict[str, object] = {"modelmeter": modelmeter}
    (block,) = (each for each in find_blocks("python") if "scaling.RATIO" in each)
    exec(block, names)  # our own README
    formula, value = (eval(call, names) for call in ("answer.formula", "answer.at(ratio=Fraction(19788, 67))"))
    assert f"answer.formula  # {formula}," in block
    assert f"answer.at(ratio=Fraction(19788, 67))  # {value} on an H100" in block


def test_the_largest_batches_of_questions() -> None:
    """With the reserve or without it, with logits of all positions or of one."""
    parts = ("request.weight_bytes", "request.kv_cache_bytes", "request.peak_activation_bytes")
    shown = " ".join(README.split())
    for memory, logits, words in (
        ("usable", "913", "positions, and {} pages fit; with"), ("memory", "913", "takes off, {}. All three"),
        ("usable", "1", "up to batch_size = {}, and exceeds it at every larger one. ..."),
    ):  # fmt: skip
        question = f"{' + '.join(parts)} <= card.{memory}_bytes"
        arguments = [question, f"logits_tokens={logits}", "--over", "batch_size", "--hardware", "h100-sxm", "--json"]
        assert words.format(json.loads(CliRunner().invoke(app, ["solve", *arguments]).output)["value"]) in shown


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
    """A prompt of 913 tokens and 1023 steps."""
    with_all, with_last = count_pages(913)
    text = " ".join(README.split())
    said = f"at once: {with_all} with logits of all 913 positions, {with_last} with logits of the last position"
    assert said in text


def test_what_is_alive_at_the_peak() -> None:
    """The head on 913 tokens; six views in the towers beside the global view, embeddings and ids of the prompt.

    SAM's bias has two bytes for 12 heads of 6 tiles and 1600 x 1600 pairs of patches. A page has 3 channels of a view
    of 1024 x 1024 pixels and of six tiles of 640 x 640, of two bytes.
    """
    head, towers = 913 * HEAD, TOWERS + 913 * (1280 * 2 + 8) + 2 * 3 * 1024**2
    assert (costs.request_peak_activation_bytes(), costs.request_peak_activation_bytes(logits_tokens=1)) == (
        head,
        towers,
    )
    bias, pixels = 12 * 6 * 1600**2 * 2, 3 * (1024**2 + 6 * 640**2) * 2
    text = " ".join(README.split())
    for count, words in (
        (head, "here {} MB: the logits of all positions"), (towers, "it is {} MB; "),
        (bias, "{} MB of that is the bias that SAM"), (pixels, "all pages of a batch, {} MB each"),
    ):  # fmt: skip
        assert words.format(round(count / 1e6)) in text


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
    *_, formula = find_blocks("math")  # after that of the throughput of a plan
    page = (ROOT / "codegen/formulas/layers/llama_flash_attention2.md").read_text(encoding="utf-8")
    assert formula.strip() in page


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Every relative link names a file of the project, and a heading of it where it names one."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")) if "://" not in link]
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, link
