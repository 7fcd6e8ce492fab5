"""Quantities: arithmetic, units, sizes, and what follows from them."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import pytest
import sympy

import modelmeter
from modelmeter import scaling
from modelmeter.compiled_model import CompiledModel
from modelmeter.scaling import Quantity
from modelmeter.scaling.question import ask
from modelmeter.scaling.units import divide_units, multiply_units
from modelmeter.support.errors import FormulaError, ModelMeterError, WorkloadError
from modelmeter.support.suggestions import UnknownNameError


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return modelmeter.load()


def value_of(quantity: Quantity) -> Fraction | int:
    number = scaling.difference(quantity, 0 * quantity).value
    assert number is not None
    return number


def test_a_quantity_is_what_the_model_says(model: CompiledModel) -> None:
    prefill = scaling.stage(model, "prefill")
    cost = model.evaluate("prefill", seq_len=1531)
    assert value_of(prefill.tensor_core_flops.at(seq_len=1531)) == cost.tensor_core_flops, "logits follow the prompt"
    assert value_of(prefill.io_bytes.at(seq_len=1531)) == cost.io_bytes
    few = model.evaluate("prefill", seq_len=1531, logits_tokens=7)
    assert value_of(prefill.io_bytes.at(seq_len=1531, logits_tokens=7)) == few.io_bytes
    request = scaling.stage(model, "request")
    whole = model.evaluate("request", prompt_tokens=101, num_width_tiles=3, max_new_tokens=57)
    assert value_of(request.io_bytes.at(prompt_tokens=101, num_width_tiles=3, max_new_tokens=57)) == whole.io_bytes


def test_arithmetic_and_units(model: CompiledModel) -> None:
    prefill, decode = scaling.stage(model, "prefill"), scaling.stage(model, "decode")
    both = prefill.io_bytes + decode.io_bytes
    assert value_of(both) == model.evaluate("prefill").io_bytes + model.evaluate("decode").io_bytes
    assert (both / 3).unit == "bytes"
    assert (prefill.tensor_core_flops / prefill.io_bytes).unit == "FLOP/byte"
    assert (prefill.io_bytes / both).unit == ""
    assert (2 * both - both).formula.equals(both.formula)
    assert value_of(-both) == -value_of(both)
    with pytest.raises(FormulaError, match="do not add up"):
        prefill.io_bytes + prefill.tensor_core_flops  # adding is the test
    with pytest.raises(FormulaError, match="no quantity"):
        prefill.io_bytes * 1.5  # type: ignore[operator]


@pytest.mark.parametrize(
    ("one", "other", "product", "quotient"),
    [
        ("FLOPs", "bytes", "FLOP·byte", "FLOP/byte"),
        ("FLOP/byte", "bytes", "FLOPs", "FLOP/byte·byte"),
        ("bytes", "byte/s", "byte·byte/s", "s"),
        ("s", "$/s", "$", "s·s/$"),
        ("", "tokens", "tokens", "1/token"),
        ("bytes", "bytes", "byte·byte", ""),
    ],
)
def test_units(one: str, other: str, product: str, quotient: str) -> None:
    assert multiply_units(one, other) == product
    assert divide_units(one, other) == quotient


def test_parts_add_up_to_their_stage(model: CompiledModel) -> None:
    prefill = scaling.stage(model, "prefill")
    names = sorted({row.operator for row in model.operators("prefill")})
    whole = value_of(prefill.io_bytes)
    assert sum(value_of(prefill.operator(name).io_bytes) for name in names) == whole
    tops = ("model.embed_tokens", "model.layers*", "model.norm", "lm_head")
    of_root = value_of(prefill.io_bytes) - sum(value_of(prefill.modules(top).io_bytes) for top in tops)
    own = [row.cost.io_bytes for row in model.operators("prefill") if row.path == ""]
    assert of_root == sum(modelmeter.evaluate(each, model.defaults) for each in own)
    layers = prefill.modules("model.layers*")
    assert value_of(layers.weight_bytes) < value_of(prefill.weight_bytes)
    assert value_of(layers.kv_cache_bytes) == value_of(prefill.kv_cache_bytes)
    assert value_of(layers.fused_io_bytes) < value_of(layers.io_bytes)
    assert value_of(prefill.module_class("DeepseekV2MoE").io_bytes) == value_of(
        prefill.modules("model.layers.1-11.mlp").io_bytes
    )


def test_modules_and_operators_narrow_each_other(model: CompiledModel) -> None:
    prefill = scaling.stage(model, "prefill")
    source = prefill.modules("*.self_attn").operator("mm")
    # Four matrices of 1280 x 1280 in each of 12 layers.
    assert value_of(source.tensor_core_flops) == 12 * 4 * 2 * 913 * 1280 * 1280
    assert source.tensor_core_flops.name == "prefill.modules(*.self_attn).operator(mm).tensor_core_flops"


@pytest.mark.parametrize(
    "ask_wrongly",
    [
        lambda model: scaling.stage(model, "prefil"),
        lambda model: scaling.stage(model, "prefill").modules("*.mpl"),
        lambda model: scaling.stage(model, "prefill").operator("bmm2"),
        lambda model: scaling.stage(model, "prefill").module_class("MoE"),
        lambda model: scaling.stage(model, "prefill").metric("flops"),
        lambda model: scaling.stage(model, "prefill").operator("mm").weight_bytes,
        lambda model: scaling.stage(model, "prefill").modules("*.mlp").peak_activation_bytes,
        lambda model: scaling.layer(model, "linaer"),
        lambda model: scaling.layer(model, "linear").metric("flops"),
        lambda model: scaling.stage(model, "prefill").io_bytes.at(seqlen=3),
        lambda model: scaling.order(scaling.stage(model, "prefill").io_bytes, "seqlen"),
        lambda model: scaling.stage(model, "training_step").operator("mm"),
    ],
)
def test_wrong_names_are_refused(model: CompiledModel, ask_wrongly: object) -> None:
    with pytest.raises(UnknownNameError):
        ask_wrongly(model)  # type: ignore[operator]


def test_wrong_sizes_are_refused(model: CompiledModel) -> None:
    cost = scaling.stage(model, "prefill").io_bytes
    for wrong in (0, 1.5, True):
        with pytest.raises(WorkloadError):
            cost.at(seq_len=wrong)  # type: ignore[arg-type]
    with pytest.raises(FormulaError, match="in the formula already"):
        scaling.monotone(scaling.stage(model, "prefill").peak_activation_bytes, "hidden_size")
    with pytest.raises(FormulaError, match="has no value"):
        scaling.order(cost * scaling.PRICE, "seq_len")
    with pytest.raises(AttributeError):
        scaling.stage(model, "prefill").flops  # noqa: B018  # asking is the test


def test_rules_narrow_what_a_size_may_be(model: CompiledModel) -> None:
    request, prefill = scaling.stage(model, "request"), scaling.stage(model, "prefill")
    assert ask([request.io_bytes], "seq_len").range.minimum == 903, "the image tokens are part of the prompt"
    assert ask([prefill.io_bytes], "logits_tokens").range.maximum == 913
    pages = ask([request.io_bytes.at(vision_batch_size=4)], "batch_size").range
    assert (pages.first, pages.multiple_of) == (4, 4)


def test_a_formula_for_a_size(model: CompiledModel) -> None:
    words = sympy.Symbol("words", integer=True, positive=True)
    prefill = scaling.stage(model, "prefill")
    answer = scaling.order(prefill.tensor_core_flops.at(seq_len=2 * words), "words")
    assert answer.coefficient == 4 * scaling.order(prefill.tensor_core_flops, "seq_len").coefficient


def test_two_models_are_compared_where_each_has_its_own_sizes(model: CompiledModel) -> None:
    cost = scaling.stage(model, "prefill").tensor_core_flops
    wide = cost.at(hidden_size=2560)
    assert scaling.crossover(wide, cost, "seq_len").outcome == "always"
    assert scaling.crossover(wide.settle("seq_len"), cost, "seq_len").outcome == "always"


def test_maxima_of_quantities() -> None:
    n = sympy.Symbol("n", integer=True, positive=True)
    one, other = Quantity(n, "one", "bytes"), Quantity(10 - n, "other", "bytes")
    answer = scaling.optimum(scaling.largest_of([one, other]), "n", bounds={"n": (1, 9)})
    assert (answer.value, answer.bound) == (5, 5)
    answer = scaling.optimum(scaling.smallest_of([one, other]), "n", goal="largest", bounds={"n": (1, 9)})
    assert (answer.value, answer.bound) == (5, 5)
    for make in (scaling.largest_of, scaling.smallest_of):
        with pytest.raises(ModelMeterError):
            make([])
        with pytest.raises(FormulaError, match="have no order"):
            make([one, Quantity(n, "flops", "FLOPs")])


@pytest.mark.parametrize(
    ("select", "stages"),
    [
        (lambda stage: stage("prefill").modules("*.attn"), "vision: ask of vision"),
        (
            lambda stage: stage("prefill").operator("scaled_dot_product_attention").modules("*.attn"),
            "vision: ask of vision",
        ),
        (lambda stage: stage("vision").modules("*.q_proj"), "prefill and decode: ask of prefill or decode"),
        (lambda stage: stage("vision").module_class("DeepseekOCRModel").modules("*.q_proj"), "prefill and decode"),
        (lambda stage: stage("decode").module_class("Conv2d"), "vision"),
    ],
)
def test_modules_that_run_in_another_stage_are_no_zero(model: CompiledModel, select: Any, stages: str) -> None:
    with pytest.raises(UnknownNameError, match=f"runs in this stage.* such modules run in {stages}"):
        select(partial(scaling.stage, model))


def test_modules_are_suggested_that_run_in_the_stage(model: CompiledModel) -> None:
    """The vision tower has ``attn`` and ``proj``, the decoder ``self_attn`` and ``q_proj``."""
    with pytest.raises(UnknownNameError, match="did you mean") as error:
        scaling.stage(model, "prefill").modules("*.atn")
    assert "*.self_attn" in error.value.remedy
    assert "*.attn" not in error.value.remedy
    with pytest.raises(UnknownNameError, match="no stage with operators"):
        scaling.stage(model, "training_step").modules("*.mlp")
