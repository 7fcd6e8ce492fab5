"""``modelmeter solve``: one question from the shell."""

from __future__ import annotations

import json

import pytest
from command_line import Run, assert_refused, run_apart

from modelmeter.scaling import SignTable

ATTENTION = (
    "prefill.operator(scaled_dot_product_attention).tensor_core_flops >= prefill.modules(*.mlp).tensor_core_flops"
)
MEMORY = "request.weight_bytes + request.kv_cache_bytes + request.peak_activation_bytes"


def test_where_one_cost_overtakes_another(run: Run) -> None:
    """Attention has 61,440 S^2 FLOPs, MLPs, experts and gates the following times S: equal at S = 32224 / 3."""
    mlps = 6 * 1280 * (6848 + 11 * (6 + 2) * 896) + 11 * 2 * 1280 * 64
    assert mlps * 3 == 61_440 * 32_224
    result = run("solve", ATTENTION, "--over", "seq_len")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].endswith("from seq_len = 10742 on, and not before.")
    assert "formula  ceiling(32224/3)" in lines
    assert "domain   seq_len from 1 on" in lines
    assert lines[-1].startswith("known    proved, by ")


def test_the_largest_batch_of_a_card(run: Run) -> None:
    """As the report says: with logits of one token, 353 pages fit beside the reserve of an H100."""
    question = f"{MEMORY} <= card.usable_bytes"
    result = run("solve", question, "logits_tokens=1", "--over", "batch_size", "--hardware", "h100-sxm")
    assert (result.code, result.err) == (0, "")
    assert "is at most card.usable_bytes up to batch_size = 353, and exceeds it" in result.out
    assert "logits_tokens = 1, " in result.out
    assert "seq_len = 913, " in result.out  # which follows from the default page and prompt
    assert "the architecture of DeepSeek-OCR" in result.out
    assert "sam_window_size" not in result.out


def test_a_layer_class_in_its_own_sizes(run: Run) -> None:
    """2 * 67 * 131 = 17,554 FLOPs a token: 57 tokens have 1,000,578, and 56 have 983,024."""
    sizes = ("in_features=67", "out_features=131")
    result = run("solve", "layer(linear).tensor_core_flops >= 1 MFLOP", *sizes, "--over", "num_tokens")
    assert "from num_tokens = 57 on, and not before" in result.out
    assert_refused(run("solve", "prefill.io_bytes", *sizes, "--over", "seq_len"), "in_features")


def test_json_has_a_certificate_that_can_be_replayed(run: Run) -> None:
    document = json.loads(run("solve", ATTENTION, "--over", "seq_len", "--json").out)
    assert (document["kind"], document["value"], document["threshold"]) == ("crossover", 10742, "32224/3")
    (certificate,) = document["certificates"]
    SignTable.from_json(certificate).check()


@pytest.mark.parametrize(
    ("question", "latex"),
    [
        (ATTENTION, r"\left\lceil \tfrac{32\,224}{3} \right\rceil"),
        # 61,440 S^2 = 10^16 at S = 312,500 sqrt(15) / 3: 61,440 * 15 * 312,500^2 / 9 = 10^16.
        (
            "prefill.operator(scaled_dot_product_attention).tensor_core_flops >= 10 PFLOP",
            r"\left\lceil \tfrac{312\,500}{3} \, \sqrt{15} \right\rceil",
        ),
        ("prefill.operator(mm).tensor_core_flops >= -1", "1"),
        ("prefill.weight_bytes <= 1 kB", r"\text{none}"),
    ],
)
def test_latex_is_the_formula_alone(run: Run, question: str, latex: str) -> None:
    result = run("solve", question, "--over", "seq_len", "--latex")
    assert result.out == f"{latex}\n"


def test_bounds_of_the_size(run: Run) -> None:
    out = run("solve", "prefill.io_bytes >= 1", "--over", "seq_len", "--from", "31", "--to", "97").out
    assert "domain   seq_len from 31 to 97" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("prefill.io_bytes >=", "--over", "seq_len"), ("column 20", "found the end")),
        (("prefill.io_bytes > 3", "--over", "seq_len"), ("column 18", "write >= or <=")),
        (("prefill.modules(*.mpl).io_bytes", "--over", "seq_len"), ("did you mean *.mlp",)),
        (("prefill.modules(*.lm_head).io_bytes", "--over", "seq_len"), ("did you mean lm_head",)),
        (("prefil.io_bytes", "--over", "seq_len"), ("did you mean prefill",)),
        (("prefill.io_bytes", "--over", "seqlen"), ("did you mean seq_len",)),
        (("prefill.io_bytes", "seqlen=3", "--over", "seq_len"), ("did you mean seq_len",)),
        (("prefill.io_bytes", "batch_size=0", "--over", "seq_len"), ("batch_size", "out of range")),
        (("prefill.io_bytes >= card.memory_bytes", "--over", "seq_len"), ("--hardware",)),
        (("prefill.io_bytes", "--over", "seq_len", "--hardware", "h1000"), ("h100",)),
        (("prefill.io_bytes", "--over", "seq_len", "--from", "5", "--to", "3"), ("no integer",)),
        (("prefill.io_bytes", "--over", "seq_len", "--graph", "/nowhere.json"), ("/nowhere.json",)),
    ],
)
def test_wrong_input_ends_in_one_line(run: Run, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_refused(run("solve", *arguments), *words)


def test_the_size_that_grows_has_to_be_said(run: Run) -> None:
    result = run("solve", "prefill.io_bytes >= 3")
    assert result.code == 2
    assert "--over seq_len" in result.err


def test_it_needs_no_torch() -> None:
    result = run_apart("solve", "prefill.io_bytes", "--over", "seq_len", forbidden=("torch", "torchinfo", "numpy"))
    assert (result.returncode, result.stderr) == (0, "")
