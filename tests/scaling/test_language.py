"""Texts and the quantities that they stand for; what is no question is refused with the column."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import modelmeter
from modelmeter import scaling
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.scaling import Quantity, read_comparison
from modelmeter.support.errors import FormulaError, ModelMeterError, QuestionError
from modelmeter.support.suggestions import UnknownNameError

MODEL = modelmeter.load()
CARD = {"card.memory_bytes": Quantity(formula=85_899_345_920, name="card.memory_bytes", unit="bytes")}


@pytest.mark.parametrize(
    ("text", "formula", "unit"),
    [
        ("prefill.io_bytes", MODEL.formula("prefill", "io_bytes", symbolic=True), "bytes"),
        (
            "prefill.modules(*.mlp).tensor_core_flops",
            scaling.stage(MODEL, "prefill").modules("*.mlp").tensor_core_flops.formula,
            "FLOPs",
        ),
        (
            "vision.module_class(Attention).operator(addmm).tensor_core_flops",
            scaling.stage(MODEL, "vision").module_class("Attention").operator("addmm").tensor_core_flops.formula,
            "FLOPs",
        ),
        ("layer(linear).weight_bytes", MODEL.formula("linear", "weight_bytes"), "bytes"),
        ("3 * (seq_len - 2) / 4 - -seq_len", symbol("seq_len") * Fraction(7, 4) - Fraction(3, 2), ""),
        ("card.memory_bytes - 80 GiB", 0, "bytes"),
        ("3 MiB - 7 KiB", 3 * 2**20 - 7 * 2**10, "bytes"),
        ("1.5e3 MB + 500_000 kB", 2 * 10**9, "bytes"),
        ("2 TFLOP/s", 2 * 10**12, "FLOP/s"),
        ("5 TB/s", 5 * 10**12, "byte/s"),
        ("6 GFLOP / 3 GFLOP/s", 2, "s"),
        ("7 ms", Fraction(7, 1000), "s"),
        ("3 * GiB - GiB * 2", 2**30, "bytes"),
        ("3 * (TFLOP / s) + 2 TFLOP/s", 5 * 10**12, "FLOP/s"),
        ("max(3, 7, 5) + min(11, 13)", 18, ""),
    ],
)  # fmt: skip
def test_a_text_stands_for_a_quantity(text: str, formula: object, unit: str) -> None:
    found = read_comparison(text, MODEL, CARD)
    assert (found.relation, found.right) == (None, None)
    assert (found.left.formula - formula).doit().expand() == 0
    assert found.left.unit == unit


def test_a_number_takes_the_unit_of_what_it_is_compared_with() -> None:
    found = read_comparison("3e9 >= prefill.io_bytes", MODEL)
    assert (found.left.unit, found.relation) == ("bytes", ">=")
    assert found.left.formula == 3 * 10**9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: a question cannot be read; expected \\(, -, a name, a number"),
        ("prefill.io_bytes >=", "column 20: .* found the end"),
        ("prefill.io_bytes >= 3 $", "column 23: .* found \\$"),
        ("prefill.io_bytes > 3", "column 18: this comparison is not known; found >; write >= or <="),
        ("a b", "column 3: .* found b"),
        ("a", "there is no stage or size of this name; found a"),
        ("prefill.io_bytes == 3", "column 18"),
        ("prefill.modules().io_bytes", "column 17: .* a pattern"),
        ("prefill >= 3", "a metric is missing; expected prefill.METRIC"),
        ("prefill.io_bytes.io_bytes", "a quantity has no parts"),
        ("seq_len.modules(*)", "only a stage has parts to select"),
        ("card >= 3", "a name is not complete; expected card.memory_bytes"),
        ("3 >= 2", "a question is about a model"),
        ("prefill.io_bytes / (3 - 3)", "divides by zero"),
        ("prefill.io_bytes >= " + "9" * 101, "a number is too long"),
        ("prefill.io_bytes >= 1e1000", "column 26"),
        (" " * 10_001, "a question is too long"),
        ("(" * 9_999, "column 10000"),
    ],
)
def test_what_is_no_question_is_refused(text: str, message: str) -> None:
    with pytest.raises(ModelMeterError, match=message) as error:
        read_comparison(text, MODEL, CARD)
    assert isinstance(error.value, QuestionError | UnknownNameError)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("prefil.io_bytes", "prefill"),
        ("prefill.io_byte", "io_bytes"),
        ("prefill.operator(scaled_dot_product).io_bytes", "scaled_dot_product_attention"),
        ("layer(liner).io_bytes", "linear"),
        ("prefill.module(*.mlp).io_bytes", "modules"),
        ("card.memory", "card.memory_bytes"),
    ],
)
def test_a_wrong_name_gets_the_nearest_right_one(text: str, meant: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean .*{meant}"):
        read_comparison(text, MODEL, CARD)


def test_products_of_units_commute() -> None:
    one, other = "prefill.io_bytes * prefill.tensor_core_flops", "prefill.tensor_core_flops * prefill.io_bytes"
    found = read_comparison(f"{one} >= {other}", MODEL)
    assert found.right is not None
    assert found.left.unit == found.right.unit == "FLOP·byte"
    assert read_comparison(f"3 / GiB / s + 2 / s / GiB >= {0}", MODEL).left.unit == "1/byte·s"


def test_quantities_of_different_units_do_not_compare() -> None:
    with pytest.raises(FormulaError, match="expected bytes; found FLOPs"):
        read_comparison("prefill.io_bytes >= 3 GFLOP", MODEL)
    with pytest.raises(FormulaError, match="do not add up"):
        read_comparison("prefill.io_bytes + prefill.tensor_core_flops", MODEL)


def test_no_depth_of_signs_or_sums_exhausts_the_stack() -> None:
    assert read_comparison("-" * 9_998 + "1", MODEL).left.formula == 1
    assert read_comparison("+".join(["1"] * 4_999), MODEL).left.formula == 4_999


@given(st.text("prefill.io_bytes()*+-/<>=3 GB,maxseq_len", max_size=60))
@example("__import__('os').system('true')")
@example("prefill.__class__.__bases__")
def test_any_text_is_a_question_or_refused(text: str) -> None:
    with suppress(ModelMeterError):  # any other error fails
        assert read_comparison(text, MODEL).left.name
