"""Configs of the types of cards: the tower of a card at the sizes of another config, or its text part alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelmeter.model.registry import forget_model
from modelmeter.support.errors import ArchitectureError, WorkloadError

SMALL: dict[str, Any] = {
    "model_type": "qwen2_5_vl",
    "text_config": {
        "hidden_size": 48, "intermediate_size": 59, "num_hidden_layers": 3, "num_attention_heads": 3,
        "num_key_value_heads": 1, "vocab_size": 211, "max_window_layers": 70, "use_sliding_window": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
    },
    "vision_config": {
        "depth": 5, "hidden_size": 40, "intermediate_size": 53, "num_heads": 2, "out_hidden_size": 48,
        "patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1, 3], "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}  # fmt: skip


def test_a_config_of_the_type_of_a_card_sees_as_the_card_says_at_sizes_of_its_own() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from modelmeter.frontend.compile import compile_config

    compilation = compile_config(copy.deepcopy(SMALL), name="Small-Sight", points=0)
    try:
        assert compilation.tower is not None
        assert compilation.tower.name == "qwen2.5-vl-3b"
        assert compilation.page_rule is not None
        config = transformers.Qwen2_5_VLConfig.from_dict(copy.deepcopy(SMALL))
        model = transformers.Qwen2_5_VLForConditionalGeneration(config).eval()  # real numbers, as code reads some
        patches = torch.zeros(2 * (2 * 5) * (2 * 7), 3 * 2 * 14 * 14)
        grids = torch.tensor([[1, 2 * 5, 2 * 7]] * 2)  # two images of 5 x 7 cells of 2 x 2 patches
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model.model.get_image_features(pixel_values=patches, image_grid_thw=grids)
        cost = compilation.compiled.evaluate("vision", batch_size=2, num_images=1, grid_height=5, grid_width=7)
        assert cost.tensor_core_flops == counter.get_total_flops() > 0
        # 2 images of 5 x 7 cells are 70 tokens of each prompt.
        with pytest.raises(WorkloadError, match="at least image_tokens = 70; found 69"):
            compilation.compiled.evaluate("request", num_images=2, grid_height=5, grid_width=7, seq_len=69)
    finally:
        forget_model("small-sight")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "qwen2.5-vl-3b"),
        ({"depth": 7, "fullatt_block_indexes": [2, 6], "num_heads": 5, "tokens_per_second": 3}, "qwen2.5-vl-3b"),
        ({"patch_size": 16}, None),
        ({"spatial_merge_size": 4}, None),
        ({"window_size": 224}, None),
        ({"out_hidden_size": None}, None),  # not said: the default is 3584, and the text is 48 wide
    ],
)
def test_what_an_image_is_has_to_be_the_same(changes: dict[str, Any], name: str | None) -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.configs.carded import find_card_of
    from modelmeter.frontend.configs.config import read_model_config

    fields = copy.deepcopy(SMALL)
    tower = fields["vision_config"] | changes
    fields["vision_config"] = {key: size for key, size in tower.items() if size is not None}
    card = find_card_of(read_model_config(fields).config)
    assert (card.name if card else None) == name


def test_keys_of_the_text_beside_those_of_the_tower_are_said() -> None:
    """As in the published files of Qwen2.5-VL, whose text has no section."""
    pytest.importorskip("transformers")
    from modelmeter.frontend.configs.config import read_model_config

    fields = copy.deepcopy(SMALL)
    fields |= fields.pop("text_config") | {"vocab_size": 152064, "use_sliding_window": False}
    read = read_model_config(fields)
    assert read.config.get_text_config().hidden_size == 48
    assert not {"vocab_size", "use_sliding_window"} & read.assumed.keys()


def test_a_tower_with_one_block_of_a_kind_is_refused_in_words_of_ours() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    fields = copy.deepcopy(SMALL)
    fields["vision_config"] |= {"fullatt_block_indexes": [4]}
    with pytest.raises(ArchitectureError, match=r"visual\.blocks: .*block 4 is the only one of its kind"):
        compile_config(fields, name="Odd-Sight", points=0)


@pytest.mark.parametrize("model_type", ["blt", "musicgen"])
def test_a_config_without_one_width_of_its_text_has_no_card(model_type: str) -> None:
    transformers = pytest.importorskip("transformers")
    from modelmeter.frontend.configs.carded import find_card_of

    config = transformers.CONFIG_MAPPING[model_type]()
    with pytest.raises((AttributeError, ValueError)):
        _ = config.get_text_config().hidden_size
    assert find_card_of(config) is None
