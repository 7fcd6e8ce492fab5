"""Cards of models that see images as grids of any height and width."""

from __future__ import annotations

from typing import Final

from modelmeter.frontend.cards.card import Blocks, Card, Tower, look_at_features
from modelmeter.frontend.cards.grids import (
    CELLS,
    GRID_HEIGHT,
    GRID_TERMS,
    GRID_WIDTH,
    make_grid_sizes,
    make_window_terms,
    pack_patches,
)
from modelmeter.frontend.cards.slices import (
    NUM_SLICES,
    SLICE_CELLS,
    VIEWS_OF_IMAGE,
    make_slice_sizes,
    make_slice_terms,
    pack_slices,
)

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

QWEN3_VL_4B: Final = Card(
    name="qwen3-vl-4b",
    title="Qwen3-VL-4B",
    model_type="qwen3_vl",
    class_name="Qwen3VLForConditionalGeneration",
    config={
        "text_config": {
            "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5000000.0, "mrope_section": [24, 20, 20]},
        },
        "vision_config": {
            "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "out_hidden_size": 2560,
            "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2, "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [5, 11, 17],
        },
        "tie_word_embeddings": True,
    },
    tower=Tower(
        sizes=make_grid_sizes(),
        look=look_at_features,
        make_inputs=pack_patches(3 * 2 * 16 * 16, merge=2),
        terms=GRID_TERMS,
        blocks=(Blocks(path="model.visual.blocks"),),
        # The features of three blocks are kept: as many, and blocks before and after them.
        shallow={"vision_config": {"depth": 5, "deepstack_visual_indexes": [1, 2, 3]}},
    ),
    image_tokens=CELLS,
    remarks="without the sums of its kept features into the first layers of the prefill",
)  # fmt: skip

PADDLEOCR_VL: Final = Card(
    name="paddleocr-vl",
    title="PaddleOCR-VL-0.9B",
    model_type="paddleocr_vl",
    class_name="PaddleOCRVLForConditionalGeneration",
    config={
        "text_config": {
            "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 18, "num_attention_heads": 16,
            "num_key_value_heads": 2, "head_dim": 128, "vocab_size": 103424, "tie_word_embeddings": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0, "mrope_section": [16, 24, 24]},
        },
        "vision_config": {
            "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
            "image_size": 384, "patch_size": 14, "spatial_merge_size": 2,
        },
        "tie_word_embeddings": False,
    },
    tower=Tower(
        sizes=make_grid_sizes(least=2),  # the projector does not copy rows of one cell
        look=look_at_features,
        make_inputs=pack_patches(3, 14, 14, merge=2),
        terms=GRID_TERMS,
        blocks=(Blocks(path="model.visual.vision_model.encoder.layers"),),
        shallow={"vision_config": {"num_hidden_layers": 2}},
    ),
    image_tokens=CELLS,
)  # fmt: skip

HUNYUAN_OCR: Final = Card(
    name="hunyuanocr",
    title="HunyuanOCR",
    model_type="hunyuan_vl",
    class_name="HunYuanVLForConditionalGeneration",
    config={
        "text_config": {
            "hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 24, "num_attention_heads": 16,
            "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 120818, "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "dynamic", "alpha": 1000.0, "factor": 1.0, "rope_theta": 10000.0,
                "mrope_section": [16, 16, 16, 16],
            },
        },
        "vision_config": {
            "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
            "out_hidden_size": 1024, "patch_size": 16, "spatial_merge_size": 2, "max_image_size": 2048,
        },
    },
    tower=Tower(
        sizes=make_grid_sizes(),
        look=look_at_features,
        make_inputs=pack_patches(3 * 16 * 16, merge=2),
        terms=GRID_TERMS,
        blocks=(Blocks(path="model.vision_tower.layers"),),
        shallow={"vision_config": {"num_hidden_layers": 2}},
    ),
    image_tokens=GRID_HEIGHT * (GRID_WIDTH + 1) + 2,  # a token ends each row, and one stands on each side
)  # fmt: skip

MINICPM_OCR: Final = Card(
    name="minicpm-ocr",
    title="MiniCPM-OCR",
    model_type="minicpm_ocr",
    class_name="MiniCPMOcrForConditionalGeneration",
    tower=Tower(
        sizes=make_slice_sizes(least=2),  # the merger does not copy rows of one cell
        look=look_at_features,
        make_inputs=pack_slices(16, merge=2),
        terms=make_slice_terms(),
        views=VIEWS_OF_IMAGE,
        blocks=(Blocks(path="model.vision_tower.encoder.layers"),),
        shallow={"vision_config": {"num_hidden_layers": 2}},
    ),
    image_tokens=CELLS + NUM_SLICES * SLICE_CELLS,
    refused={
        "prefill": "model.language_model.layers.0.linear_attn runs aten.linalg_solve_triangular, which has no price, "
        "at models/qwen3_5/modeling_qwen3_5.py:385"
    },
    remarks="with the sizes that are the defaults of its class",
)  # fmt: skip

CARDS: Final = (QWEN2_5_VL_3B, PADDLEOCR_VL, QWEN3_VL_4B, HUNYUAN_OCR, MINICPM_OCR)
"""In the order of their publication."""
