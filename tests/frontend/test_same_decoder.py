"""The decoder of DeepSeek-OCR as transformers has it, traced, against the layers that were written by hand.

``unlimited_ocr`` with full attention is the same decoder in another implementation. Where both do the same, the
difference of their formulas is 0; ``docs/cards.md`` says where they differ, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sympy

import modelmeter
from modelmeter.frontend.cards.card import Card
from modelmeter.model.registry import forget_model

FLOWS = ("tensor_core_flops", "cuda_core_flops", "io_bytes", "activation_bytes", "kv_cache_bytes")

CARD = Card(
    name="traced-decoder",
    title="Traced decoder",
    model_type="unlimited_ocr",
    class_name="UnlimitedOcrForConditionalGeneration",
    config={"text_config": {"layer_types": ["full_attention"] * 12}},
)

MLP = ("", ".gate_proj", ".up_proj", ".down_proj", ".act_fn")
SAME = {
    "model.embed_tokens", "model.norm", "lm_head", "model.layers.sparse.mlp.gate",
    *(f"model.layers.dense.mlp{name}" for name in MLP),
    *(f"model.layers.sparse.mlp.shared_experts{name}" for name in MLP),
    *(
        f"model.layers.{kind}{name}"
        for kind in ("dense", "sparse")
        for name in (
            "", ".input_layernorm", ".post_attention_layernorm", ".self_attn.q_proj", ".self_attn.k_proj",
            ".self_attn.v_proj", ".self_attn.o_proj",
        )
    ),
}  # fmt: skip
"""Modules that do the same, down to the last byte."""

APART = {
    "", "model", "model.rotary_emb", "model.layers.sparse.mlp", "model.layers.sparse.mlp.experts",
    *(f"model.layers.{kind}.self_attn{name}" for kind in ("dense", "sparse") for name in ("", ".rotary_emb")),
    *(f"model.layers.sparse.mlp.experts.0-63{name}" for name in MLP),
}  # fmt: skip
"""Modules that differ: masks, rotations and the routing to the experts."""


@pytest.fixture(scope="module")
def traced() -> Iterator[Any]:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_card

    yield compile_card(CARD, points=0).compiled
    forget_model("traced-decoder")


@pytest.fixture(scope="module")
def written() -> Any:
    return modelmeter.load("deepseek-ocr")


def rename(size: Any, written: Any) -> sympy.Expr:
    """Return a formula in symbols that differ by name only, at the published sizes and with logits of one position."""
    numbers = {**written.architecture.dimension_values(), "logits_tokens": 1}
    formula = sympy.sympify(size)
    values = {
        symbol: sympy.Integer(numbers[symbol.name])
        if symbol.name in numbers
        else sympy.Symbol(symbol.name, integer=True, positive=True)
        for symbol in formula.free_symbols
    }
    return formula.xreplace(values)


def name_place(path: str) -> str:
    path = path.replace("model.language_model", "model")
    for number, kind in (("0", "dense"), ("1-11", "sparse")):
        path = f"{path}.".replace(f"model.layers.{number}.", f"model.layers.{kind}.").removesuffix(".")
    return path


def subtract(traced: Any, written: Any, stage: str) -> dict[str, dict[str, sympy.Expr]]:
    """Return by module and metric what the traced decoder has more."""
    found: dict[str, dict[str, sympy.Expr]] = {}
    for sign, model in ((1, traced), (-1, written)):
        for row in model.operators(stage):
            sums = found.setdefault(name_place(row.path), dict.fromkeys(FLOWS, sympy.S.Zero))
            for metric in FLOWS:
                sums[metric] += sign * rename(getattr(row.cost, metric), written)
    return {path: {metric: sympy.expand(size) for metric, size in sums.items()} for path, sums in found.items()}


@pytest.mark.parametrize("stage", ["prefill", "decode"])
def test_modules_that_do_the_same_have_the_same_formulas(traced: Any, written: Any, stage: str) -> None:
    differences = subtract(traced, written, stage)
    assert {path for path, sums in differences.items() if not any(sums.values())} == SAME
    assert differences.keys() == SAME | APART


@pytest.mark.parametrize(("stage", "positions"), [("prefill", "seq_len"), ("decode", "decode_steps")])
def test_matrix_products_differ_by_the_rotation_of_each_layer(
    traced: Any, written: Any, stage: str, positions: str
) -> None:
    """Ours, as the vendor's code, multiplies positions with 64 frequencies as matrices, in each of 12 layers."""
    ours, theirs = (rename(model.formula(stage, "tensor_core_flops"), written) for model in (written, traced))
    batch, tokens = (sympy.Symbol(name, integer=True, positive=True) for name in ("batch_size", positions))
    assert sympy.expand(ours - theirs - 12 * 2 * 64 * batch * tokens) == 0


@pytest.mark.parametrize("stage", ["prefill", "decode"])
def test_all_experts_together_multiply_the_same_and_the_cache_holds_the_same(
    traced: Any, written: Any, stage: str
) -> None:
    differences = subtract(traced, written, stage)
    experts = [sums for path, sums in differences.items() if path.startswith("model.layers.sparse.mlp.experts")]
    assert sympy.expand(sum(sums["tensor_core_flops"] for sums in experts)) == 0
    ours, theirs = (rename(model.formula(stage, "kv_cache_bytes"), written) for model in (written, traced))
    assert sympy.expand(ours - theirs) == 0
