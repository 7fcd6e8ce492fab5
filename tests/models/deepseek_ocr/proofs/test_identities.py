"""Identities between forms of our formulas, and that a wrong formula breaks them."""

from __future__ import annotations

import pytest
import sympy
from attrs import evolve, fields
from tiny import SHALLOW, TINY

from modelmeter.layers.linear import Linear
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol
from modelmeter.models.deepseek_ocr.proofs import reference_cases
from modelmeter.models.deepseek_ocr.proofs.all_proofs import DEPTHS, formulas_of
from modelmeter.models.deepseek_ocr.proofs.identities import ADDITIVE, list_growths, prove_tiles
from modelmeter.verify.case import Case
from modelmeter.verify.identities import (
    prove_growth,
    prove_layer_formulas,
    substitute_own_sizes,
)
from modelmeter.verify.model_formulas import ModelFormulas


@pytest.fixture(scope="module")
def formulas() -> ModelFormulas:
    return formulas_of(TINY)


def test_tiles_are_more_views_for_every_tower(formulas: ModelFormulas) -> None:
    verdicts = list(prove_tiles(formulas))
    assert all(verdict.is_equal for verdict in verdicts)
    assert {verdict.metric for verdict in verdicts} == set(ADDITIVE)
    assert {"model.sam_model", "model.vision_model", "model.projector"} <= {verdict.subject for verdict in verdicts}


def test_tiles_that_cost_something_else_are_found(formulas: ModelFormulas) -> None:
    path = "model.projector"
    cost = formulas.costs[path]["projector"]
    dearer = evolve(cost, io_bytes=cost.io_bytes + symbol("num_width_tiles"))
    wrong = evolve(formulas, costs={**formulas.costs, path: {"projector": dearer}})
    different = [verdict for verdict in prove_tiles(wrong) if not verdict.is_equal]
    assert {(verdict.subject, verdict.metric) for verdict in different} == {(path, "io_bytes")}
    assert any(verdict.note.startswith("tiles are") for verdict in different)


def test_calls_that_cost_something_else_than_one_after_the_other_are_found(formulas: ModelFormulas) -> None:
    """The first of several images costs more, which a single call of one image does not show."""
    path = "model.vision_model"
    cost = formulas.costs[path]["vision"]
    dearer = evolve(cost, io_bytes=cost.io_bytes + symbol("images_per_prompt") - 1)
    wrong = evolve(formulas, costs={**formulas.costs, path: {"vision": dearer}})
    different = [verdict for verdict in prove_tiles(wrong) if not verdict.is_equal]
    assert [(verdict.subject, verdict.metric) for verdict in different] == [(path, "io_bytes")]
    assert different[0].note == "images_per_prompt batch_size / vision_batch_size calls are alike"


def test_a_layer_has_one_formula_in_its_own_sizes_and_in_the_model() -> None:
    # The decode run and the prefill run of a decoder of one layer, and both towers.
    verdicts = list(prove_layer_formulas(formulas_of(SHALLOW).model, DIMENSIONS))
    assert all(verdict.is_equal for verdict in verdicts)
    assert {"llama_flash_attention2", "attention", "notp_attention", "conv2d", "linear"} <= {
        verdict.layer for verdict in verdicts
    }


def test_own_sizes_join_the_leading_sizes_and_keep_the_flags() -> None:
    x, y = symbol("batch_size"), symbol("seq_len")
    layer = Linear(leading_shape=(x, y), in_features=5, out_features=7, bias=False)
    canonical, sizes = substitute_own_sizes(layer, DIMENSIONS)
    assert isinstance(canonical, Linear)
    assert canonical.bias is False
    assert sizes == {symbol("num_tokens"): x * y, symbol("in_features"): 5, symbol("out_features"): 7}
    assert sympy.sympify(canonical.cost.tensor_core_flops).xreplace(sizes) == layer.cost.tensor_core_flops
    assert {attribute.name for attribute in fields(Linear)} == {
        "precision", "leading_shape", "in_features", "out_features", "bias"
    }  # fmt: skip


def test_every_kind_of_layer_grows() -> None:
    growths = list(list_growths(TINY))
    assert [(growth.layer.__name__, growth.path) for growth in growths] == [
        ("DeepseekV2DecoderLayer", "model.layers.2"),
        ("DeepseekV2DecoderLayer", "model.layers.1"),
        ("Block", "model.sam_model.blocks.2"),
        ("Block", "model.sam_model.blocks.2"),
        ("NoTPTransformerBlock", "model.vision_model.transformer.layers.2"),
    ]
    assert {name for growth in growths for name in growth.dimensions} == DEPTHS
    assert growths[3].larger.sam_global_attn_indexes == (1, 2)


def test_one_more_layer_adds_what_its_trace_has_and_a_wrong_count_is_found() -> None:
    growth = next(list_growths(TINY))
    formulas = formulas_of(TINY, symbolic=DEPTHS)

    def make_case(architecture: DeepSeekOCRArchitecture) -> Case:
        return reference_cases.make_prefill_case(architecture, least={})

    verdicts = list(prove_growth(growth, formulas, make_case))
    assert all(verdict.is_equal for verdict in verdicts)
    (flops,) = [verdict for verdict in verdicts if verdict.metric == "tensor_core_flops"]
    assert symbol("num_hidden_layers") not in flops.derived.free_symbols, "whatever the depth"

    cost = formulas.costs[""]["prefill"]
    squared = evolve(cost, tensor_core_flops=cost.tensor_core_flops + symbol("num_hidden_layers") ** 2)
    wrong = evolve(formulas, costs={**formulas.costs, "": {**formulas.costs[""], "prefill": squared}})
    assert [verdict.metric for verdict in prove_growth(growth, wrong, make_case) if not verdict.is_equal] == [
        "tensor_core_flops"
    ]
