"""Every operator has a category."""

from __future__ import annotations

import pytest
from records import make_profile

from deepseek_ocr_costs import breakdown
from llm_perf_opt.reporting.categories import REPORT_CATEGORIES, categorize
from llm_perf_opt.reporting.evaluation import evaluate_workload
from modelmeter.metrics.operator_table import (
    ATTENTION,
    ATTENTION_REST,
    EAGER_ATTENTION,
    EAGER_ATTENTION_REST,
    MATRIX_OPERATORS,
    MOVING_OPERATORS,
    VECTOR_FLOPS,
)


@pytest.mark.parametrize(
    ("operator", "class_name", "category_id"),
    [
        # A module that does one thing: whatever it runs is a part of that.
        ("addmm", "Linear", "linear"),
        ("_to_copy", "DeepseekV2RMSNorm", "normalization"),
        ("pow", "LayerNorm2d", "normalization"),
        ("silu", "SiLU", "activation"),
        ("cat", "CLIPVisionEmbeddings", "embedding"),
        ("bmm", "LlamaRotaryEmbedding", "positional_encoding"),
        # One that does several: what is elementwise or moves bytes counts as that, the rest as the module's.
        ("scaled_dot_product_attention", "LlamaFlashAttention2", "attention"),
        ("bmm", "Attention", "attention"),
        ("mul", "LlamaFlashAttention2", "elementwise"),
        ("upsample_linear1d", "Attention", "elementwise"),
        ("copy_", "LlamaFlashAttention2", "data_movement"),
        ("mm", "MoEGate", "moe_routing"),
        ("_softmax", "MoEGate", "moe_routing"),
        ("topk", "MoEGate", "moe_routing"),
        ("_to_copy", "MoEGate", "data_movement"),
        ("mul_", "DeepseekV2MoE", "elementwise"),
        ("index_put_", "DeepseekV2MoE", "data_movement"),
        # One that only holds others, and one that nobody knows: by the operator alone.
        ("sigmoid", "NoTPFeedForward", "activation"),
        ("constant_pad_nd", "Block", "data_movement"),
        ("mm", "Unheard", "linear"),
        ("_softmax", "Unheard", "activation"),
        ("frobnicate", "Unheard", "other"),
        ("frobnicate", "Linear", "linear"),
        ("frobnicate", "Block", "composite"),
    ],
)
def test_an_operator_goes_by_what_its_module_does_or_by_itself(
    operator: str, class_name: str, category_id: str
) -> None:
    assert categorize(operator, class_name) == category_id


def test_every_operator_that_is_counted_has_a_kind_in_any_module() -> None:
    """All of the operator table but the backward, which no report has, and prices of operators under other names."""
    attentions = (ATTENTION, ATTENTION_REST, EAGER_ATTENTION, EAGER_ATTENTION_REST)
    counted = {*VECTOR_FLOPS, *MATRIX_OPERATORS, *MOVING_OPERATORS, *attentions}
    priced = {"scaled_dot_product_attention_bias", "mul_complex"}
    forward = {name for name in counted if "_backward" not in name} - priced
    assert len(forward) > 40
    assert [name for name in sorted(forward) if categorize(name, "Unheard") == "other"] == []


def test_nothing_of_the_model_is_other() -> None:
    evaluation = evaluate_workload(make_profile(), "bfloat16")
    classes = {module.path: module.class_name for module in breakdown.MODULES}
    rows = [row for stage in evaluation.stages.values() for row in stage.operators]
    assert len(rows) > 100
    assert [row for row in rows if categorize(row.operator, classes[row.path]) in ("other", "composite")] == []


def test_a_name_is_in_one_category() -> None:
    ids = [category.category_id for category in REPORT_CATEGORIES]
    names = [name for category in REPORT_CATEGORIES for name in category.match_classes]
    assert len(set(ids)) == len(ids)
    assert len(set(names)) == len(names)
