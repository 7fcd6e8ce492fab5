"""Widths in parts of a bit give what fractions give."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, lcm
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Operation, Output, Program
from modelmeter.evaluators.fractions import SCALE, scale_widths
from modelmeter.support.errors import FormulaError

WIDTHS = ("weight_bits", "kv_bits")


def run(program: Program, values: dict[str, Any]) -> list[int]:
    """Return the outputs of a program, on integers or on fractions."""
    known = dict(values)
    for name, node in program.steps:
        known[name] = compute(node, known)
    return [ceil(compute(output.numerator, known) / Fraction(output.denominator)) for output in program.outputs]


def compute(node: Node, known: dict[str, Any]) -> Any:
    if not isinstance(node, Operation):
        return known[node] if isinstance(node, str) else node
    first, *others = (compute(operand, known) for operand in node.operands)
    if node.function == PRODUCT:
        for other in others:
            first *= other
        return first
    if node.function in (SUM, MAXIMUM):
        return sum([first, *others]) if node.function == SUM else max(first, *others)
    if node.function == "Triangular":
        return first * (first + 1) // 2
    (other,) = others
    quotient = {"CeilDiv": lambda: ceil(Fraction(first) / other), "FloorDiv": lambda: first // other}
    brackets = {"Exceeds": lambda: first > other, "Equals": lambda: first == other, "Differs": lambda: first != other}
    return int((quotient | brackets)[node.function]())


def combine(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    pairs = st.tuples(inner, st.integers(1, 9))
    return st.one_of(
        st.builds(Operation, st.sampled_from((SUM, SUM, PRODUCT, MAXIMUM)), several),
        st.builds(Operation, st.sampled_from(("CeilDiv", "FloorDiv", "Exceeds", "Equals", "Differs")), pairs),
    )


leaves: st.SearchStrategy[Node] = st.one_of(st.integers(0, 9), st.sampled_from(("seq_len", *WIDTHS)))
nodes = st.recursive(leaves, combine, max_leaves=12)
widths = st.builds(Fraction, st.integers(1, 10**20), st.integers(1, 12))


@given(
    step=nodes, numerator=nodes, denominator=st.sampled_from((1, 2, 8)), tokens=st.integers(1, 10**20), data=st.data()
)
def test_scaled_programs_give_what_fractions_give(
    step: Node, numerator: Node, denominator: int, tokens: int, data: st.DataObject
) -> None:
    outputs = tuple(
        Output(name, node, denominator) for name, node in (("one", numerator), ("other", Operation(SUM, ("x1", 3))))
    )
    program = Program(inputs=("seq_len", *WIDTHS), steps=(("x1", step),), outputs=outputs)
    bits = {name: data.draw(widths) for name in WIDTHS}
    scale = lcm(*(width.denominator for width in bits.values()))
    whole = {name: int(width * scale) for name, width in bits.items()}
    scaled = scale_widths(program, WIDTHS)
    assert scaled.inputs[-1] == SCALE
    assert run(scaled, {"seq_len": tokens, SCALE: scale, **whole}) == run(program, {"seq_len": tokens, **bits})


def test_a_term_without_widths_is_multiplied_by_the_scale() -> None:
    node = Operation(SUM, (Operation(PRODUCT, ("seq_len", "kv_bits")), Operation(PRODUCT, (64, "seq_len"))))
    program = Program(inputs=("seq_len", "kv_bits"), steps=(), outputs=(Output("bits", node, 8),))
    (output,) = scale_widths(program, WIDTHS).outputs
    scaled = Operation(SUM, (node.operands[0], Operation(PRODUCT, (64, "seq_len", SCALE))))
    assert output == Output("bits", Operation("CeilDiv", (scaled, SCALE)), 8)


def test_what_does_not_depend_on_widths_stays() -> None:
    node = Operation(PRODUCT, (2, "seq_len"))
    program = Program(inputs=("seq_len",), steps=(("x1", node),), outputs=(Output("flops", "x1", 1),))
    scaled = scale_widths(program, WIDTHS)
    assert (scaled.steps, scaled.outputs) == (program.steps, program.outputs)


def test_a_function_that_needs_whole_bits_is_refused() -> None:
    node = Operation("Triangular", ("kv_bits",))
    program = Program(inputs=("kv_bits",), steps=(), outputs=(Output("bits", node, 1),))
    with pytest.raises(FormulaError, match="fractions of a bit; found Triangular"):
        scale_widths(program, WIDTHS)
