"""Identities that carry proofs on two layers and one view over to every depth, and to tiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy
from attrs import evolve

from modelmeter.dimensions.functions import exceeds, floor_div
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.metric import FUSED_IO
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_decoder_layer import DeepseekV2DecoderLayer
from modelmeter.models.deepseek_ocr.layers.vision.block import Block
from modelmeter.models.deepseek_ocr.layers.vision.notp_transformer_block import NoTPTransformerBlock
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import NO_TILES, Sizes
from modelmeter.verify.identities import Counted, Growth, compare_forms, read_formulas
from modelmeter.verify.integer_facts import Domain
from modelmeter.verify.model_formulas import ModelFormulas
from modelmeter.verify.proof import Verdict

ADDITIVE: tuple[Counted, ...] = ("tensor_core_flops", "cuda_core_flops", "io_bytes", FUSED_IO, "activation_bytes")


def list_growths(architecture: DeepSeekOCRArchitecture) -> Iterator[Growth[DeepSeekOCRArchitecture]]:
    """Yield a growth for each kind of layer. ``architecture`` has one dense layer, and a last block that is global."""
    layers, blocks = architecture.num_hidden_layers, architecture.sam_num_hidden_layers
    indexes = architecture.sam_global_attn_indexes

    def grow(path: str, layer: type[BaseLayer], *dimensions: str, **larger: Any) -> Growth[DeepSeekOCRArchitecture]:
        stage = "prefill" if layer is DeepseekV2DecoderLayer else "vision"
        return Growth(
            smaller=architecture, larger=evolve(architecture, **larger), dimensions=dimensions, path=path, layer=layer,
            stages=(stage,),
        )  # fmt: skip

    yield grow(f"model.layers.{layers}", DeepseekV2DecoderLayer, "num_hidden_layers", num_hidden_layers=layers + 1)
    dense = architecture.first_k_dense_replace
    yield grow(
        f"model.layers.{dense}", DeepseekV2DecoderLayer, "num_hidden_layers", "first_k_dense_replace",
        num_hidden_layers=layers + 1, first_k_dense_replace=dense + 1,
    )  # fmt: skip
    yield grow(f"model.sam_model.blocks.{blocks}", Block, "sam_num_hidden_layers", sam_num_hidden_layers=blocks + 1)
    yield grow(
        f"model.sam_model.blocks.{blocks}", Block, "sam_num_hidden_layers", "sam_num_global_layers",
        sam_num_hidden_layers=blocks + 1, sam_global_attn_indexes=(*indexes, blocks),
    )  # fmt: skip
    clip = architecture.clip_num_hidden_layers
    yield grow(
        f"model.vision_model.transformer.layers.{clip}", NoTPTransformerBlock, "clip_num_hidden_layers",
        clip_num_hidden_layers=clip + 1,
    )  # fmt: skip


def prove_tiles(formulas: ModelFormulas) -> Iterator[Verdict]:
    """Yield verdicts: a call of the towers costs what plain views cost, of its tiles and of its global views.

    So the traces of plain views in one call, of any number and any side, are proofs for tiles, and for pages that take
    several calls. ``formulas`` have symbols for the workload.
    """
    pages, tiles = symbol("vision_batch_size"), symbol("num_width_tiles") * symbol("num_height_tiles")
    one_call: Sizes = {"batch_size": pages, "images_per_prompt": 1}
    calls = symbol("images_per_prompt") * floor_div(symbol("batch_size"), pages)
    stages, anywhere = ("vision", "projector"), Domain()
    for bound, _ in formulas.members():
        path = bound.node.path
        if not path.startswith(("model.sam_model", "model.vision_model", "model.projector")):
            continue
        whole, call, plain = (
            read_formulas(formulas, path, stages, sizes, anywhere) for sizes in ({}, one_call, {**one_call, **NO_TILES})
        )
        of_tiles = {pages: pages * tiles, symbol("base_size"): symbol("image_size")}
        for metric in ADDITIVE:
            parts = exceeds(tiles, 1) * sympy.sympify(plain[metric]).xreplace(of_tiles) + plain[metric]
            yield compare_forms(
                bound, stages, metric, call[metric], parts, domain="any sizes and any grid of tiles",
                note="tiles are vision_batch_size num_width_tiles num_height_tiles views of image_size more",
            )  # fmt: skip
            yield compare_forms(
                bound, stages, metric, whole[metric], calls * call[metric], domain="any sizes",
                note="images_per_prompt batch_size / vision_batch_size calls are alike",
            )  # fmt: skip
