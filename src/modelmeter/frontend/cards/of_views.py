"""Cards of models that see images as views of fixed pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sympy

from modelmeter.frontend.cards.card import Blocks, Card, Tower, look_at_features
from modelmeter.frontend.cards.grids import IMAGES
from modelmeter.frontend.cards.views import (
    HAS_TILE_GRID,
    NUM_HEIGHT_TILES,
    NUM_TILES,
    NUM_WIDTH_TILES,
    TILE_COLUMNS,
    TILE_ROWS,
    TILES,
    VIEW_TERMS,
    VIEWS,
    make_pixels,
    make_tile_grid_terms,
    make_tile_grids,
    make_tile_terms,
    make_tiled_pixels,
)

GEMMA_3_4B: Final = Card(
    name="gemma-3-4b",
    title="Gemma-3-4B",
    model_type="gemma3",
    class_name="Gemma3ForConditionalGeneration",
    config={
        "text_config": {
            "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "num_attention_heads": 8,
            "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208, "sliding_window": 1024,
        },
        "vision_config": {
            "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
            "image_size": 896, "patch_size": 14, "vision_use_head": False,
        },
        "mm_tokens_per_image": 256,
    },
    tower=Tower(
        sizes=(VIEWS,),
        look=look_at_features,
        make_inputs=make_pixels(896),
        terms=VIEW_TERMS,
        blocks=(Blocks(path="model.vision_tower.encoder.layers"),),
        shallow={"vision_config": {"num_hidden_layers": 2}},
    ),
    image_tokens=sympy.Integer(256),
)  # fmt: skip


def _look_at_real_images(modules: Any, sizes: Mapping[str, int], inputs: Mapping[str, Any]) -> object:
    """Call the tower and the connector alone: which images are padding depends on the values of their pixels."""
    import torch  # only where a stage runs

    pixels = inputs["pixel_values"]
    patch = modules.config.vision_config.patch_size
    side = pixels.shape[-1] // patch
    mask = torch.ones(pixels.shape[0], side, side, dtype=torch.bool, device="meta")
    seen = modules.vision_model(pixel_values=pixels, patch_attention_mask=mask)
    return modules.connector(seen.last_hidden_state)


SMOLVLM2_2B: Final = Card(
    name="smolvlm2-2.2b",
    title="SmolVLM2-2.2B",
    model_type="smolvlm",
    class_name="SmolVLMForConditionalGeneration",
    config={
        "text_config": {
            "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24,
            "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 49280,
        },
        "vision_config": {
            "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
            "image_size": 384, "patch_size": 14,
        },
        "scale_factor": 3,
    },
    tower=Tower(
        sizes=(VIEWS,),
        look=_look_at_real_images,
        make_inputs=make_pixels(384),
        terms=VIEW_TERMS,
        blocks=(Blocks(path="model.vision_model.encoder.layers"),),
        shallow={"vision_config": {"num_hidden_layers": 2}},
        words="the vision tower and its connector, over the images of all prompts",
    ),
    image_tokens=sympy.Integer(81),
    remarks="without the search for padding among the images, which hangs on the values of their pixels",
)  # fmt: skip

_SAM = {"num_hidden_layers": 4, "global_attn_indexes": [1, 3]}
"""Two blocks with windows, and two that attend to all."""

DEEPSEEK_OCR_2: Final = Card(
    name="deepseek-ocr-2",
    title="DeepSeek-OCR-2",
    model_type="deepseek_ocr2",
    class_name="DeepseekOcr2ForConditionalGeneration",
    config={
        "text_config": {
            "hidden_size": 1280, "intermediate_size": 6848, "num_hidden_layers": 12, "num_attention_heads": 10,
            "num_key_value_heads": 10, "vocab_size": 129280, "moe_intermediate_size": 896, "n_routed_experts": 64,
            "num_experts_per_tok": 6, "n_shared_experts": 2, "mlp_layer_types": ["dense", *["sparse"] * 11],
        },
        "vision_config": {
            "encoder_config": {
                "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
                "num_key_value_heads": 2,
            },
        },
    },
    tower=Tower(
        sizes=(IMAGES, TILES),
        look=look_at_features,
        make_inputs=make_tiled_pixels(1024, 768),
        terms=make_tile_terms(),
        blocks=(
            Blocks(path="model.vision_tower.sam_encoder.layers"),
            Blocks(path="model.vision_tower.vision_encoder.layers"),
        ),
        shallow={
            "vision_config": {
                "sam_config": _SAM,
                "encoder_config": {"num_hidden_layers": 2, "layer_types": ["full_attention", "full_attention"]},
            }
        },
        words="SAM, the encoder and the projector, over a view of 1024 x 1024 pixels of each image and over tiles of "
        "768 x 768",
    ),
    image_tokens=16 * 16 + 1 + 12 * 12 * NUM_TILES,
)  # fmt: skip

UNLIMITED_OCR: Final = Card(
    name="unlimited-ocr",
    title="Unlimited-OCR",
    model_type="unlimited_ocr",
    class_name="UnlimitedOcrForConditionalGeneration",
    tower=Tower(
        sizes=(IMAGES, TILE_COLUMNS, TILE_ROWS),
        look=look_at_features,
        make_inputs=make_tile_grids(1024, 640),
        terms=make_tile_grid_terms(),
        blocks=(
            Blocks(path="model.vision_tower.sam_encoder.layers"),
            Blocks(path="model.vision_tower.vision_encoder.encoder.layers"),
        ),
        shallow={"vision_config": {"sam_config": _SAM, "encoder_config": {"num_hidden_layers": 2}}},
        words="SAM, CLIP and the projector, over a view of 1024 x 1024 pixels of each image and tiles of 640 x 640",
    ),
    image_tokens=16 * 17 + 1 + HAS_TILE_GRID * 10 * NUM_HEIGHT_TILES * (10 * NUM_WIDTH_TILES + 1),
    remarks="with the sizes that are the defaults of its class",
)  # fmt: skip

CARDS: Final = (GEMMA_3_4B, SMOLVLM2_2B, DEEPSEEK_OCR_2, UNLIMITED_OCR)
"""In the order of their publication."""
