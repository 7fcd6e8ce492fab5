"""Cards of models that see images as grids of any height and width."""

from __future__ import annotations

from typing import Final

from modelmeter.frontend.card import Blocks, Card, Tower, look_at_features
from modelmeter.frontend.grids import CELLS, make_grid_sizes, make_window_terms, pack_patches

QWEN2_5_VL_3B: Final = Card(
    name="qwen2.5-vl-3b",
    title="Qwen2.5-VL-3B",
    model_type="qwen2_5_vl",
    class_name="Qwen2_5_VLForConditionalGeneration",
    config={
        "text_config": {
            "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
            "num_key_value_heads": 2, "vocab_size": 151936, "max_window_layers": 70, "use_sliding_window": False,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]},
        },
        "vision_config": {
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 2048,
            "patch_size": 14, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        "tie_word_embeddings": True,
    },
    tower=Tower(
        sizes=make_grid_sizes(least=4),  # below, the code skips copies of its window indices
        look=look_at_features,
        make_inputs=pack_patches(3 * 2 * 14 * 14, merge=2),
        terms=make_window_terms(),
        blocks=(
            Blocks(
                path="model.visual.blocks",
                list_kinds=lambda config: [
                    int(index in config.vision_config.fullatt_block_indexes)
                    for index in range(config.vision_config.depth)
                ],
            ),
        ),
        shallow={"vision_config": {"depth": 4, "fullatt_block_indexes": [1, 3]}},
    ),
    image_tokens=CELLS,
)  # fmt: skip

CARDS: Final = (QWEN2_5_VL_3B,)
"""In the order of their publication."""
