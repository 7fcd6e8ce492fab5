"""What is traced of the transformers implementation: the matrix products of the same prompts, steps and views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from attrs import evolve
from sympy.core.relational import Relational

from modelmeter.dimensions.functions import Size
from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS, DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs import reference_cases
from modelmeter.models.deepseek_ocr.proofs.oracle import build_oracle, symbolic_integers
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import (
    BATCH_SIZE,
    EVERY_PROMPT,
    EVERY_STEP,
    ONE_CALL,
    Least,
    Sizes,
)
from modelmeter.verify.case import Case
from modelmeter.verify.symbolic_trace import Forward, TorchSizes, trace_matrix_products


def make_prefill_case(
    architecture: DeepSeekOCRArchitecture,
    symbolic: Sizes | None = None,
    *,
    least: Least = EVERY_PROMPT,
    assumed: tuple[Relational, ...] = (),
) -> Case:
    """Return the case of a prompt without images; ``symbolic`` are sizes of the architecture to trace as symbols."""

    def build(sizes: TorchSizes) -> Forward:
        model: Any = build_oracle(architecture, sizes)
        tokens = torch.empty(sizes["batch_size"], sizes["seq_len"], dtype=torch.int64)

        def run() -> None:
            states = model.model(input_ids=tokens).last_hidden_state
            model.lm_head(states[:, sizes["seq_len"] - sizes["logits_tokens"] :])

        return Forward(model=model, run=run)

    case = reference_cases.make_prefill_case(architecture, symbolic, least=least)
    return _run_in_transformers(case, build, assumed=assumed)


def make_decode_case(
    architecture: DeepSeekOCRArchitecture,
    symbolic: Sizes | None = None,
    *,
    least: Least = EVERY_STEP,
    assumed: tuple[Relational, ...] = (),
) -> Case:
    """Return the case of a decode step."""

    def build(sizes: TorchSizes) -> Forward:
        from transformers import DynamicCache

        model: Any = build_oracle(architecture, sizes)
        text = model.config.text_config
        cached = torch.empty(sizes["batch_size"], text.num_key_value_heads, sizes["cached_tokens"], text.head_dim)
        cache = DynamicCache()
        for index in range(architecture.num_hidden_layers):
            cache.update(cached, cached, index)
        tokens = torch.empty(sizes["batch_size"], 1, dtype=torch.int64)

        def run() -> None:
            model.lm_head(model.model(input_ids=tokens, past_key_values=cache).last_hidden_state)

        return Forward(model=model, run=run)

    case = reference_cases.make_decode_case(architecture, symbolic, least=least)
    return _run_in_transformers(case, build, assumed=assumed)


def make_views_case(
    architecture: DeepSeekOCRArchitecture,
    base_size: Size,
    *,
    symbolic: Sizes | None = None,
    least: Least | None = None,
    assumed: tuple[Relational, ...] = (),
) -> Case:
    """Return the case of the vision towers and the projector on square views of ``base_size`` pixels."""

    def build(sizes: TorchSizes) -> Forward:
        model: Any = build_oracle(architecture, sizes)
        views = torch.empty(sizes["batch_size"], IMAGE_CHANNELS, sizes["base_size"], sizes["base_size"])

        def run() -> None:
            with symbolic_integers():
                model.model.multi_modal_projector(model.model.vision_tower(views).last_hidden_state)

        return Forward(model=model, run=run)

    inputs = {**(symbolic or {}), "batch_size": BATCH_SIZE, "base_size": base_size}
    return Case(
        name=f"views of {base_size} pixels in transformers",
        trace=trace_matrix_products,
        inputs=inputs,
        build=build,
        sizes={**inputs, **ONE_CALL},
        stages=("vision", "projector"),
        least=least or {},
        assumed=assumed,
    )


def make_window_case(architecture: DeepSeekOCRArchitecture, symbolic: Sizes, grid_size: Size, *, least: Least) -> Case:
    """Return the case of the first SAM layer, on its own: one with windows."""

    def build(sizes: TorchSizes) -> Forward:
        whole: Any = build_oracle(architecture, sizes)
        model = whole.model.vision_tower.sam_encoder
        grid = sizes["grid_size"]
        features = torch.empty(sizes["batch_size"], grid, grid, model.config.hidden_size)

        def run() -> None:
            with symbolic_integers():
                model.layers[0](features)

        return Forward(model=model.layers[0], run=run)

    case = reference_cases.make_window_case(architecture, symbolic, grid_size, least=least)
    return _run_in_transformers(case, build)


def _run_in_transformers(
    case: Case, build: Callable[[TorchSizes], Forward], *, assumed: tuple[Relational, ...] = ()
) -> Case:
    """Return the case of the same sizes, of which the transformers implementation has the forward."""
    name = f"{case.name} in transformers"
    return evolve(case, name=name, trace=trace_matrix_products, build=build, assumed=assumed)
