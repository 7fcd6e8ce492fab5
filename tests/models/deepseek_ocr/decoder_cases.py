"""Cases of the decoder: its leaves, experts, and layers with a cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from attrs import evolve, fields
from layer_case import LAYERS, Case, make, meta
from model_inputs import build_cache

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.reference_cache import WithoutCache


def decoder_leaves() -> Iterator[Case]:
    for tokens, inner, outer in ((6, 5, 7), (13, 11, 3)):
        rows = (meta(tokens, inner),)
        widths = {"num_tokens": tokens, "hidden_size": inner}
        yield make("DeepseekV2RMSNorm", (inner,), rows, **widths)
        yield make("DeepseekV2MLP", (inner, outer), rows, **widths, intermediate_size=outer)
        yield make("LMHead", (inner, outer, False), rows, num_tokens=tokens, in_features=inner, out_features=outer)
    for batch, positions, width in ((3, 7, 10), (1, 1, 14), (5, 1, 6)):
        ids = torch.arange(positions, device="meta").expand(batch, -1)
        yield make(
            "LlamaRotaryEmbedding", (width,), (ids, torch.get_default_dtype()), batch_size=batch, num_queries=positions,
            head_dim=width,
        )  # fmt: skip


def experts(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    width, count = architecture.hidden_size, architecture.n_routed_experts
    sizes = {"hidden_size": width, "n_routed_experts": count, "num_experts_per_tok": architecture.num_experts_per_tok}
    mlps = {
        "moe_intermediate_size": architecture.moe_intermediate_size, "n_shared_experts": architecture.n_shared_experts
    }  # fmt: skip
    shape = (symbol("batch_size"), symbol("num_queries"))
    # One token leaves experts without work; then uneven shares; then even ones.
    for batch, positions in ((1, 1), (3, 3), (count, 3)):
        rows = (meta(batch, positions, width),)
        yield make("MoEGate", (architecture,), rows, num_tokens=batch * positions, **sizes)
        yield make(
            "DeepseekV2MoE", (architecture, "even"), rows, leading_shape=shape, batch_size=batch,
            num_queries=positions, **sizes, **mlps,
        )  # fmt: skip


def decoder_layers(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    # Prompts, single tokens behind a prompt, and chunks of a prompt: sequences, new positions, and cached ones before.
    for batch, positions, cached in ((3, 7, 0), (2, 11, 0), (1, 1, 0), (3, 1, 7), (1, 1, 12), (3, 5, 9), (1, 13, 2)):
        yield make_cached("LlamaFlashAttention2", architecture, (0,), batch, positions, cached)
        last = architecture.num_hidden_layers - 1
        for index, is_sparse in ((0, False), (last, True)):
            yield make_cached(
                "DeepseekV2DecoderLayer", architecture, (index, "even"), batch, positions, cached, is_sparse=is_sparse
            )


def make_cached(
    name: str,
    architecture: DeepSeekOCRArchitecture,
    arguments: tuple[Any, ...],
    batch: int,
    positions: int,
    cached: int,
    **flags: bool,
) -> Case:
    """Return the case of a module that is given positions and a cache with ``cached`` ones before them."""
    memory = build_cache(architecture, batch, cached + positions + 2, dtype=torch.get_default_dtype())
    if cached:
        memory.hold(cached)
    ids = torch.arange(cached, cached + positions, device="meta").expand(batch, -1)
    held = {each.name for each in fields(LAYERS[name])}
    case = make(
        name, (architecture, *arguments), (meta(batch, positions, architecture.hidden_size), ids, memory),
        **{size: value for size, value in architecture.dimension_values().items() if size in held}, **flags,
        batch_size=batch, num_queries=positions, num_keys=cached + positions,
    )  # fmt: skip
    inputs = (meta(batch, positions, architecture.hidden_size), ids, WithoutCache())
    return evolve(
        case,
        cache=memory.tensors,
        train=None if cached else lambda: case.module(*inputs),
    )
