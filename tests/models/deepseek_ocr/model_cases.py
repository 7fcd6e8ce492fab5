"""Cases of the whole model: prefills of pages, and decode steps behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from layer_case import Case
from model_inputs import Page, build_cache, ids_on_meta
from torch import nn

from modelmeter.layers.base import BaseLayer
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import build_layers, symbolic_sizes
from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.models.deepseek_ocr.reference_cache import WithoutCache
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload, make_views


def models(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    """Yield prefills with and without tiles, where each table is resized or not, and decode steps.

    Pages share calls of the towers or do not, and a prompt has one image or several.
    """
    patch = architecture.sam_patch_size
    trained = architecture.sam_image_size // patch
    for page in (
        Page(patch * trained, patch * (trained + 2) + 1, 2, 3, batch_size=2, vision_batch_size=1),
        Page(patch * (trained + 3), patch * trained, 3, 1, batch_size=3, vision_batch_size=3, images_per_prompt=2),
        # Tiles in one column are in the order of the page as they are.
        Page(patch * 2, patch * 5, 1, 3, batch_size=4, vision_batch_size=2),
        Page(patch * (2 * trained - 1), patch, 1, 1),
    ):
        yield from runs(architecture, page)
    # Every position gets logits, of one sequence and of several.
    for batch_size in (1, 3):
        page = Page(patch * trained, patch, batch_size=batch_size, vision_batch_size=batch_size)
        yield next(runs(architecture, page, gets_all_logits=True))


def runs(architecture: DeepSeekOCRArchitecture, page: Page, *, gets_all_logits: bool = False) -> Iterator[Case]:
    """Yield the runs of the model: a prefill, of the whole and of the part without the LM head, and two steps."""
    dtype = torch.get_default_dtype()
    whole = build_reference(architecture, expert_routing="even", dtype=dtype)
    layers = build_layers(symbolic_sizes())
    batch = page.batch_size
    seq_len = page.count_tokens(architecture.sam_patch_size) + 5
    logits_tokens = seq_len if gets_all_logits else batch + 2
    workload = TraceWorkload(**page.sizes, seq_len=seq_len, logits_tokens=logits_tokens)
    images = {
        # Pixels that only the model holds.
        "views": partial(make_views, workload, dtype),
        "tile_grid": (page.num_width_tiles, page.num_height_tiles),
        "images_per_prompt": page.images_per_prompt,
    }
    sizes = {**architecture.dimension_values(), **page.sizes, "seq_len": seq_len, "logits_tokens": logits_tokens}
    memory = build_cache(architecture, batch, seq_len + 5, dtype=dtype)
    vision = re.compile(r"model\.(sam_model|vision_model|projector|image_newline|view_seperator)\b")
    decoder = tuple(parameter for name, parameter in whole.named_parameters() if not vision.match(name))

    def make_run(layer: BaseLayer, module: nn.Module, step: int = 0, **options: Any) -> Case:
        ids = ids_on_meta(batch, 1 if step else seq_len)

        def train() -> Any:
            return module(ids, WithoutCache(), **options)

        def forward() -> Any:
            if step:
                memory.hold(seq_len + step - 1)
            else:
                memory.length = 0
            return module(ids, memory, **options)

        return Case(
            label=f"{page}, seq_len {seq_len}, step {step}", dtype=dtype, layer=layer,
            sizes={**sizes, "decode_step": step}, module=module, forward=forward, inputs=(ids,),
            cache=memory.tensors, stored=decoder if step else None, train=None if step else train,
            # The model states what it does itself once for all calls of the towers.
            summed=(next(path for path, each in module.named_modules() if each is whole.model),)
            if page.images_per_prompt * batch > page.vision_batch_size
            else (),
        )  # fmt: skip

    yield make_run(layers["prefill"], whole, logits_tokens=logits_tokens, **images)
    yield make_run(layers["prefill"].model, whole.model, **images)
    # Step t sees the prompt and t new positions; the vision towers take no part.
    yield from (make_run(layers["decode"], whole, step) for step in (1, 4))
