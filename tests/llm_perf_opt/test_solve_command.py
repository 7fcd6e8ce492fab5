"""``modelmeter solve``: one question from the shell."""

from __future__ import annotations

import json

import pytest
from command_line import Run, assert_refused, run_apart

from llm_perf_opt.commands.solve import CARD_NAMES
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
    assert lines[-1] == "known    proved, by brackets of integers between which the difference changes its sign"


def test_each_technique_of_a_proof_is_said_once_after_by(run: Run) -> None:
    """A quantity alone has the polynomial that it is, and signs that show how it grows."""
    known = run("solve", "prefill.kv_cache_bytes", "--over", "batch_size").out.splitlines()[-1]
    assert known.startswith("known    proved, by multiplying the formula out into one polynomial and by ")
    said = known.removeprefix("known    proved, by ").split(" and by ")
    assert len(said) == len(set(said)) >= 1


def test_the_largest_batch_of_a_card(run: Run) -> None:
    """As the report says: with logits of one token, 353 pages fit beside the reserve of an H100."""
    question = f"{MEMORY} <= card.usable_bytes"
    result = run("solve", question, "logits_tokens=1", "--over", "batch_size", "--hardware", "h100-sxm")
    assert (result.code, result.err) == (0, "")
    assert "is at most card.usable_bytes up to batch_size = 353, and exceeds it" in result.out
    assert "logits_tokens = 1, " in result.out
    assert "decode_steps = 1023 (max_new_tokens = 1024)" in result.out  # the first token comes from the prompt
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
        (("request.io_bytes", "kv=8", "--over", "seq_len"), ("did you mean kv_bits",)),
        (("request.io_bytes", "kv_dtype=8", "--over", "seq_len"), ("did you mean kv_bits",)),
        (("request.io_bytes", "--over", "kv"), ("did you mean kv_bits",)),
        (("prefill.io_bytes >= card.ratios", "--over", "seq_len", "--hardware", "l4"), ("did you mean card.ratio",)),
        (("prefill.modules(*.attn).io_bytes >= 1 GB", "--over", "seq_len"), ("prefill", "modules run in vision")),
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
    assert_refused(run("solve", "prefill.io_bytes >= 3"), "which size grows", "--over seq_len")
    assert_refused(run("solve", "asdf"), "no stage or size of this name", "found asdf")  # without --over, too


@pytest.mark.parametrize("over", [("--over", "seq_len"), ()])
@pytest.mark.parametrize(
    "question", ["prefill.time", "request.latency <= 2 s", "decode.modules(*.mlp).time_ms", "time"]
)
def test_who_asks_for_a_time_is_told_how(run: Run, question: str, over: tuple[str, ...]) -> None:
    result = run("solve", question, *over)
    assert_refused(result, "with --hardware divide", "modelmeter study", "modelmeter report")
    assert "modelmeter study" not in run("solve", "prefill.bytes", *over).err


def test_a_time_is_bytes_by_the_bandwidth_of_a_card(run: Run) -> None:
    """As the remedy says. In 20 ms an H100 of 3.35 TB/s moves 67 GB."""
    question = "prefill.io_bytes / card.memory_bytes_per_second >= 20 ms"
    in_time = run("solve", question, "--over", "seq_len", "--hardware", "h100-sxm").out
    in_bytes = run("solve", "prefill.io_bytes >= 67 GB", "--over", "seq_len").out
    assert in_time.splitlines()[2:4] == in_bytes.splitlines()[2:4]
    assert "formula  ceiling(" in in_time


def test_an_answer_names_its_card_and_the_numbers_of_the_question(run: Run) -> None:
    """80 GiB are 80 * 1024^3 = 85,899,345,920 bytes; 989.4 TFLOP/s by 3.35 TB/s are 98940 / 335 = 19788 / 67."""
    arguments = ("prefill.io_bytes <= card.memory_bytes", "--over", "batch_size", "--hardware", "h100-sxm")
    line = "card     NVIDIA H100 SXM5 80GB (h100-sxm, bfloat16): card.memory_bytes = 85899345920 bytes"
    assert run("solve", *arguments).out.splitlines()[-1] == line
    card = json.loads(run("solve", *arguments, "--json").out)["card"]
    assert (card["id"], card["name"], card["dtype"]) == ("h100-sxm", "NVIDIA H100 SXM5 80GB", "bfloat16")
    assert (card["numbers"]["memory_bytes"], card["numbers"]["ratio"]) == (85_899_345_920, "19788/67")
    assert set(card["numbers"]) == {name.removeprefix("card.") for name in CARD_NAMES}
    unused = run("solve", "prefill.io_bytes", "--over", "batch_size", "--hardware", "l4").out
    assert unused.splitlines()[-1] == "card     NVIDIA L4 24GB (l4, bfloat16): the question has no number of it"
    assert "card" not in json.loads(run("solve", "prefill.io_bytes", "--over", "batch_size", "--json").out)


def test_the_ratio_of_a_card(run: Run) -> None:
    """A layer n -> n of n = 1280 computes B n / (2 B + n) FLOPs a byte: 19788 / 67 at B = 640 r / (640 - r) = 548.9."""
    question = "layer(linear).tensor_core_flops / layer(linear).io_bytes >= card.ratio"
    sizes = ("in_features=1280", "out_features=1280", "--over", "num_tokens")
    out = run("solve", question, *sizes, "--hardware", "h100-sxm").out
    assert "from num_tokens = 549 on, and not before" in out
    assert "card.ratio = 19788/67 FLOP/byte" in out


def test_the_help_lists_the_numbers_of_a_card(run: Run) -> None:
    shown = " ".join(run("solve", "--help").out.split())
    for name in CARD_NAMES:
        assert name in shown


def test_the_sizes_of_a_workload_are_listed_first(run: Run) -> None:
    for arguments in (("prefill.io_bytes", "--over", "zzz"), ("prefill.io_bytes", "zzz=3", "--over", "seq_len")):
        assert_refused(run("solve", *arguments), "batch_size", "seq_len", "weight_bits", "activation_bits", "kv_bits")


def test_it_needs_no_torch() -> None:
    result = run_apart("solve", "prefill.io_bytes", "--over", "seq_len", forbidden=("torch", "torchinfo", "numpy"))
    assert (result.returncode, result.stderr) == (0, "")
