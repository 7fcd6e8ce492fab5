"""Our side of a proof."""

from __future__ import annotations

import pytest
import sympy
from tiny import SHALLOW, TINY

from modelmeter.dimensions.functions import RoutedReads, Triangular
from modelmeter.metrics.cost import Cost
from modelmeter.model.loop import Loop
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.proofs.all_proofs import formulas_of
from modelmeter.support.errors import CountError
from modelmeter.verify.integer_facts import Domain
from modelmeter.verify.model_formulas import ModelFormulas, open_loop

LOOP = Loop(stage="decode", index=symbol("decode_step"), count=symbol("decode_steps"))


@pytest.fixture(scope="module")
def formulas() -> ModelFormulas:
    return formulas_of(TINY)


def test_every_module_is_a_member_of_one_path(formulas: ModelFormulas) -> None:
    names = [member for _, members in formulas.members() for member in members]
    assert len(names) == len(set(names))
    assert {"", "model.layers.1.mlp.experts.2.up_proj", "model.sam_model.blocks.1.attn"} <= set(names)


def test_the_cost_over_stages_adds_flows_and_keeps_the_parameters(formulas: ModelFormulas) -> None:
    def cost(*stages: str) -> Cost:
        return formulas.cost("model", stages, {"num_width_tiles": 0, "num_height_tiles": 0}, Domain())

    both, vision, prefill = cost("vision", "prefill"), cost("vision"), cost("prefill")
    assert sympy.expand(both.io_bytes - vision.io_bytes - prefill.io_bytes) == 0
    assert both.weight_bytes == vision.weight_bytes == prefill.weight_bytes
    assert formulas.cost("lm_head", ("vision",), {}, Domain()) == Cost()


def test_experts_read_even_shares(formulas: ModelFormulas) -> None:
    cost = formulas.cost("model.layers.1.mlp.experts", ("prefill",), {}, Domain())
    assert not sympy.sympify(cost.io_bytes).has(RoutedReads)
    # Three experts of three matrices of 24 x 11, all of them read: 2,376 weights.
    assert sympy.sympify(cost.io_bytes).coeff(symbol("weight_bits")) == sympy.Rational(2376, 8)


def test_a_layer_that_the_graph_lacks_is_not_among_the_members() -> None:
    names = {member for _, members in formulas_of(SHALLOW).members() for member in members}
    assert "model.layers.0" in names
    assert "model.layers.1" not in names


def test_some_dimensions_can_stay_symbols() -> None:
    cost = formulas_of(SHALLOW, symbolic=["vocab_size"]).cost("lm_head", ("prefill",), {}, Domain())
    assert sympy.expand(cost.tensor_core_flops) == (
        2 * symbol("batch_size") * symbol("logits_tokens") * 24 * symbol("vocab_size")
    )


def test_the_closed_form_of_a_decode_is_opened_by_induction() -> None:
    steps, step, length = symbol("decode_steps"), symbol("decode_step"), symbol("seq_len")
    looped = Cost(tensor_core_flops=7 * steps * length + 7 * Triangular(steps), kv_cache_bytes=3 * (length + steps))
    opened = open_loop(looped, LOOP, "")
    assert sympy.expand(opened.tensor_core_flops - 7 * (length + step)) == 0
    assert opened.kv_cache_bytes == 3 * (length + step)


def test_a_decode_of_no_steps_that_costs_something_is_an_error() -> None:
    with pytest.raises(CountError, match="model: no steps cost something"):
        open_loop(Cost(io_bytes=symbol("decode_steps") + 1), LOOP, "model")
