"""Printed programs: run as Python, they have the values of the formulas; no line is too long."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Operation, Program
from modelmeter.algebra.simplify import build_program
from modelmeter.backends.python.printer import FORMS, StatementPrinter, fill_lines, print_node, print_quotient
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import INTEGER_FUNCTIONS, bounded_routed_reads, expected_routed_reads
from random_formulas import outputs, sizes

ROUTED_READS = {"uniform": expected_routed_reads, "even": bounded_routed_reads}


def run(program: Program, values: dict[str, int], routing: str) -> dict[str, Any]:
    """Print a program and run the text."""
    printer = StatementPrinter()
    printer.assign_steps(program.steps)
    for output in program.outputs:
        printer.assign(output.name, output.numerator, output.denominator)
    assert all(len(line) <= 120 for line in printer.lines)
    names: dict[str, Any] = {
        "routed_reads": lambda *arguments: ROUTED_READS[arguments[-1]](*arguments[:-1]),
        "expert_routing": routing,
        **values,
    }
    exec("if True:\n" + "\n".join(printer.lines), names)  # our own text is what is tested
    return {output.name: names[output.name] for output in program.outputs}


@given(formulas=outputs, values=sizes, routing=st.sampled_from(("uniform", "even")))
def test_printed_programs_have_the_values_of_their_formulas(
    formulas: dict[str, sympy.Expr], values: dict[str, int], routing: str
) -> None:
    expected = {
        name: ceil(evaluate(formula, values, routed_reads=ROUTED_READS[routing])) for name, formula in formulas.items()
    }
    program = build_program(formulas)
    assert run(program, values, routing) == expected


A_PLUS_B = Operation(SUM, ("a", "b"))
EXCEEDS = Operation("Exceeds", ("a", 1))


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (Operation(SUM, (Operation(PRODUCT, (3, "a")), "b", -5)), "3 * a + b - 5"),
        (Operation(PRODUCT, (2, "a", A_PLUS_B)), "2 * a * (a + b)"),
        (Operation(SUM, ("a", Operation(PRODUCT, (-3, "b")))), "a - 3 * b"),
        (Operation(PRODUCT, ("a", Operation("CeilDiv", (A_PLUS_B, 16)))), "a * (-(-(a + b) // 16))"),
        (Operation("FloorDiv", ("a", 16)), "a // 16"),
        (Operation(SUM, (Operation(PRODUCT, (-1, "a")), Operation(PRODUCT, (-1, "b", "c")))), "-a - b * c"),
        # A choice binds looser than a sum, so it keeps its parentheses in one.
        (Operation(SUM, ("b", EXCEEDS, "c")), "b + (1 if a > 1 else 0) + c"),
        (Operation(SUM, (Operation(PRODUCT, (EXCEEDS, A_PLUS_B)), "c")), "(a + b if a > 1 else 0) + c"),
        (Operation(PRODUCT, (EXCEEDS, "b", "c")), "b * c if a > 1 else 0"),
        (Operation(PRODUCT, (EXCEEDS, Operation("Differs", ("b", 7)))), "(1 if b != 7 else 0) if a > 1 else 0"),
        (Operation(MAXIMUM, ("a", A_PLUS_B)), "max(a, a + b)"),
        (Operation("RoutedReads", ("a", 6, "b", 7)), "routed_reads(a, 6, b, 7, expert_routing)"),
        # 6 N > 64 * 10 bits of 2 * 64 * 7 means N > 106: every expert is read for sure.
        (Operation("RoutedReads", (64, 6, "b", 7)), "448 if b > 106 else routed_reads(64, 6, b, 7, expert_routing)"),
        # Of 7 for each token, 6 N > 64 * (1 + 16 bits of 2 * 64 * 7 * 64) means N > 181.
        (
            Operation("RoutedReads", (64, 6, "b", Operation(PRODUCT, (7, "b")))),
            "448 * b if b > 181 else routed_reads(64, 6, b, (7 * b), expert_routing)",
        ),
        (
            Operation("RoutedReads", (64, 6, A_PLUS_B, Operation(PRODUCT, (7, A_PLUS_B)))),
            "448 * (a + b) if (a + b) > 181 else routed_reads(64, 6, (a + b), (7 * (a + b)), expert_routing)",
        ),
        (
            Operation("RoutedReads", (64, 6, "b", Operation(PRODUCT, (7, "a")))),
            "routed_reads(64, 6, b, (7 * a), expert_routing)",
        ),
    ],
)
def test_nodes_print_with_no_more_parentheses_than_they_need(node: Node, text: str) -> None:
    assert print_node(node) == text


def test_quotients_round_up() -> None:
    assert print_quotient("a", 1) == "a"
    assert print_quotient("a", 8) == "-(-a // 8)"
    assert print_quotient("a + b", 8) == "-(-(a + b) // 8)"


def test_long_sums_are_broken_between_terms_and_long_terms_get_a_name() -> None:
    term = Operation(PRODUCT, (10**50, Operation(SUM, ("a" * 30, "b" * 30)), "c" * 30))
    printer = StatementPrinter()
    printer.assign("total", Operation(SUM, (term, "d", Operation(PRODUCT, (-2, "e" * 40)))), 8)
    assert printer.lines == [
        f"    x1 = {'a' * 30} + {'b' * 30}",
        "    x2 = (",
        f"        1{'0' * 50} * x1 * {'c' * 30} + d",
        f"        - 2 * {'e' * 40}",
        "    )",
        "    total = -(-x2 // 8)",
    ]


def test_a_maximum_of_more_names_than_fit_is_taken_in_parts() -> None:
    names = tuple(f"candidate_number_{number}" for number in range(12))
    printer = StatementPrinter()
    printer.write_return(Operation(MAXIMUM, names))
    assert all(len(line) <= 120 for line in printer.lines)
    values = {name: number for number, name in enumerate(names)}
    scope: dict[str, Any] = {}
    exec("\n".join([f"def largest({', '.join(names)}):", *printer.lines]), scope)  # our own text
    assert scope["largest"](**values) == 11


def test_lines_are_as_long_as_they_may_be() -> None:
    words = ["a" * 57, "b" * 57, "c"]  # 4 + 57 + 1 + 57 = 119 columns, and no room for another word
    assert fill_lines(words, "    ") == [f"    {'a' * 57} {'b' * 57}", "    c"]


def test_what_may_be_a_fraction_is_rounded_where_one_number_is_returned() -> None:
    printer = StatementPrinter()
    printer.write_return(Operation(PRODUCT, (3, "a")), rounds=True)
    assert printer.lines == ["    total = 3 * a", "    return -(-total // 1)"]


def test_each_function_of_formulas_has_a_text() -> None:
    assert FORMS.keys() == {function.__name__ for function in INTEGER_FUNCTIONS} | {MAXIMUM}


@given(a=st.integers(0, 10**40), b=st.integers(1, 10**40))
def test_the_text_of_a_function_has_its_value(a: int, b: int) -> None:
    """Also beyond what a double holds, and where both are equal or one divides the other."""
    for first, second in ((a, b), (b, b), (a * b, b), (a * b + 1, b)):
        for function in INTEGER_FUNCTIONS:
            if function.arity == 2:
                text = FORMS[function.__name__](f"({first})", f"({second})")
                assert eval(text) == function.compute(first, second)
    assert eval(FORMS["Triangular"](f"({a})")) == sum((a, a * a)) // 2


def test_the_text_of_routed_reads_asks_for_the_rule() -> None:
    """64 experts, 6 a token, parameters that are no number of the text."""
    names = {"routed_reads": lambda *sizes: sizes, "expert_routing": "even", "w": 7}
    assert eval(FORMS["RoutedReads"]("64", "6", "(2 * 3)", "w"), names) == (64, 6, 6, 7, "even")
