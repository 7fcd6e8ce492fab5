"""The peaks of the stages: what is left out, and what is left is the largest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

import pytest
import sympy
from attrs import asdict, evolve, frozen

from modelmeter.analysis.peak import Candidate, Peak, find_peaks, keep_largest
from modelmeter.analysis.totals import StageRule
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size, ceil_div, differs, equals, exceeds, floor_div
from modelmeter.dimensions.size_rules import Rule
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.linear import Linear
from modelmeter.layers.operators import add_residual, widen
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.models.deepseek_ocr.build import build_layers, list_inputs, symbolic_sizes
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.layers.decoder.lm_head import LMHead
from modelmeter.models.deepseek_ocr.model import MODEL
from modelmeter.models.deepseek_ocr.stages import STAGES, stage_of
from modelmeter.support.errors import FormulaError

B, S, BITS = map(symbol, ("batch_size", "seq_len", "activation_bits"))


def candidate(path: str, bits: Size, at_most: Size | None = None) -> Candidate:
    return Candidate(path=path, layer="Layer", bits=bits, at_most=bits if at_most is None else at_most)


def kept(*operators: Candidate, rules: Iterable[Rule] = ()) -> list[str]:
    return [operator.path for operator in keep_largest(operators, rules=rules)]


def test_only_what_may_be_the_largest_is_kept_in_its_order() -> None:
    operators = (
        candidate("a", 7 * S), candidate("b", 5 * S), candidate("c", B * S), candidate("d", 5 * S + 2)
    )  # fmt: skip
    assert kept(*operators) == ["a", "c"]


def test_of_equal_sums_the_first_is_kept() -> None:
    assert kept(candidate("a", S * (B + 1)), candidate("b", S * B + S), candidate("c", S * (B + 1))) == ["a"]


def test_only_a_declared_rule_makes_a_quotient_count() -> None:
    """With ``floor(height / stride)`` views of S elements: at height 1 and stride 2 there is none of them."""
    operators = (candidate("a", floor_div(symbol("height"), symbol("stride")) * S), candidate("b", S))
    assert kept(*operators) == ["a", "b"]
    assert kept(*operators, rules=[Rule("stride", "at_most", "height")]) == ["a"]


def test_what_runs_only_under_a_condition_is_left_out_by_what_always_runs_but_not_the_other_way_round() -> None:
    condition = differs(B, 3)
    assert kept(candidate("a", 5 * S), candidate("b", condition * 5 * S)) == ["a"]
    assert kept(candidate("a", 5 * S), candidate("b", condition * 7 * S)) == ["a", "b"]
    # Where both conditions are opposite, no more than the larger of the two is ever alive.
    assert kept(candidate("a", condition * 5 * S + equals(B, 3) * 7 * S), candidate("b", 5 * S)) == ["a"]


def test_a_bracket_counts_once_and_what_stands_beside_both_of_two_opposites_beside_neither() -> None:
    condition, opposite = differs(B, 3), equals(B, 3)
    (square,) = keep_largest([candidate("a", condition**2 * 5 * S)])
    assert square.bits == condition * 5 * S
    (never,) = keep_largest([candidate("a", condition * opposite * 5 * S + 3 * S)])
    assert never.bits == 3 * S
    (both,) = keep_largest([candidate("a", condition * 5 * S + opposite * 5 * S)])
    assert both.bits == 5 * S


def test_a_sum_is_left_out_by_what_it_never_exceeds() -> None:
    rest = S - 3 * sympy.sympify(B) ** 2 + B**3
    assert kept(candidate("a", 2 * S), candidate("b", rest)) == ["a", "b"]
    assert kept(candidate("a", 2 * S), candidate("b", rest, 2 * S)) == ["a"]


@frozen(kw_only=True, slots=False)
class Model(BaseLayer):
    """Two linear layers that share their input, 5 rows of 3 channels, to 7 and to 11; the sum of both in float32."""

    @property
    def output_shape(self) -> Shape:
        return (5, 11)

    def build_children(self) -> Mapping[str, Child]:
        narrow = Linear(leading_shape=(5 * B,), in_features=3, out_features=7)
        wide = Linear(leading_shape=(5 * B,), in_features=3, out_features=11)
        return {"narrow": once(narrow), "wide": once(wide)}

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (rows,) = inputs
        narrow = tape.call(self, "narrow", rows)
        wide = tape.call(self, "wide", rows)
        added = tape.run(add_residual(55 * B), narrow, wide)
        return (tape.cast(widen(55 * B), added),)


INPUTS = {"only": Elements(activation=15 * B, index=B)}


def find_model_peaks(stage_of: StageRule, stages: tuple[str, ...]) -> dict[str, Peak]:
    return find_peaks({"only": Model()}, stage_of, inputs=INPUTS, stages=stages, loop=MODEL.loop)


@pytest.mark.parametrize("bits", [16, 9])
def test_peaks_by_stage_with_a_cast(bits: int) -> None:
    """The model is given 15 activations and an index, and reads the activations."""
    peaks = find_model_peaks(lambda run, path: path or "end", ("end", "wide", "narrow"))
    assert list(peaks) == ["end", "wide", "narrow"]
    sizes = {"batch_size": 2, "activation_bits": bits}
    assert {stage: evaluate(peak.formula, sizes) for stage, peak in peaks.items()} == {
        # 35 + 55 + 55, with nothing left of the input; or 55 and 55 in float32.
        "end": Fraction(2 * max(145 * bits, 55 * bits + 55 * 32), 8),
        # What it is given beside what it makes: 15 + 35 + 55; and 15 + 35.
        "wide": Fraction(2 * (105 * bits + 64), 8),
        "narrow": Fraction(2 * (50 * bits + 64), 8),
    }


def test_peaks_by_stage_without_a_cast() -> None:
    """The sum is in float32 at once, and there is no copy of it."""
    peaks = find_model_peaks(lambda run, path: path or "end", ("end", "wide", "narrow"))
    sizes = {"batch_size": 3, "activation_bits": 32}
    assert {stage: evaluate(peak.formula, sizes) for stage, peak in peaks.items()} == {
        "end": 3 * 145 * 4, "wide": 3 * (105 * 4 + 8), "narrow": 3 * (50 * 4 + 8)
    }  # fmt: skip


def test_a_stage_has_its_own_operators_also_where_another_stage_has_more_beside_them() -> None:
    """The 15 and the 35 beside the narrow layer are beside the wide one, too, which is of another stage."""
    together = find_model_peaks(lambda *_: "decode", ("decode",))["decode"]
    apart = find_model_peaks(lambda run, path: path or "end", ("end", "wide", "narrow"))
    assert "narrow" not in [operator.path for operator in together.operators]
    assert {operator.path for operator in apart["narrow"].operators} == {"narrow"}


def test_the_looped_stage_has_a_peak_only_where_it_has_steps() -> None:
    (peak,) = find_model_peaks(lambda *_: "decode", ("decode",)).values()
    values = {"batch_size": 2, "activation_bits": 3}
    # 55 of 3 bits and 55 of 32 are more than 145 of 3.
    assert evaluate(peak.formula, {**values, "decode_steps": 1}) == Fraction(2 * 55 * (3 + 32), 8)
    assert evaluate(peak.formula, {**values, "decode_steps": 0}) == 0


@frozen(kw_only=True, slots=False)
class Step(BaseLayer):
    """One operator that writes so many activations in a step."""

    written: Size

    @property
    def output_shape(self) -> Shape:
        return (self.written,)

    def operators(self) -> tuple[Operator, ...]:
        return (Operator(name="clone", writes=Elements(activation=self.written)),)


def find_step_peak(written: Size) -> Size:
    peaks = find_peaks(
        {"decode": Step(written=written)}, lambda *_: "decode", inputs={"decode": Elements()}, stages=("decode",),
        loop=MODEL.loop,
    )  # fmt: skip
    return peaks["decode"].formula


def test_the_peak_of_steps_that_grow_is_in_the_last_one() -> None:
    formula = find_step_peak(3 * B + 5 * B * symbol("decode_step"))
    sizes = {"batch_size": 7, "activation_bits": 16}
    # 7 (3 + 5 x 11) numbers of 2 bytes; without a step nothing is alive.
    assert evaluate(formula, {**sizes, "decode_steps": 11}) == 7 * 58 * 2
    assert evaluate(formula, {**sizes, "decode_steps": 0}) == 0


@pytest.mark.parametrize(("beyond", "large"), [(3, 1), (3, 1000), (9, 1)])
@pytest.mark.parametrize("prompt", [2, 5, 9, 12])
def test_the_peak_of_what_runs_up_to_a_step_or_from_one_on_is_that_of_all_steps(
    beyond: int, large: int, prompt: int
) -> None:
    """Where what runs up to the border has more alive than what runs from there on, the peak is on the border."""
    keys = S + symbol("decode_step")
    sizes = {"batch_size": 7, "seq_len": prompt, "activation_bits": 16}
    peaks = [
        find_step_peak(exceeds(12, keys) * large * B * keys),
        find_step_peak(exceeds(keys, 11) * B * beyond),
        find_step_peak(exceeds(keys, 8) * exceeds(11, keys) * B * keys * large),
    ]
    for steps in (0, 1, 2, 4, 9, 30):
        seen = [prompt + step for step in range(1, steps + 1)]
        expected = [
            max((large * each for each in seen if each < 12), default=0),
            max((beyond for each in seen if each > 11), default=0),
            max((large * each for each in seen if 8 < each < 11), default=0),
        ]
        found = [evaluate(peak, {**sizes, "decode_steps": steps}) for peak in peaks]
        assert found == [14 * each for each in expected]


@pytest.mark.parametrize(
    "written",
    [
        exceeds(9, symbol("decode_step")) * exceeds(7, symbol("decode_step")) * B,
        exceeds(2 * symbol("decode_step"), 7) * B,
        exceeds(symbol("decode_step"), 7) * B + 5,
        symbol("seq_len") * B - symbol("decode_step"),
        B * ceil_div(symbol("decode_step"), 7),
        B * differs(symbol("decode_step"), 7),
    ],
    ids=str,
)
def test_steps_that_may_shrink_have_no_peak_in_the_last_one(written: Size) -> None:
    with pytest.raises(FormulaError, match="what is alive in a step may shrink with its index"):
        find_step_peak(written)


@frozen(kw_only=True, slots=False)
class Disordered(LMHead):
    """Two operators, in no order."""

    def operators(self) -> tuple[Operator, ...]:
        return (*super().operators(), Operator(name="other"))


def test_layers_without_an_order_fail() -> None:
    sizes = symbolic_sizes()
    model = build_layers(sizes)["prefill"]
    broken = evolve(model, lm_head=Disordered(**asdict(model.lm_head, recurse=False)))
    with pytest.raises(FormulaError, match="Disordered"):
        find_peaks({"prefill": broken}, stage_of, inputs=list_inputs(sizes), stages=STAGES)


def test_a_stage_without_operators_fails() -> None:
    with pytest.raises(FormulaError, match="training"):
        find_model_peaks(lambda *_: "decode", ("decode", "training"))


# --- of the model ------------------------------------------------------------------------------------------
