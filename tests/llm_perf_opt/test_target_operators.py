"""Every class of the model has a category; an unknown one is visible as such."""

from __future__ import annotations

from collections import Counter

import pytest

from llm_perf_opt.data import OPERATOR_CATEGORIES, OperatorSpec
from llm_perf_opt.data.target_operators import category_of
from llm_perf_opt.errors import RecordError


def test_a_class_is_in_one_category() -> None:
    ids = [category.category_id for category in OPERATOR_CATEGORIES]
    assert len(set(ids)) == len(ids)
    names = Counter(name for category in OPERATOR_CATEGORIES for name in category.match_classes)
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize(
    ("class_name", "category_id"),
    [
        ("Linear", "linear"),
        ("Conv2d", "convolution"),
        ("Attention", "attention"),
        ("NoTPAttention", "attention"),
        ("LlamaFlashAttention2", "attention"),
        ("LayerNorm2d", "normalization"),
        ("DeepseekV2RMSNorm", "normalization"),
        ("SiLU", "activation"),
        ("CLIPVisionEmbeddings", "embedding"),
        ("LlamaRotaryEmbedding", "positional_encoding"),
        ("MoEGate", "moe_routing"),
        ("DeepseekV2MLP", "composite"),
        ("Dropout", "pass_through"),
        ("LINEAR", "other"),
        ("Linear2", "other"),
        ("", "other"),
    ],
)
def test_categories_match_whole_class_names(class_name: str, category_id: str) -> None:
    assert category_of(class_name) == category_id


def test_a_class_is_either_builtin_or_custom() -> None:
    with pytest.raises(RecordError, match=r"^is_custom: .* expected False; found True$"):
        OperatorSpec(
            class_name="GELU",
            class_name_qualified="torch.nn.modules.activation.GELU",
            is_pytorch_builtin=True,
            is_custom=True,
            children_classes=[],
            default_category_id="activation",
        )
