"""Functions in JavaScript: names, checks, steps, results, in this order, in lines that fit."""

from __future__ import annotations

import pytest
from attrs import evolve
from small_package import make_parameter

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Operation, Output, Program
from modelmeter.algebra.simplify import build_program
from modelmeter.backends.javascript.function import LINE_LENGTH, print_function
from modelmeter.core.functions import Size
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, Result, StageCosts, Values
from modelmeter.evaluators.signature import Derivation, Parameter, Signature
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol
from modelmeter.models.deepseek_ocr.model import MODEL
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.support.errors import FormulaError

DECODE_STEPS = next(Derivation.make(each) for each in MODEL.derivations if each.name == "decode_steps")

PROMPT, LOGITS, SIDE, BITS = (symbol(name) for name in ("seq_len", "logits_tokens", "base_size", "weight_bits"))


def make_evaluator(*parameters: Parameter, outputs: dict[str, Size], result: Result) -> Evaluator:
    return Evaluator(
        name="cost",
        summary="",
        notes="",
        signature=Signature(
            parameters=parameters, has_routing=False, constants={"sam_patch_size": 9}, model_rules=RULES
        ),
        program=build_program(outputs, dimensions=DIMENSIONS),
        result=result,
    )


def test_a_size_is_checked_and_its_rules_are() -> None:
    evaluator = make_evaluator(
        make_parameter(name="base_size", default=175),
        outputs={"output": SIDE**2 / 8},
        result=OneValue("bytes", "output"),
    )
    function = print_function(evaluator)
    assert function.result == "bigint"
    assert function.body == (
        "let { base_size = 175n, ...others } = given;",
        'checkNames("cost", given, others);',
        'base_size = checkSize("base_size", base_size, 1n);',
        'if (base_size < 9n) throw tooSmall("base_size", base_size, "sam_patch_size", 9n);',
        "return ceilDiv(base_size * base_size, 8n);",
    )


def test_what_follows_from_others_is_filled_in_or_compared() -> None:
    evaluator = make_evaluator(
        make_parameter(name="decode_steps", default=28, derivation=DECODE_STEPS),
        make_parameter(name="max_new_tokens", default=29, target="decode_steps"),
        outputs={"one": symbol("decode_steps")},
        result=OneCost({"flops": "one"}),
    )
    assert print_function(evaluator).body == (
        "let { decode_steps, max_new_tokens, ...others } = given;",
        'checkNames("cost", given, others);',
        'if (max_new_tokens != null) max_new_tokens = checkSize("max_new_tokens", max_new_tokens, 1n);',
        "if (decode_steps == null) {",
        "  max_new_tokens ??= 29n;",
        "  decode_steps = max_new_tokens - 1n;",
        "} else {",
        '  decode_steps = checkSize("decode_steps", decode_steps, 0n);',
        "  if (max_new_tokens != null) {",
        '    checkAgreement("decode_steps", decode_steps, "max_new_tokens - 1", max_new_tokens - 1n);',
        "  }",
        "}",
        "return Object.freeze({",
        "  flops: decode_steps,",
        "});",
    )


def test_guards_come_before_results() -> None:
    evaluator = make_evaluator(
        make_parameter(name="base_size", default=175),
        make_parameter(name="seq_len", default=331),
        outputs={"one": PROMPT, "guard": PROMPT - SIDE},
        result=StageCosts({"vision": OneCost({"flops": "one"})}),
    )
    lines = print_function(evolve(evaluator, guards={"guard": "seq_len - base_size"})).body
    assert lines[-6:] == (
        'if ((seq_len - base_size) < 0n) throw new CostError("the sizes make seq_len - base_size negative");',
        "return Object.freeze({",
        "  vision: Object.freeze({",
        "    flops: seq_len,",
        "  }),",
        "});",
    )


def test_widths_are_counted_in_parts_of_a_bit() -> None:
    evaluator = make_evaluator(
        make_parameter(name="seq_len", default=331),
        make_parameter(name="weight_bits", default=5),
        outputs={"output": (PROMPT * BITS + 64 * PROMPT) / 8},
        result=OneValue("bytes", "output"),
    )
    lines = print_function(evaluator).body
    assert lines[3:5] == ("let scale;", '[scale, weight_bits] = checkBits([["weight_bits", weight_bits, 1n]]);')
    assert lines[-1] == "return ceilDiv(seq_len * (weight_bits + 64n * scale), 8n * scale);"


def test_a_width_that_nothing_depends_on_needs_no_scale() -> None:
    evaluator = make_evaluator(
        make_parameter(name="weight_bits", default=5), outputs={"one": PROMPT}, result=OneValue("flops", "one")
    )
    assert '[, weight_bits] = checkBits([["weight_bits", weight_bits, 1n]]);' in print_function(evaluator).body


def test_long_sums_and_products_are_broken() -> None:
    """A sum has a line for each term; what is longer than a line gets names for its parts."""
    long_names = tuple(f"x{number}_{'y' * 20}" for number in range(12))
    products = tuple(Operation(PRODUCT, (number, *long_names[:number])) for number in range(2, 9))
    evaluator = make_evaluator(outputs={"one": PROMPT}, result=OneCost({"flops": "one", "bytes": "two"}))
    program = Program(
        inputs=(),
        steps=(("x1", Operation(SUM, products)),),
        outputs=(Output("one", Operation(PRODUCT, long_names), 1), Output("two", Operation(MAXIMUM, products), 8)),
    )
    lines = print_function(evolve(evaluator, program=program)).body
    assert all(len(line) <= LINE_LENGTH - 2 for line in lines)
    assert sum(line.startswith("  + ") for line in lines) >= len(products) - 1
    assert any(line.startswith("const y1 = ") for line in lines)
    assert any(line.startswith("  bytes: ceilDiv(") for line in lines)


@pytest.mark.parametrize("name", ["delete", "given", "scale"])
def test_a_word_of_the_language_is_no_name(name: str) -> None:
    evaluator = make_evaluator(outputs={"one": PROMPT}, result=OneValue("flops", "one"))
    with pytest.raises(FormulaError, match=f"cost|{name}: a name is a word of JavaScript; found {name}"):
        print_function(evolve(evaluator, name=name))


def test_several_numbers_are_not_printed() -> None:
    evaluator = make_evaluator(outputs={"one": PROMPT}, result=Values(("one",)))
    with pytest.raises(FormulaError, match="cost: JavaScript has no tables"):
        print_function(evaluator)
