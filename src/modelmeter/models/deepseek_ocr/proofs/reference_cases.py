"""What is traced of the reference model: all metrics of prompts, pages, decode steps, experts and windows."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from types import SimpleNamespace
from typing import cast

import sympy
import torch
from sympy.core.relational import Relational
from torch import Tensor

from modelmeter.dimensions.functions import Size
from modelmeter.models.deepseek_ocr import vision_tokens
from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS, DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import (
    BATCH_SIZE,
    CACHED_TOKENS,
    CHUNK_TOKENS,
    EVERY_PROMPT,
    EVERY_STEP,
    NO_TILES,
    ONE_CALL,
    PROMPT,
    STEP,
    TEXT_TOKENS,
    Least,
    Sizes,
    patch_size_of,
    positive,
)
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.models.deepseek_ocr.reference_decoder import DeepseekV2MoE
from modelmeter.models.deepseek_ocr.reference_vision import Block, PatchEmbed
from modelmeter.verify.case import Case
from modelmeter.verify.guards import LEAST_SIZE
from modelmeter.verify.integer_facts import Domain, resolve
from modelmeter.verify.symbolic_trace import Forward, TorchSize, TorchSizes, trace_everything


def make_prefill_case(
    architecture: DeepSeekOCRArchitecture, symbolic: Sizes | None = None, *, least: Least = EVERY_PROMPT
) -> Case:
    """Return the case of a prompt without images; ``symbolic`` are sizes of the architecture to trace as symbols."""
    sizes = {**(symbolic or {}), **PROMPT}
    return Case(
        name="prefill",
        trace=trace_everything,
        inputs=sizes,
        build=lambda sizes: _prefill(architecture, sizes),
        sizes=sizes,
        stages=("prefill",),
        least=least,
    )


def make_decode_case(
    architecture: DeepSeekOCRArchitecture, symbolic: Sizes | None = None, *, least: Least = EVERY_STEP
) -> Case:
    """Return the case of a decode step."""
    return Case(
        name="decode step",
        trace=trace_everything,
        inputs={**(symbolic or {}), "batch_size": BATCH_SIZE, "cached_tokens": CACHED_TOKENS},
        build=lambda sizes: _decode(architecture, sizes),
        sizes={**(symbolic or {}), **STEP},
        stages=("decode",),
        least=least,
    )


def make_chunk_case(architecture: DeepSeekOCRArchitecture, *, least: Least | None = None) -> Case:
    """Return the case of a chunk of a prompt behind positions that are cached."""
    sizes = {"batch_size": BATCH_SIZE, "seq_len": CHUNK_TOKENS, "cached_tokens": CACHED_TOKENS}

    def build(sizes: TorchSizes) -> Forward:
        positions, cached = sizes["seq_len"], sizes["cached_tokens"]
        model, cache = _build(architecture, sizes, capacity=cached + positions)
        cache.hold(cast(int, cached))
        tokens = torch.empty(sizes["batch_size"], positions, dtype=torch.int64)
        return Forward(model=model, run=lambda: model(tokens, cache), cache=cache.tensors)

    return Case(
        name="chunk of a prefill",
        trace=trace_everything,
        inputs=sizes,
        build=build,
        sizes={**sizes, "logits_tokens": CHUNK_TOKENS},
        stages=("prefill",),
        least=least or {},
    )


def make_page_case(
    architecture: DeepSeekOCRArchitecture,
    base_size: Size,
    *,
    batch_size: Size = BATCH_SIZE,
    num_calls: int = 1,
    images_per_prompt: int = 1,
    tiles: Sizes | None = None,
    symbolic: Sizes | None = None,
    least: Least | None = None,
    assumed: tuple[Relational, ...] = (),
) -> Case:
    """Return the case of a page in a prompt with ``text_tokens`` besides: all stages but the decode.

    Parameters
    ----------
    base_size
        Pixels: a number, or a polynomial for which the grid sizes are polynomials too.
    batch_size, num_calls
        Pages that share a call of the towers, and how many calls there are for one image of each prompt.
    images_per_prompt
        Images of each prompt.
    tiles
        ``image_size``, ``num_width_tiles`` and ``num_height_tiles``, if there are any.
    """
    symbolic = symbolic or {}
    page = {"base_size": base_size, "image_size": 1, **NO_TILES, **(tiles or {})}
    image_tokens = vision_tokens.image_tokens(**page, patch_size=patch_size_of(architecture, symbolic))
    ranges = dict.fromkeys(sympy.sympify(image_tokens).free_symbols, LEAST_SIZE)
    sizes = {
        **symbolic,
        "batch_size": num_calls * batch_size,
        "vision_batch_size": batch_size,
        "images_per_prompt": images_per_prompt,
        **page,
        "seq_len": images_per_prompt * resolve(image_tokens, Domain(least=ranges)) + TEXT_TOKENS,
        "logits_tokens": TEXT_TOKENS,
    }
    return Case(
        name=f"page of {base_size} pixels, {page['num_width_tiles']} x {page['num_height_tiles']} tiles"
        + (f", {images_per_prompt} images, {num_calls} calls" if images_per_prompt * num_calls > 1 else ""),
        trace=trace_everything,
        inputs={**sizes, "num_calls": num_calls},
        build=lambda sizes: _prefill(architecture, sizes),
        sizes=sizes,
        stages=("vision", "projector", "prefill"),
        least=least or {},
        assumed=assumed,
    )


def list_experts_cases(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    """Yield the cases of one mixture of experts: every number of tokens, by the remainder that some experts take."""
    period = architecture.n_routed_experts // gcd(architecture.n_routed_experts, architecture.num_experts_per_tok)
    n = positive("n")
    for residue in range(period):
        yield make_experts_case(architecture, period * n + residue, least={n: 0 if residue else 1})


def make_experts_case(architecture: DeepSeekOCRArchitecture, num_tokens: Size, *, least: Least | None = None) -> Case:
    """Return the case of the first mixture of experts on ``num_tokens`` tokens."""

    def build(sizes: TorchSizes) -> Forward:
        model = DeepseekV2MoE(architecture, "even").eval()
        tokens = torch.empty(sizes["num_tokens"], architecture.hidden_size)
        return Forward(model=model, run=lambda: model(tokens))

    return Case(
        name=f"experts on {num_tokens} tokens",
        trace=trace_everything,
        inputs={"num_tokens": num_tokens},
        build=build,
        sizes={"batch_size": num_tokens, "seq_len": 1},
        stages=("prefill",),
        root=f"model.layers.{architecture.first_k_dense_replace}.mlp",
        least=least or {},
    )


def make_window_case(architecture: DeepSeekOCRArchitecture, symbolic: Sizes, grid_size: Size, *, least: Least) -> Case:
    """Return the case of the first SAM block, on its own: one with windows."""

    def build(sizes: TorchSizes) -> Forward:
        resized = _resize(architecture, sizes)
        model = Block(resized, is_global=False).eval()
        grid = sizes["grid_size"]
        features = torch.empty(sizes["batch_size"], grid, grid, resized.sam_hidden_size)
        return Forward(model=model, run=lambda: model(features))

    return Case(
        name=f"windows on a grid of {grid_size}",
        trace=trace_everything,
        inputs={**symbolic, "batch_size": BATCH_SIZE, "grid_size": grid_size},
        build=build,
        sizes={
            **symbolic,
            **ONE_CALL,
            "base_size": sympy.expand(grid_size * architecture.sam_patch_size),
        },
        stages=("vision",),
        root="model.sam_model.blocks.0",
        least=least,
    )


def list_patch_cases(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    """Yield the cases of the patch embedding on sides that are no multiple of the patch size.

    It alone reads the pixels; what follows sees only whole patches.
    """
    n = positive("n")

    def build(sizes: TorchSizes) -> Forward:
        model = PatchEmbed(architecture.sam_patch_size, architecture.sam_hidden_size).eval()
        views = _make_views(sizes["batch_size"], sizes["base_size"])
        return Forward(model=model, run=lambda: model(views))

    for rest in range(1, architecture.sam_patch_size):
        sizes = {"batch_size": BATCH_SIZE, "base_size": architecture.sam_patch_size * n + rest}
        yield Case(
            name=f"patches of {sizes['base_size']} pixels",
            trace=trace_everything,
            inputs=sizes,
            build=build,
            sizes={**sizes, **ONE_CALL},
            stages=("vision",),
            root="model.sam_model.patch_embed",
            least={BATCH_SIZE: 1, n: 1},
        )


def _prefill(architecture: DeepSeekOCRArchitecture, sizes: TorchSizes) -> Forward:
    batch_size, seq_len = sizes["batch_size"], sizes["seq_len"]
    model, cache = _build(architecture, sizes, capacity=seq_len)
    tokens = torch.empty(batch_size, seq_len, dtype=torch.int64)
    tile_grid = (sizes.get("num_width_tiles", 0), sizes.get("num_height_tiles", 0))

    def make_views() -> Iterator[Tensor]:
        calls, pages = sizes.get("num_calls", 1), sizes.get("vision_batch_size", batch_size)
        for _ in range(cast(int, calls * sizes["images_per_prompt"])):
            # A grid of one tile stands for none.
            if tile_grid[0] * tile_grid[1] > 1:
                yield _make_views(pages * tile_grid[0] * tile_grid[1], sizes["image_size"])
            yield _make_views(pages, sizes["base_size"])

    def run() -> None:
        # The model says int; a symbolic size behaves like one.
        model(
            tokens,
            cache,
            views=make_views if "base_size" in sizes else None,
            tile_grid=cast(tuple[int, int], tile_grid),
            images_per_prompt=cast(int, sizes.get("images_per_prompt", 1)),
            logits_tokens=cast(int, sizes["logits_tokens"]),
        )

    return Forward(model=model, run=run, cache=cache.tensors)


def _decode(architecture: DeepSeekOCRArchitecture, sizes: TorchSizes) -> Forward:
    model, cache = _build(architecture, sizes, capacity=sizes["cached_tokens"] + 1)
    cache.hold(cast(int, sizes["cached_tokens"]))
    tokens = torch.empty(sizes["batch_size"], 1, dtype=torch.int64)
    return Forward(model=model, run=lambda: model(tokens, cache), cache=cache.tensors)


def _build(
    architecture: DeepSeekOCRArchitecture, sizes: TorchSizes, *, capacity: TorchSize
) -> tuple[DeepseekOCRForCausalLM, KeyValueCache]:
    """Build the model and a cache for it, in the type that the trace has made the default."""
    resized = _resize(architecture, sizes)
    cache = KeyValueCache(
        resized,
        batch_size=cast(int, sizes["batch_size"]),
        capacity=cast(int, capacity),
        device="meta",
        dtype=torch.get_default_dtype(),
    )
    return DeepseekOCRForCausalLM(resized, "even").eval(), cache


def _resize(architecture: DeepSeekOCRArchitecture, sizes: TorchSizes) -> DeepSeekOCRArchitecture:
    """Return the architecture with those of ``sizes`` in it that it has, and without its checks: they want ints."""
    dimensions = architecture.dimension_values()
    changed = {name: size for name, size in sizes.items() if name in dimensions}
    indexes = architecture.sam_global_attn_indexes
    return cast(DeepSeekOCRArchitecture, SimpleNamespace(**{**dimensions, **changed}, sam_global_attn_indexes=indexes))


def _make_views(views: TorchSize, side: TorchSize) -> Tensor:
    return torch.empty(views, IMAGE_CHANNELS, side, side)
