"""Simplified programs: the value of the formulas at all sizes, in fewer operations, rule by rule."""

from __future__ import annotations

import math
from math import ceil

import pytest
import sympy
from hypothesis import given

from modelmeter.algebra.program import MAXIMUM, PRODUCT, SUM, Node, Program
from modelmeter.algebra.simplify import Combination, build_program, count_built, simplify
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import INTEGER_FUNCTIONS, Size, ceil_div, differs, routed_reads
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import FormulaError
from random_formulas import formulas, outputs, sizes

BATCH, PROMPT, STEPS = symbol("batch_size"), symbol("seq_len"), symbol("decode_steps")

FUNCTIONS = {function.__name__: function.compute for function in INTEGER_FUNCTIONS} | {
    SUM: lambda *numbers: sum(numbers),
    PRODUCT: lambda *numbers: math.prod(numbers),
    MAXIMUM: max,
}


def run(program: Program, values: dict[str, int]) -> dict[str, int]:
    """Run a program as its documentation reads."""
    known = {name: values[name] for name in program.inputs}

    def value(node: Node) -> int:
        if isinstance(node, int):
            return node
        return known[node] if isinstance(node, str) else FUNCTIONS[node.function](*map(value, node.operands))

    for name, node in program.steps:
        known[name] = value(node)
    return {output.name: -(-value(output.numerator) // output.denominator) for output in program.outputs}


@given(formulas=outputs, values=sizes)
def test_a_program_has_the_values_of_its_formulas(formulas: dict[str, sympy.Expr], values: dict[str, int]) -> None:
    expected = {name: ceil(evaluate(formula, values)) for name, formula in formulas.items()}
    assert run(build_program(formulas), values) == expected


@given(formula=formulas, values=sizes)
def test_constants_change_no_value_and_are_no_inputs(formula: Size, values: dict[str, int]) -> None:
    constants = {name: values[name] for name in ("seq_len", "weight_bits")}
    program = build_program({"output": formula}, constants=constants)
    assert not constants.keys() & set(program.inputs)
    assert run(program, values) == {"output": evaluate(formula, values)}


def test_outputs_may_be_sums_and_maxima_of_others() -> None:
    program = build_program(
        {
            "one": BATCH / 8,
            "other": PROMPT / 2,
            "both": Combination(SUM, ("one", "other")),
            "larger": Combination(MAXIMUM, ("one", "other")),
        }
    )
    # 3/8 + 9/2 = 39/8, rounded up once: 5 and not 1 + 5.
    assert run(program, {"batch_size": 3, "seq_len": 9}) == {"one": 1, "other": 5, "both": 5, "larger": 5}


def test_brackets_are_their_own_powers() -> None:
    bracket = differs(PROMPT, 7)
    program = build_program({"output": bracket**3 * BATCH + bracket * BATCH})
    # 2 b [s != 7]: two products and the comparison.
    assert program.operations == 3
    assert run(program, {"batch_size": 5, "seq_len": 8}) == {"output": 10}


def test_the_same_work_on_two_inputs_is_added_up_once() -> None:
    """Three outputs weigh g^2 of the global view and of six tiles; the weighted sum is computed once."""
    grids = [(BATCH, ceil_div(PROMPT, 16)), (BATCH * STEPS, ceil_div(symbol("image_size"), 16))]
    formulas = {
        f"output_{weight}": sympy.Add(*(weight * number * grid**2 for number, grid in grids)) for weight in (3, 5, 7)
    }
    # Two ceilings, g g, t h h, their sum, times the batch: 2 + 1 + 2 + 1 + 1; then one product each.
    assert build_program(formulas).operations == 10


def test_the_report_counts_operations_after_each_rule() -> None:
    formula = (BATCH + PROMPT) * (BATCH + 2) / 8
    program, report = simplify({"output": formula, "twin": 8 * formula})
    assert [rule for rule, _ in report.rows] == [
        "as_built", "collect_terms", "flatten_brackets", "gather_terms", "nest_products", "share_operations",
    ]  # fmt: skip
    # Twice two sums and two products: as built, an eighth is a product too.
    assert report.before == count_built(formula) + count_built(8 * formula) == 4 + 3
    # Expanded, b^2 + b s + 2 b + 2 s: four products and three sums, twice, and a division.
    assert dict(report.rows)["collect_terms"] == 2 * 7 + 1
    assert report.after == program.operations <= report.before


def test_a_power_is_as_many_products_as_are_written() -> None:
    """(x + y)^3 z: one sum, two products for the power, and one with z."""
    x, y, z = sympy.symbols("x y z")
    assert count_built((x + y) ** 3 * z) == 1 + 2 + 1


@pytest.mark.parametrize(("has_constants", "most"), [(True, 0.1), (False, 0.2)])
def test_little_is_left_of_the_published_model(published: CompiledModel, has_constants: bool, most: float) -> None:
    """All metrics of all stages together: thousands of operations as the layers state them."""
    formulas = {
        f"{stage}_{metric}": cost[metric] for stage, cost in published.totals.by_stage.items() for metric in METRICS
    }
    constants = published.architecture.dimension_values() if has_constants else {}
    _, report = simplify(formulas, constants=constants)
    assert report.before > 3000
    assert report.after <= most * report.before


def test_calls_meet_where_their_arguments_are_equal() -> None:
    program = build_program(
        {"one": routed_reads(11, 4, BATCH * PROMPT + BATCH, 7), "other": routed_reads(11, 4, BATCH * (PROMPT + 1), 7)}
    )
    assert program.outputs[0].numerator == program.outputs[1].numerator


@pytest.mark.parametrize("formula", [BATCH / PROMPT, sympy.sqrt(BATCH), 0.5 * BATCH])
def test_what_cannot_be_computed_exactly_is_refused(formula: sympy.Expr) -> None:
    with pytest.raises(FormulaError):
        build_program({"output": formula})
