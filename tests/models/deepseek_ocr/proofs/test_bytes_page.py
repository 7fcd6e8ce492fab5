"""The page about bytes: what it says, and that it is current as far as a test can afford to know."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.functions import Size
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.cases import list_page_cases
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.formulas import FormulaValues
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.page import Section, render_page, typeset_cause
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.publishing.text import format_number
from modelmeter.verify.foreign_bytes.causes import Moved, make_cause, ours, theirs
from modelmeter.verify.foreign_bytes.comparison import AliveRow, ComparedOperator, PeakPlace, Peaks, Traffic

PAGE = Path(__file__).parents[4] / "codegen" / "formulas" / "bytes.md"
PUBLISHED = DeepSeekOCRArchitecture()

KEYS, SEQUENCES, LAYERS = symbol("num_keys"), symbol("batch_size"), symbol("num_hidden_layers")
LESS = make_cause("less of it", "reads once", [ours("mm", 3 * KEYS)], times=LAYERS - 1)
SECTION = Section(
    title="A step",
    traffic=Traffic(
        operators=(
            ComparedOperator(
                name="mm", our_calls=3, their_calls=2000, ours=Moved(read_bytes=5000, written_bytes=500),
                theirs=Moved(read_bytes=3000, written_bytes=500), causes=("less of it",),
            ),
            ComparedOperator(
                name="add", our_calls=7, their_calls=7, ours=Moved(read_bytes=11), theirs=Moved(read_bytes=11),
                causes=(),
            ),
        ),
        causes=((LESS, -2000), (make_cause("not here", "does nothing", [theirs("mm", KEYS)]), 0)),
    ),
    peaks=Peaks(
        alive=(AliveRow(role="states", ours=700, theirs=600), AliveRow(role="masks", ours=0, theirs=0)),
        ours=PeakPlace(path="layers.3.mlp", operator="sum", nbytes=700),
        theirs=PeakPlace(path="", operator="cat", nbytes=600),
    ),
    formula_bytes=5511,
    formula_peak=None,
)  # fmt: skip


def render() -> str:
    return render_page([SECTION], PUBLISHED).replace("\u202f", " ")


def test_the_page_shows_bytes_causes_operators_and_what_is_alive() -> None:
    text = render()
    lines = text.splitlines()
    assert "| A step | 5 511 | 5 511 | 3 511 | 0.64 |" in lines
    assert "| A step | \u2013 | 700 | 600 | 0.86 |" in lines
    assert "| less of it | reads once | \u22122 000 |" in lines
    assert "| `mm` | 3 | 2 000 | 5 500 | 3 500 | \u22122 000 | less of it |" in lines
    assert "| states | 700 | 600 | \u2212100 |" in lines
    assert "| **all** | 700 | 600 | \u2212100 |" in lines
    assert "at `sum` of `layers.3.mlp` in ours" in text
    assert "of `the model` in transformers" in text
    # What does not differ, or is not there, has no row; its formula has a place.
    assert not any(line.startswith(("| `add`", "| masks", "| not here")) for line in lines)
    assert "### Not here" in lines
    assert "| $`K`$ | `num_keys` | tokens | key positions of one sequence, cached ones included |" in lines


def test_tables_have_no_gaps() -> None:
    """A row after an empty line would be text; every row has as many cells as the one before."""
    lines = render().splitlines()
    for above, line in pairwise(lines):
        if line.startswith("| -") or line.startswith("| :"):
            assert above.startswith("| ")
        if line.startswith("|") and above.startswith("|"):
            assert line.count("|") == above.count("|")


@pytest.mark.parametrize(
    ("terms", "times", "latex"),
    [
        ([ours("mm", 6 * KEYS * SEQUENCES)], 1, r"-6 \, B \, K"),
        ([ours("mm", 6 * KEYS * SEQUENCES)], LAYERS - 1, r"-6 \, B \, K \, \left(L - 1\right)"),
        ([theirs("mm", 3 * KEYS, 5)], LAYERS - 1, r"\left(L - 1\right) \, \bigl(3 \, K + 5\bigr)"),
        ([ours("mm", 3 * KEYS, 5)], 1, r"-\bigl(3 \, K + 5\bigr)"),
        ([theirs("mm", 3 * KEYS, 5)], 1, r"3 \, K + 5"),
    ],
)
def test_a_cause_that_takes_away_has_its_sign_in_front(terms: list[tuple[str, Moved]], times: Size, latex: str) -> None:
    cause = make_cause("name", "text", terms, times=times)
    assert typeset_cause(cause, PUBLISHED) == latex


def test_a_long_formula_has_the_architecture_filled_in() -> None:
    sizes = [symbol(name) for name in PUBLISHED.dimension_values()]
    long = make_cause("name", "text", [theirs("mm", sum(one * other * KEYS for one, other in pairwise(sizes)))])
    values = list(PUBLISHED.dimension_values().values())
    total = sum(one * other for one, other in pairwise(values))
    assert typeset_cause(long, PUBLISHED).replace(r"\,", "").replace(" ", "") == f"{total}K"


def test_the_published_page_has_model_formulas_and_all_causes(published: CompiledModel) -> None:
    """A formula that changes makes the page stale; so do cases and causes that come or go."""
    text = PAGE.read_text(encoding="utf-8")
    values, workload = FormulaValues(published), Workload()
    sizes = {"batch_size": 1, "num_queries": workload.seq_len, "num_keys": workload.seq_len}
    prompt = format_number(values.find_traffic("prefill", {**sizes, "logits_tokens": workload.seq_len}))
    view = format_number(
        values.find_traffic("views", {"batch_size": 1, "num_views": 1, "view_size": 1024, "grid_size": 64})
    )
    assert f"| Prompt of 913 tokens, experts `eager` | {prompt} | {prompt} |" in text
    assert f"| Global view of 1024 pixels | {view} | {view} |" in text
    assert [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")] == [
        "All stages", *(case.title for case in list_page_cases(workload)), "Formulas of the causes"
    ]  # fmt: skip
    for case in list_page_cases(workload):
        for cause in case.causes:
            assert f"### {cause.name.capitalize()}\n\n```math\n{typeset_cause(cause, PUBLISHED)}\n```" in text
