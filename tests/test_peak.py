"""The peaks of the stages: what is left out, and what is left is the largest."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import pytest
import sympy
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.errors import FormulaError
from modelmeter.evaluate import evaluate
from modelmeter.functions import Size, floor_div
from modelmeter.layers.base import BaseLayer, Shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.container import Idle
from modelmeter.layers.linear import Linear
from modelmeter.layers.tape import Buffer, LiveOperator, Tape
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import STAGES, build_layers, stage_of, symbolic_sizes
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.models.deepseek_ocr.vision_tokens import image_tokens
from modelmeter.peak import Peak, find_peaks, keep_largest
from modelmeter.size_rules import Rule, substitute_sizes
from modelmeter.symbols import symbol

B, S, BITS = map(symbol, ("batch_size", "seq_len", "activation_bits"))


def live(path: str, elements: Size, at_most: Size | None = None) -> LiveOperator:
    return LiveOperator(path=path, layer="Layer", elements=elements, at_most=elements if at_most is None else at_most)


def kept(*operators: LiveOperator) -> list[str]:
    return [operator.path for operator in keep_largest(operators)]


def test_only_what_may_be_the_largest_is_kept_in_its_order() -> None:
    assert kept(live("a", 7 * S), live("b", 5 * S), live("c", B * S), live("d", 5 * S + 2)) == ["a", "c"]


def test_of_equal_sums_the_first_is_kept() -> None:
    assert kept(live("a", S * (B + 1)), live("b", S * B + S), live("c", S * (B + 1))) == ["a"]


def test_only_a_declared_rule_makes_a_quotient_count() -> None:
    """With ``floor(height / stride)`` views of S elements: at height 1 and stride 2 there is none of them."""
    operators = (live("a", floor_div(symbol("height"), symbol("stride")) * S), live("b", S))
    assert kept(*operators) == ["a", "b"]
    largest = keep_largest(operators, rules=[Rule("stride", "at_most", "height")])
    assert [operator.path for operator in largest] == ["a"]


def test_a_sum_is_left_out_by_what_it_never_exceeds() -> None:
    rest = S - 3 * sympy.sympify(B) ** 2 + B**3
    assert kept(live("a", 2 * S), live("b", rest)) == ["a", "b"]
    assert kept(live("a", 2 * S), live("b", rest, 2 * S)) == ["a"]


@frozen(kw_only=True, slots=False)
class Model(BaseLayer):
    """Two linear layers that share their input: 5 rows of 3 channels to 7 and to 11."""

    @property
    def output_shape(self) -> Shape:
        return (5, 11)

    def build_children(self) -> Mapping[str, Child]:
        narrow = Linear(leading_shape=(5 * B,), in_features=3, out_features=7)
        wide = Linear(leading_shape=(5 * B,), in_features=3, out_features=11)
        return {"narrow": once(narrow), "wide": once(wide)}

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        rows = Buffer(15 * B)
        narrow = tape.call(self, "narrow", rows)
        wide = tape.call(self, "wide", rows)
        return (tape.run(55 * B, narrow, wide),)


def test_peaks_by_stage() -> None:
    peaks = find_peaks({"only": Model()}, lambda run, path: path or "end", stages=("end", "wide", "narrow"))
    # 15 + 35; then 15 + 35 + 55; then 35 + 55 + 55.
    assert {stage: peak.formula for stage, peak in peaks.items()} == {
        "end": 145 * B * BITS / 8, "wide": 105 * B * BITS / 8, "narrow": 50 * B * BITS / 8
    }  # fmt: skip
    assert list(peaks) == ["end", "wide", "narrow"]


def test_the_looped_stage_has_a_peak_only_where_it_has_steps() -> None:
    (peak,) = find_peaks({"only": Model()}, lambda *_: "decode", stages=("decode",)).values()
    values = {"batch_size": 2, "activation_bits": 3}
    assert evaluate(peak.formula, {**values, "decode_steps": 1}) == Fraction(145 * 2 * 3, 8)
    assert evaluate(peak.formula, {**values, "decode_steps": 0}) == 0


def test_layers_without_an_order_fail() -> None:
    layers = evolve(build_layers(symbolic_sizes())["prefill"], lm_head=_Silent())
    with pytest.raises(FormulaError, match="_Silent"):
        find_peaks({"prefill": layers}, stage_of, stages=STAGES)


@frozen(kw_only=True, slots=False)
class _Silent(Idle):
    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        return BaseLayer.replay(self, tape, *inputs)


PUBLISHED = DeepSeekOCRArchitecture().dimension_values()
SHORT = {"base_size": st.integers(16, 900), "image_size": st.integers(16, 900)}
WORKLOADS = st.fixed_dictionaries(
    {
        **SHORT,
        "batch_size": st.integers(1, 70),
        "num_width_tiles": st.integers(0, 3),
        "num_height_tiles": st.integers(0, 3),
        "prompt_tokens": st.integers(0, 30),
        "logits_tokens": st.integers(1, 40),
        "decode_steps": st.integers(0, 3),
    }
)


def make_peaks(sizes: dict[str, int]) -> dict[str, Peak]:
    layers = build_layers({**symbolic_sizes(), **sizes})
    return find_peaks(layers, stage_of, stages=STAGES, rules=substitute_sizes(RULES, sizes))


PEAKS = make_peaks(PUBLISHED)


@given(workload=WORKLOADS)
def test_what_is_left_out_is_never_the_largest(workload: dict[str, int]) -> None:
    """Against all operators, replayed in numbers."""
    views = ("base_size", "image_size", "num_width_tiles", "num_height_tiles")
    tokens = int(image_tokens(*(workload[name] for name in views)))
    sizes = {**PUBLISHED, **workload, "seq_len": tokens + workload["prompt_tokens"], "decode_step": 1}
    largest = dict.fromkeys(STAGES, 0)
    for run, layer in build_layers(sizes).items():
        tape = Tape()
        layer.replay(tape)
        for operator in tape.list_operators():
            stage = stage_of(run, operator.path)
            if stage != "decode" or workload["decode_steps"]:
                largest[stage] = max(largest[stage], int(operator.elements))
            assert operator.elements <= operator.at_most
    assert {
        stage: max(int(evaluate(operator.elements, sizes)) for operator in peak.operators)
        for stage, peak in PEAKS.items()
    } == largest


def test_the_published_sizes_leave_few_operators() -> None:
    """Many would make a formula that nobody can read; the towers take two kinds of views."""
    assert {stage: len(peak.operators) for stage, peak in PEAKS.items()} == {
        "vision": 6, "projector": 3, "prefill": 2, "decode": 1
    }  # fmt: skip


def test_a_stage_without_operators_fails() -> None:
    with pytest.raises(FormulaError, match="training"):
        find_peaks({"only": Model()}, lambda *_: "decode", stages=("decode", "training"))
