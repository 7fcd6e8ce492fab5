"""Cases of the whole model: prefills of pages, and decode steps behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from layer_case import COLOURS, Case, image
from model_inputs import build_cache, ids_on_meta
from torch import nn

from modelmeter.layers.base import BaseLayer
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import build_layers, symbolic_sizes
from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.models.deepseek_ocr.reference_decoder import WithoutCache


def models(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    """Yield prefills with and without tiles, where each table is resized or not, and decode steps."""
    patch = architecture.sam_patch_size
    trained = architecture.sam_image_size // patch
    names = ("batch_size", "base_size", "image_size", "num_width_tiles", "num_height_tiles")
    for page in (
        (2, patch * trained, patch * (trained + 2) + 1, 2, 3),
        (3, patch * (trained + 3), patch * trained, 3, 1),
        (1, patch * (2 * trained - 1), patch, 1, 1),
    ):
        yield from runs(architecture, dict(zip(names, page, strict=True)))


def runs(architecture: DeepSeekOCRArchitecture, page: dict[str, int]) -> Iterator[Case]:
    """Yield the runs of the model: a prefill, of the whole and of the part without the LM head, and two steps."""
    whole, layers = build_reference(architecture, expert_routing="even"), build_layers(symbolic_sizes())
    batch, across = page["batch_size"], page["num_width_tiles"]
    tiles = across * page["num_height_tiles"]
    images = {
        "global_views": image(batch, COLOURS, page["base_size"], page["base_size"]),
        "tiles": image(batch * tiles, COLOURS, page["image_size"], page["image_size"]) if tiles > 1 else None,
        "num_width_tiles": across,
    }
    seq_len, logits_tokens = whole.model.encode_images(*images.values()).shape[1] + 5, batch + 2
    sizes = {**architecture.dimension_values(), **page, "seq_len": seq_len, "logits_tokens": logits_tokens}
    memory = build_cache(architecture, batch, seq_len + 5)
    vision = re.compile(r"model\.(sam_model|vision_model|projector|image_newline|view_seperator)\b")
    decoder = tuple(parameter for name, parameter in whole.named_parameters() if not vision.match(name))

    def make_run(layer: BaseLayer, module: nn.Module, step: int = 0, **options: Any) -> Case:
        def train() -> Any:
            return module(ids_on_meta(batch, seq_len), WithoutCache(), **options)

        def forward() -> Any:
            memory.length = seq_len + step - 1 if step else 0
            return module(ids_on_meta(batch, 1 if step else seq_len), memory, **options)

        return Case(
            label=f"{page}, seq_len {seq_len}, step {step}", layer=layer, sizes={**sizes, "decode_step": step},
            module=module, forward=forward, cache=(*memory.keys, *memory.values), stored=decoder if step else None,
            train=None if step else train,
        )  # fmt: skip

    yield make_run(layers["prefill"], whole, logits_tokens=logits_tokens, **images)
    yield make_run(layers["prefill"].model, whole.model, **images)
    # Step t sees the prompt and t new positions; the vision towers take no part.
    yield from (make_run(layers["decode"], whole, step) for step in (1, 4))
