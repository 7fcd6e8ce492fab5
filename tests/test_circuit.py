"""Circuits: Horner's scheme in many variables, every operation once."""

from __future__ import annotations

import pytest
import sympy

from modelmeter.algebra.circuit import Circuit, nest
from modelmeter.algebra.draft import draft_polynomials
from modelmeter.algebra.polynomials import read_polynomials
from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Operation, Output, Program
from modelmeter.dimensions.functions import ceil_div
from modelmeter.models.deepseek_ocr.dimensions import symbol

BATCH, PROMPT, STEPS = symbol("batch_size"), symbol("seq_len"), symbol("decode_steps")


def program_of(formula: sympy.Expr) -> Program:
    return nest(draft_polynomials(["output"], read_polynomials([formula]))).program(["output"])


@pytest.mark.parametrize(
    ("formula", "nested"),
    [
        # b (3 b + 5) s: the common factors first, then what occurs most.
        (
            3 * BATCH**2 * PROMPT + 5 * BATCH * PROMPT,
            Operation(
                PRODUCT,
                ("batch_size", "seq_len", Operation(SUM, (Operation(PRODUCT, (3, "batch_size")), 5))),
            ),
        ),
        # One coefficient: 7 (b + s) + 2.
        (
            7 * BATCH + 7 * PROMPT + 2,
            Operation(SUM, (Operation(PRODUCT, (7, Operation(SUM, ("batch_size", "seq_len")))), 2)),
        ),
        (BATCH, "batch_size"),
        (sympy.Integer(0), 0),
        (ceil_div(2 * BATCH, 7), Operation("CeilDiv", (Operation(PRODUCT, (2, "batch_size")), 7))),
    ],
)
def test_common_factors_are_taken_out(formula: sympy.Expr, nested: object) -> None:
    assert program_of(formula).outputs == (Output("output", nested, 1),)  # type: ignore[arg-type]  # a literal node


def test_an_operation_that_occurs_twice_is_one_node() -> None:
    program = program_of(ceil_div(BATCH, 7) ** 2 + ceil_div(BATCH, 7))
    # ceil (ceil + 1)
    assert program.steps == (("x1", Operation("CeilDiv", ("batch_size", 7))),)
    assert program.operations == 3


def test_outputs_are_combined_over_a_common_denominator() -> None:
    circuit = Circuit()
    circuit.outputs = {"eighths": (circuit.leaf("a"), 8), "halves": (circuit.leaf("b"), 2)}
    circuit.combine("sum", SUM, ("eighths", "halves"))
    circuit.combine("largest", MAXIMUM, ("eighths", "halves"))
    four = Operation(PRODUCT, (4, "b"))
    assert circuit.program(["sum"]).outputs == (Output("sum", Operation(SUM, ("a", four)), 8),)
    assert circuit.program(["largest"]).outputs == (Output("largest", Operation(MAXIMUM, ("a", four)), 8),)


def test_nothing_is_added_where_an_output_is_0() -> None:
    circuit = Circuit()
    circuit.outputs = {"some": (circuit.leaf("a"), 1), "none": (circuit.leaf(0), 1)}
    circuit.combine("sum", SUM, ("none", "some", "none"))
    circuit.combine("nothing", SUM, ("none", "none"))
    assert circuit.program(["sum"]).outputs == (Output("sum", "a", 1),)
    assert circuit.program(["nothing"]).outputs == (Output("nothing", 0, 1),)


def test_operands_can_be_replaced() -> None:
    """A sum of one operand is that operand."""
    circuit = Circuit()
    a, b = circuit.leaf("a"), circuit.leaf("b")
    circuit.outputs = {"output": (circuit.add(SUM, [a, b]), 1)}
    ((function, operands),) = circuit.groups()
    assert (function, operands) == (SUM, [a, b])
    operands[:] = [circuit.add_duplicate(SUM, [a, b])]
    assert circuit.program(["output"]).outputs == (Output("output", Operation(SUM, ("a", "b")), 1),)
