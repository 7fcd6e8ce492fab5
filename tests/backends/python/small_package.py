"""A small evaluator package: hand-written formulas with every kind of function, at sizes that tell each other apart."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from sympy import sympify

from modelmeter.analysis.breakdown import OperatorRow, StateRow
from modelmeter.backends.python.render import render_package
from modelmeter.dimensions.functions import (
    Size,
    Triangular,
    ceil_div,
    differs,
    equals,
    exceeds,
    floor_div,
    routed_reads,
)
from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.evaluators.breakdown import BreakdownSpec, ModuleRecord
from modelmeter.evaluators.package import EvaluatorPackage, build_evaluators
from modelmeter.evaluators.signature import Derivation, Parameter
from modelmeter.evaluators.spec import LayerFormula, PackageSpec
from modelmeter.metrics.cost import Cost
from modelmeter.model.definition import DerivedSize
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol
from modelmeter.models.deepseek_ocr.model import MODEL
from modelmeter.models.deepseek_ocr.model_rules import RULES

ARCHITECTURE = {
    "hidden_size": 42, "intermediate_size": 103, "moe_intermediate_size": 17, "num_hidden_layers": 5,
    "first_k_dense_replace": 2, "num_attention_heads": 3, "num_key_value_heads": 1, "n_routed_experts": 11,
    "num_experts_per_tok": 4, "vocab_size": 211, "sam_image_size": 9 * 19, "sam_patch_size": 9,
    "sam_hidden_size": 65, "sam_num_attention_heads": 5, "sam_window_size": 7,
}  # fmt: skip

DEFAULTS = {
    "batch_size": 1, "vision_batch_size": 1, "base_size": 175, "image_size": 113, "num_width_tiles": 2,
    "num_height_tiles": 3, "prompt_tokens": 13, "seq_len": 331, "logits_tokens": 331, "decode_steps": 28,
    "max_new_tokens": 29, "weight_bits": 5, "activation_bits": 11, "kv_bits": 3,
}  # fmt: skip


def make_parameter(name: str, default: int, **options: Any) -> Parameter:
    """Return a parameter that is a size of DeepSeek-OCR."""
    return Parameter(name=name, default=default, dimension=DIMENSIONS.describe(name), **options)


def make_spec() -> PackageSpec:
    """Return the formulas of the small package."""
    batch, prompt, steps = symbol("batch_size"), symbol("seq_len"), symbol("decode_steps")
    cells = symbol("num_width_tiles") * symbol("num_height_tiles")
    has_tiles = exceeds(cells, 1)
    pages = symbol("vision_batch_size")
    calls = floor_div(batch, pages)
    views = ((pages, symbol("base_size")), (pages * has_tiles * cells, symbol("image_size")))
    vision = [_view(number, side).scale(calls) for number, side in views]
    base, tile = (_tokens(side) for _, side in views)
    image_tokens = (
        base * (base + 1) + 1 + has_tiles * symbol("num_height_tiles") * tile * (symbol("num_width_tiles") * tile + 1)
    )
    hidden, activations = symbol("hidden_size"), symbol("activation_bits")
    projected = batch * (base**2 + has_tiles * cells * tile**2)
    vision_weights = symbol("sam_hidden_size") * (3 * symbol("sam_patch_size") ** 2 + 1)
    head_dim = floor_div(hidden, symbol("num_attention_heads"))
    kept = 2 * symbol("num_hidden_layers") * symbol("num_key_value_heads") * head_dim * batch
    decoder_weights = _decoder_weights()
    logits = 2 * batch * symbol("logits_tokens") * hidden * symbol("vocab_size")
    attended = steps * prompt + Triangular(steps)
    return PackageSpec(
        model="Small",
        dimensions=DIMENSIONS,
        stages=MODEL.stages,
        training=MODEL.training,
        costs={
            "vision": Cost(
                tensor_core_flops=sum(view.tensor_core_flops for view in vision),
                cuda_core_flops=sum(view.cuda_core_flops for view in vision),
                io_bytes=sum(view.io_bytes for view in vision),
                weight_bytes=bits_to_bytes(vision_weights * symbol("weight_bits")),
                activation_bytes=sum(view.activation_bytes for view in vision),
            ),
            "projector": Cost(
                tensor_core_flops=2 * projected * symbol("sam_hidden_size") * hidden,
                io_bytes=bits_to_bytes(projected * hidden * activations),
                weight_bytes=bits_to_bytes(symbol("sam_hidden_size") * hidden * symbol("weight_bits")),
                activation_bytes=bits_to_bytes(batch * image_tokens * hidden * activations),
            ),
            "prefill": _decode_or_prefill(batch * prompt, prompt, extra=logits, kept=kept * prompt),
            "decode": Cost(
                tensor_core_flops=_layer_flops(batch * steps) + 4 * batch * hidden * attended,
                cuda_core_flops=6 * batch * symbol("num_attention_heads") * attended,
                io_bytes=bits_to_bytes(
                    steps * (_routed(batch) * symbol("weight_bits") + (batch + 1) * hidden * activations)
                    + kept * attended * symbol("kv_bits")
                ),
                weight_bytes=bits_to_bytes(decoder_weights * symbol("weight_bits")),
                activation_bytes=bits_to_bytes(batch * hidden * exceeds(steps, 0) * activations),
                kv_cache_bytes=bits_to_bytes(kept * (prompt + steps) * symbol("kv_bits")),
            ),
        },
        training_step=Cost(
            tensor_core_flops=3 * (_layer_flops(batch * prompt) + logits) + 2 * projected * hidden,
            cuda_core_flops=differs(batch, 1) * batch * prompt * hidden,
            io_bytes=bits_to_bytes(2 * _routed(batch * prompt) * symbol("weight_bits") + prompt * hidden * activations),
            weight_bytes=bits_to_bytes((vision_weights + decoder_weights) * symbol("weight_bits")),
            activation_bytes=bits_to_bytes(batch * (prompt + image_tokens) * hidden * activations),
        ),
        layers=(_convolution(),),
        fused_io={
            "vision": bits_to_bytes(3 * calls * (pages * symbol("base_size") ** 2 + vision_weights) * activations),
            "projector": bits_to_bytes(projected * symbol("sam_hidden_size") * activations),
            "prefill": bits_to_bytes(_routed(batch * prompt) * symbol("weight_bits") + 64 * batch * prompt),
            "decode": bits_to_bytes(
                steps * _routed(batch) * symbol("weight_bits") + kept * attended * symbol("kv_bits")
            ),
        },
        peaks=_peaks(),
        derived=(DerivedSize(name="image_tokens", formula=sympify(image_tokens), words="the tokens of a page"),),
        architecture=ARCHITECTURE,
        defaults=DEFAULTS,
        conventions=(
            "One multiply-accumulate is 2 FLOPs.",
            "A second line that says 'quoted' and goes on." + " More of it." * 9,
        ),
        provenance={"source": 'a "test"'},
        rules=RULES,
        pairs=MODEL.pairs,
        routes_experts=True,
        derivations={each.name: Derivation.make(each) for each in MODEL.derivations},
    )


def make_breakdown(spec: PackageSpec) -> BreakdownSpec:
    """Return the breakdown of a package whose only module does everything with one operator a stage."""
    module = ModuleRecord(
        path="model", name="model", class_name="Small", qualified_class_name="small.Small", parent=None,
        repetition="none", repetition_count=1, constructor_params={"hidden_size": 42},
    )  # fmt: skip
    return BreakdownSpec(
        modules=(module,),
        operators=tuple(
            OperatorRow(stage=stage, path="model", class_name="Small", operator="everything", calls=1, cost=cost)
            for stage, cost in spec.costs.items()
        ),
        states=tuple(
            StateRow(
                stage=stage,
                path="model",
                class_name="Small",
                weight_bytes=cost.weight_bytes,
                kv_cache_bytes=cost.kv_cache_bytes,
            )
            for stage, cost in spec.costs.items()
        ),
    )


def build_small_package() -> EvaluatorPackage:
    """Return the evaluators of the small package."""
    spec = make_spec()
    return build_evaluators(spec, make_breakdown(spec))


def render_small_package() -> dict[str, str]:
    """Return the files of the small package."""
    return render_package(build_small_package())


def load_package(directory: Path, files: dict[str, str], name: str) -> ModuleType:
    """Import the files as a package called ``name``, from ``directory``."""
    root = directory / name
    root.mkdir()
    for path, text in files.items():
        (root / path).write_text(text, encoding="utf-8")
    sys.path.insert(0, str(directory))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(directory))


def load_small_package(directory: Path) -> ModuleType:
    """Import the small package."""
    return load_package(directory, render_small_package(), "small_costs")


def _peaks() -> dict[str, tuple[Size, ...]]:
    """Return sums of which each can be the largest; the embeddings of the prompt are alive beside the views."""
    batch, prompt, side, steps = (symbol(name) for name in ("batch_size", "seq_len", "base_size", "decode_steps"))
    hidden, bits = symbol("hidden_size"), symbol("activation_bits")
    held = batch * prompt * hidden
    elements: dict[str, tuple[Size, ...]] = {
        "vision": (held + 3 * batch * side**2, held + 131 * batch * floor_div(side, symbol("sam_patch_size")) ** 2),
        "projector": (2 * held,),
        "prefill": (5 * held, batch * symbol("logits_tokens") * symbol("vocab_size")),
        "decode": (exceeds(steps, 0) * 7 * batch * hidden,),
    }
    return {stage: tuple(bits_to_bytes(sum_ * bits) for sum_ in sums) for stage, sums in elements.items()}


def _tokens(side: Size) -> Size:
    return ceil_div(floor_div(side, symbol("sam_patch_size")), 4)


def _view(views: Size, side: Size) -> Cost:
    """Return an embedding, windowed attention and a resize of ``views`` views."""
    grid, trained = (floor_div(size, symbol("sam_patch_size")) for size in (side, symbol("sam_image_size")))
    window, hidden = symbol("sam_window_size"), symbol("sam_hidden_size")
    windows = ceil_div(grid, window)
    resized = (
        differs(grid, trained) * (grid * (2 * grid - 1) - 1) * floor_div(hidden, symbol("sam_num_attention_heads"))
    )
    padded = differs(windows * window, grid) * views * windows**2 * window**2 * hidden
    table = equals(grid, trained) * grid**2 * hidden
    return Cost(
        tensor_core_flops=2 * views * (3 * side**2 * hidden + 2 * windows**2 * window**4 * hidden + grid**4),
        cuda_core_flops=31 * resized + views * grid**2 * hidden,
        io_bytes=bits_to_bytes(
            (resized + padded + 3 * views * side**2) * symbol("activation_bits") + table * symbol("weight_bits")
        ),
        activation_bytes=bits_to_bytes((resized + padded + 2 * views * grid**2) * symbol("activation_bits")),
    )


def _decoder_weights() -> Size:
    dense = symbol("first_k_dense_replace")
    experts = symbol("n_routed_experts") * symbol("moe_intermediate_size")
    widths = dense * symbol("intermediate_size") + (symbol("num_hidden_layers") - dense) * experts
    return symbol("hidden_size") * (3 * widths + symbol("vocab_size"))


def _routed(tokens: Size) -> Size:
    expert = symbol("hidden_size") * symbol("moe_intermediate_size")
    moe_layers = symbol("num_hidden_layers") - symbol("first_k_dense_replace")
    return 3 * moe_layers * routed_reads(symbol("n_routed_experts"), symbol("num_experts_per_tok"), tokens, expert)


def _layer_flops(tokens: Size) -> Size:
    dense = symbol("first_k_dense_replace")
    chosen = symbol("num_experts_per_tok") * symbol("moe_intermediate_size")
    widths = dense * symbol("intermediate_size") + (symbol("num_hidden_layers") - dense) * chosen
    return 6 * tokens * symbol("hidden_size") * widths


def _decode_or_prefill(tokens: Size, keys: Size, *, extra: Size, kept: Size) -> Cost:
    hidden, weights = symbol("hidden_size"), symbol("weight_bits")
    return Cost(
        tensor_core_flops=_layer_flops(tokens) + 4 * tokens * keys * hidden + extra,
        cuda_core_flops=6 * tokens * keys * symbol("num_attention_heads"),
        io_bytes=bits_to_bytes(_routed(tokens) * weights + 7 * tokens * hidden * symbol("activation_bits")),
        weight_bytes=bits_to_bytes(_decoder_weights() * weights),
        activation_bytes=bits_to_bytes(5 * tokens * hidden * symbol("activation_bits") + 64 * tokens),
        kv_cache_bytes=bits_to_bytes(kept * symbol("kv_bits")),
    )


def _convolution() -> LayerFormula:
    kernel, stride = symbol("kernel_size"), symbol("stride")
    side = floor_div(symbol("height") - kernel + stride, stride)
    output = symbol("batch_size") * symbol("out_channels") * side**2
    return LayerFormula(
        name="square_convolution",
        class_name="SquareConvolution",
        doc="A convolution of square images.",
        cost=Cost(
            tensor_core_flops=2 * output * symbol("in_channels") * kernel**2,
            activation_bytes=bits_to_bytes(output * symbol("activation_bits")),
        ),
        fused_io_bytes=bits_to_bytes(
            (output + symbol("in_channels") * symbol("height") ** 2) * symbol("activation_bits")
        ),
        sizes={
            "batch_size": 3, "in_channels": 5, "out_channels": 7, "height": 31, "kernel_size": 4, "stride": 3,
            "activation_bits": 11,
        },
    )  # fmt: skip
