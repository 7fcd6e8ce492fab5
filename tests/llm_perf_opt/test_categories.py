"""Every operator has a category."""

from __future__ import annotations

from records import make_profile

from deepseek_ocr_costs import breakdown
from llm_perf_opt.reporting.categories import REPORT_CATEGORIES, categorize
from llm_perf_opt.reporting.evaluation import evaluate_workload


def test_a_leaf_goes_by_its_class_and_a_function_by_itself_or_its_module() -> None:
    assert categorize("Linear", "Linear") == "linear"
    assert categorize("MoEGate", "MoEGate") == "moe_routing"
    assert categorize("cat", "DeepseekV2MoE") == "data_movement"
    assert categorize("mul", "LlamaFlashAttention2") == "elementwise"
    assert categorize("scaled_dot_product_attention", "LlamaFlashAttention2") == "attention"
    assert categorize("einsum", "Attention") == "attention"
    assert categorize("frobnicate", "Unheard") == "other"


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
