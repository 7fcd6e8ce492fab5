"""The layer trees of DeepSeek-OCR: one for the prefill run, one for a decode step; and their stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from attrs import fields

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import Absent
from modelmeter.metrics.cost import Elements
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol
from modelmeter.models.deepseek_ocr.layers.core.deepseek_ocr_for_causal_lm import DeepseekOCRForCausalLM
from modelmeter.models.deepseek_ocr.layers.core.deepseek_ocr_model import DeepseekOCRModel
from modelmeter.models.deepseek_ocr.layers.decoder.decoder_stack import DecoderStack
from modelmeter.models.deepseek_ocr.layers.decoder.lm_head import LMHead
from modelmeter.models.deepseek_ocr.layers.vision.vision_tower import VisionTower

L = TypeVar("L", bound=BaseLayer)
Run = Literal["prefill", "decode"]


def symbolic_sizes() -> dict[str, Size]:
    """Return a symbol for every dimension, and for the index of a decode step."""
    return {name: symbol(name) for name in (*DIMENSIONS.settable, "decode_step")}


def build_layers(sizes: Mapping[str, Size]) -> dict[str, BaseLayer]:
    """Return the layer tree of each run.

    Parameters
    ----------
    sizes
        Every workload and architecture dimension, and ``decode_step``: formulas or numbers. The decode
        run is step ``decode_step``, which sees ``seq_len + decode_step`` keys.
    """
    prompt, keys = sizes["seq_len"], sizes["seq_len"] + sizes["decode_step"]
    vision = _make(VisionTower, sizes)
    return {
        "prefill": build_decoder(
            sizes, num_queries=prompt, num_keys=prompt, logits_tokens=sizes["logits_tokens"], vision_layer=vision
        ),
        "decode": build_decoder(sizes, num_queries=1, num_keys=keys, logits_tokens=1),
    }


def build_decoder(
    sizes: Mapping[str, Size],
    *,
    num_queries: Size,
    num_keys: Size,
    logits_tokens: Size,
    vision_layer: BaseLayer | None = None,
) -> DeepseekOCRForCausalLM:
    """Return the layers of a run of the decoder over ``num_queries`` new positions of each sequence.

    Parameters
    ----------
    sizes
        ``batch_size`` and every architecture dimension.
    num_queries, num_keys
        New positions, and all positions that they see, the new ones included.
    logits_tokens
        New positions that get logits.
    vision_layer
        What images go through first, if there are any.
    """
    decoder = _make(DecoderStack, {**sizes, "num_queries": num_queries, "num_keys": num_keys})
    return DeepseekOCRForCausalLM(
        model=DeepseekOCRModel(vision_layer=vision_layer or Absent(), decoder_layer=decoder),
        lm_head=_build_lm_head(sizes, logits_tokens),
    )


def list_inputs(sizes: Mapping[str, Size]) -> dict[str, Elements]:
    """Return what each run is given: the token ids of its positions."""
    batch_size = sizes["batch_size"]
    return {"prefill": Elements(index=batch_size * sizes["seq_len"]), "decode": Elements(index=batch_size)}


def _build_lm_head(sizes: Mapping[str, Size], logits_tokens: Size) -> LMHead:
    return LMHead(
        leading_shape=(sizes["batch_size"], logits_tokens),
        in_features=sizes["hidden_size"],
        out_features=sizes["vocab_size"],
    )


def _make(layer: type[L], sizes: Mapping[str, Size]) -> L:
    """Return ``layer`` with the sizes that it has fields for; a missing one is a KeyError, not a default."""
    chosen: dict[str, Any] = {field.name: sizes[field.name] for field in fields(layer) if field.name != "precision"}
    return layer(**chosen)
