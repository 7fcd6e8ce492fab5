"""Bodies of functions: cheap checks first, then steps, then results."""

from __future__ import annotations

import pytest
from small_package import make_parameter

from modelmeter.algebra.simplify import build_program
from modelmeter.backends.python.function import print_function
from modelmeter.dimensions.functions import Size, exceeds
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, Result, Values
from modelmeter.evaluators.signature import Derivation, Parameter, Signature
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.support.errors import FormulaError

PROMPT, LOGITS, SIDE = symbol("seq_len"), symbol("logits_tokens"), symbol("base_size")


def make_evaluator(
    *parameters: Parameter, outputs: dict[str, Size], result: Result, guards: dict[str, str] | None = None
) -> Evaluator:
    return Evaluator(
        name="cost",
        summary="A cost.",
        notes="",
        signature=Signature(
            parameters=parameters, has_routing=False, constants={"sam_patch_size": 9}, model_rules=RULES
        ),
        program=build_program(outputs, dimensions=DIMENSIONS),
        result=result,
        guards=guards or {},
    )


def test_one_metric_is_checked_and_returned() -> None:
    evaluator = make_evaluator(
        make_parameter(name="base_size", default=175),
        outputs={"output": SIDE**2 / 8},
        result=OneValue("bytes", "output"),
    )
    function = print_function(evaluator)
    assert function.result == "int"
    assert function.docstring == ('    """A cost. 2 operations."""',)
    assert function.body == (
        "    if not (",
        "        int is type(base_size) and base_size > 0",
        "    ) and (found := check_again(cost, locals())) is not None:",
        "        return found",
        "    if base_size < 9:",
        '        raise too_small("base_size", base_size, "sam_patch_size", 9)',
        "    return -(-(base_size * base_size) // 8)",
    )


def test_a_derived_size_is_filled_in_before_it_is_compared() -> None:
    evaluator = make_evaluator(
        make_parameter(name="seq_len", default=331),
        make_parameter(name="logits_tokens", default=331, derivation=Derivation(node="seq_len", words="all")),
        outputs={"one": PROMPT * LOGITS, "other": exceeds(PROMPT * LOGITS, 5)},
        result=OneCost({"flops": "one", "bytes": "other"}),
    )
    assert print_function(evaluator).body == (
        "    if not (",
        "        int is type(seq_len) and seq_len > 0",
        "    ) and (found := check_again(cost, locals())) is not None:",
        "        return found",
        "    if logits_tokens is None:",
        "        logits_tokens = seq_len",
        "    elif not (type(logits_tokens) is int and logits_tokens > 0):",
        '        logits_tokens = check_size("logits_tokens", logits_tokens, 1)',
        "    if logits_tokens > seq_len:",
        '        raise too_large("logits_tokens", logits_tokens, "seq_len", seq_len)',
        "    x1 = seq_len * logits_tokens",
        "    flops = x1",
        "    bytes = 1 if x1 > 5 else 0",
        "    return Cost((flops, bytes))",
    )


def test_what_must_not_be_negative_is_tested_before_it_is_used() -> None:
    evaluator = make_evaluator(
        make_parameter(name="base_size", default=175),
        make_parameter(name="seq_len", default=331),
        outputs={"one": PROMPT, "guard": PROMPT - SIDE},
        result=OneCost({"flops": "one"}),
        guards={"guard": "seq_len - base_size"},
    )
    assert print_function(evaluator).body[-5:] == (
        '        raise too_small("base_size", base_size, "sam_patch_size", 9)',
        "    if seq_len - base_size < 0:",
        '        raise CostError("the sizes make seq_len - base_size negative")',
        "    flops = seq_len",
        "    return Cost((flops))",
    )


def test_several_numbers_are_a_table() -> None:
    evaluator = make_evaluator(outputs={"one": PROMPT}, result=Values(("one",)))
    with pytest.raises(FormulaError, match=r"cost: .*printed as a table"):
        print_function(evaluator)


def test_an_output_that_the_program_lacks_is_named() -> None:
    evaluator = make_evaluator(outputs={"one": PROMPT}, result=OneValue("bytes", "other"))
    with pytest.raises(FormulaError, match=r"cost: .*no such output.*other"):
        print_function(evaluator)
