"""Expressions in JavaScript have the value that the program has, in few parentheses."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from pathlib import Path

import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st
from javascript_process import JavaScriptPackage

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Operation, Program
from modelmeter.algebra.simplify import build_program
from modelmeter.backends.javascript import render
from modelmeter.backends.javascript.printer import CALLS, ExpressionPrinter
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import (
    BRACKETS,
    INTEGER_FUNCTIONS,
    RoutedReads,
    bounded_routed_reads,
    expected_routed_reads,
)
from modelmeter.support.errors import FormulaError
from random_formulas import outputs, sizes

ROUTED_READS = {"uniform": expected_routed_reads, "even": bounded_routed_reads}
RUNTIME = Path(render.__file__).parent / "runtime.mjs"

HOST = f"""
export {{ Fraction }} from "{RUNTIME.as_uri()}";
import * as runtime from "{RUNTIME.as_uri()}";
export function run({{ text, expert_routing = "uniform", ...sizes }}) {{
  const names = [...Object.keys(runtime), ...Object.keys(sizes), "expert_routing"];
  const values = [...Object.values(runtime), ...Object.values(sizes), expert_routing];
  return new Function(...names, text)(...values);
}}
"""


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaScriptPackage]:
    folder = tmp_path_factory.mktemp("host")
    (folder / "index.mjs").write_text(HOST, encoding="utf-8")
    package = JavaScriptPackage(folder)
    yield package
    package.close()


def write(program: Program) -> str:
    """Return the body of a function that returns the outputs of a program."""
    printer = ExpressionPrinter()
    lines = [f"const {name} = {printer.print_step(name, node)};" for name, node in program.steps]
    results = [f"{name}: {printer.print_quotient(node, denominator)}" for name, node, denominator in program.outputs]
    return "\n".join([*lines, f"return {{ {', '.join(results)} }};"])


@given(formulas=outputs, values=sizes, routing=st.sampled_from(("uniform", "even")))
def test_expressions_have_the_value_of_the_formula(
    javascript: JavaScriptPackage, formulas: dict[str, sympy.Expr], values: dict[str, int], routing: str
) -> None:
    # The powers behind expected reads are of no negative numbers, which 2 n - 1 can be where n is a bracket.
    assume(not any(formula.has(sympy.Float) for formula in formulas.values()))
    text = write(program := build_program(formulas))
    assume("-" not in text or not program.calls(RoutedReads.__name__))
    expected = {
        name: ceil(evaluate(formula, values, routed_reads=ROUTED_READS[routing])) for name, formula in formulas.items()
    }
    assert javascript.call("run", text=text, expert_routing=routing, **values) == expected, text


def test_every_function_of_programs_has_a_form() -> None:
    names = {function.__name__ for function in INTEGER_FUNCTIONS} - {bracket.__name__ for bracket in BRACKETS}
    assert names | {MAXIMUM} == CALLS.keys()
    with pytest.raises(FormulaError, match=r"no such function in JavaScript.*found Sine"):
        ExpressionPrinter().print(Operation("Sine", ("a",)))


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (Operation(SUM, ("a", Operation(PRODUCT, (-1, "b")), -2)), "a - b - 2n"),
        (Operation(SUM, (Operation(PRODUCT, (-3, "a", "b")), "c")), "-3n*a*b + c"),
        (Operation(PRODUCT, (2, Operation(SUM, ("a", "b")), "c")), "2n*(a + b)*c"),
        (Operation(PRODUCT, ("a", Operation("Exceeds", ("b", 1)))), "b > 1n ? a : 0n"),
        (Operation(SUM, (Operation("Equals", ("a", "b")), 1)), "(a === b ? 1n : 0n) + 1n"),
        (Operation(MAXIMUM, ("a", Operation("Differs", ("b", -1)))), "largest(a, b !== -1n ? 1n : 0n)"),
        (Operation("FloorDiv", (Operation(SUM, ("a", 1)), 4)), "floorDiv(a + 1n, 4n)"),
    ],
)
def test_parentheses_stand_where_they_must(node: Node, text: str) -> None:
    assert ExpressionPrinter().print(node) == text


def test_a_step_that_is_a_condition_stays_one() -> None:
    printer = ExpressionPrinter()
    assert printer.print_step("x1", Operation("Exceeds", ("a", 1))) == "a > 1n"
    assert printer.print(Operation(PRODUCT, ("x1", "b"))) == "x1 ? b : 0n"
    assert printer.print(Operation(SUM, ("x1", "b"))) == "(x1 ? 1n : 0n) + b"


def test_many_tokens_read_every_expert_without_a_call() -> None:
    """11 experts of 20 weights: 440 takes 9 bits, and from 11 * 9 / 4 tokens on nothing is missed."""
    call = Operation("RoutedReads", (11, 4, "n", 20))
    assert ExpressionPrinter().print(call) == "n > 24n ? 220n : routedReads(11n, 4n, n, 20n, expert_routing)"
    # 20 of each token: 2 * 11 * 20 * 11 takes 13 bits, and 11 * (13 + 1) / 4 is 38.
    call = Operation("RoutedReads", (11, 4, "n", Operation(PRODUCT, (20, "n"))))
    assert ExpressionPrinter().print(call) == "n > 38n ? 220n*n : routedReads(11n, 4n, n, 20n*n, expert_routing)"


def test_sizes_may_have_short_names() -> None:
    printer = ExpressionPrinter(names={"seq_len": "sl", "expert_routing": "er"})
    assert printer.print(Operation(PRODUCT, (2, "seq_len", "x1"))) == "2n*sl*x1"
    assert printer.print(Operation("RoutedReads", ("a", 4, "seq_len", 20))) == "routedReads(a, 4n, sl, 20n, er)"


def test_roundings_of_one_number_are_one() -> None:
    assert ExpressionPrinter().print_quotient(Operation("CeilDiv", ("a", "b")), 8) == "ceilDiv(a, 8n*b)"
    assert ExpressionPrinter().print_quotient("a", 1) == "a"
