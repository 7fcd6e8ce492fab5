"""Every vendor class: its layer against a counted forward of the torch module, with difference 0.

Each class has cases at two sizes or more, and every size of it is varied, so that neither a swapped dimension nor a
swapped exponent can pass. Experts take even shares.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import chain
from typing import Any

import pytest
import torch
from attrs import evolve, fields, frozen
from torch import Tensor, nn

from modelmeter.layers.base import BaseLayer
from modelmeter.models.deepseek_ocr import layers as vendor_layers
from modelmeter.models.deepseek_ocr import reference, reference_decoder, reference_vision
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import build_layers, symbolic_sizes
from modelmeter.symbols import symbol


def find_vendor_classes() -> dict[str, type[BaseLayer]]:
    """Return every layer class that is defined below ``models.deepseek_ocr.layers``, by name."""
    names = [module.name for module in pkgutil.walk_packages(vendor_layers.__path__, f"{vendor_layers.__name__}.")]
    return {
        found.__name__: found
        for name in names
        for _, found in inspect.getmembers(import_module(name), inspect.isclass)
        if issubclass(found, BaseLayer) and found.__module__ == name
    }


LAYERS = find_vendor_classes()
TORCH_CLASSES = {**vars(reference_vision), **vars(reference_decoder), **vars(reference), "LMHead": nn.Linear}

NO_TORCH_MODULES = {"DecoderStack", "VisionTower"}
"""Parts of ``DeepseekOCRModel``, which has their children and operators; its cases are theirs."""

GROUPED = DeepSeekOCRArchitecture(
    hidden_size=42, intermediate_size=37, moe_intermediate_size=11, num_hidden_layers=4, first_k_dense_replace=1,
    # 3 query heads of 14 channels share 1 head of keys and values.
    num_attention_heads=3, num_key_value_heads=1, n_routed_experts=5, n_shared_experts=2, num_experts_per_tok=3,
    # 7 patches a side, and 3 pixels left over; CLIP has 3 positions a side, and 2 pixels left over.
    vocab_size=53, sam_image_size=38, sam_patch_size=5, sam_hidden_size=33, sam_num_hidden_layers=5,
    sam_global_attn_indexes=(1, 4), sam_num_attention_heads=3, sam_intermediate_size=29, sam_window_size=3,
    sam_neck_channels=13, sam_downsample_channels=17, clip_image_size=23, clip_patch_size=7, clip_hidden_size=55,
    clip_num_hidden_layers=2, clip_num_attention_heads=5, clip_intermediate_size=31,
)  # fmt: skip
UNGROUPED = DeepSeekOCRArchitecture(
    hidden_size=50, intermediate_size=61, moe_intermediate_size=19, num_hidden_layers=5, first_k_dense_replace=3,
    # As many heads of keys and values as of queries.
    num_attention_heads=5, num_key_value_heads=5, n_routed_experts=7, n_shared_experts=1, num_experts_per_tok=2,
    # 11 patches a side; CLIP has 5 positions a side.
    vocab_size=41, sam_image_size=46, sam_patch_size=4, sam_hidden_size=35, sam_num_hidden_layers=3,
    sam_global_attn_indexes=(2,), sam_num_attention_heads=7, sam_intermediate_size=43, sam_window_size=5,
    sam_neck_channels=11, sam_downsample_channels=23, clip_image_size=16, clip_patch_size=3, clip_hidden_size=39,
    clip_num_hidden_layers=3, clip_num_attention_heads=3, clip_intermediate_size=47,
)  # fmt: skip
ARCHITECTURES = (GROUPED, UNGROUPED)
COLOURS = 3


@frozen(kw_only=True)
class Case:
    """A layer in symbols, a value for each, and a forward of the torch module at these, which reads ``inputs``.

    ``train`` is the forward of a training step, which keeps no cache, where there is one.
    """

    label: str
    layer: BaseLayer
    sizes: dict[str, int]
    module: nn.Module
    forward: Callable[[], Any]
    inputs: tuple[Tensor, ...] = ()
    cache: tuple[Tensor, ...] = ()
    stored: tuple[Tensor, ...] | None = None
    train: Callable[[], Any] | None = None


def meta(*shape: int) -> Tensor:
    """Return features, which want a gradient in a backward."""
    return torch.empty(shape, dtype=torch.bfloat16, device="meta", requires_grad=True)


def image(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.bfloat16, device="meta")


def ids_on_meta(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.int64, device="meta")


def make(
    name: str,
    arguments: tuple[Any, ...],
    inputs: tuple[Any, ...],
    *,
    options: dict[str, Any] | None = None,
    **sizes: Any,
) -> Case:
    """Return the case of the torch module ``name(*arguments, **options)`` that is given ``inputs``.

    ``sizes`` are the values of the canonical layer's symbols; what is no number replaces a field of that layer.
    """
    with torch.device("meta"):
        module = TORCH_CLASSES[name](*arguments, **(options or {})).to(torch.bfloat16).eval()
    numbers = {key: size for key, size in sizes.items() if type(size) is int}
    layer = evolve(LAYERS[name].canonical(), **{key: sizes[key] for key in sizes.keys() - numbers.keys()})
    label = ", ".join(f"{key} {size}" for key, size in sizes.items() if key not in DeepSeekOCRArchitecture.__slots__)
    plain = [given.detach() if isinstance(given, Tensor) else given for given in inputs]
    return Case(
        label=label,
        layer=layer,
        sizes=numbers,
        module=module,
        forward=lambda: module(*plain),
        inputs=tuple(each for each in plain if isinstance(each, Tensor) and each.is_floating_point()),
        train=lambda: module(*inputs),
    )


# --- the vision towers -------------------------------------------------------------------------------------


def vision_leaves() -> Iterator[Case]:
    for views, side, patch, width in ((2, 38, 5, 33), (3, 56, 7, 11)):
        yield make(
            "PatchEmbed", (patch, width), (image(views, COLOURS, side, side),), num_views=views, view_size=side,
            patch_size=patch, image_channels=COLOURS, hidden_size=width,
        )  # fmt: skip
    for views, channels, grid in ((2, 5, 7), (3, 11, 4)):
        pixels = meta(views, channels, grid, grid)
        yield make("LayerNorm2d", (channels,), (pixels,), num_views=views, out_channels=channels, grid_size=grid)
    for tokens, inner, outer in ((6, 5, 7), (13, 11, 3)):
        rows, widths = (meta(tokens, inner),), {"num_tokens": tokens, "hidden_size": inner, "intermediate_size": outer}
        yield make("MLPBlock", (inner, outer), rows, **widths)
        yield make("NoTPFeedForward", (inner, outer), rows, **widths)
        yield make("MlpProjector", (inner, outer), rows, num_tokens=tokens, in_features=inner, out_features=outer)
    for views, queries, width, heads in ((2, 7, 15, 3), (3, 11, 10, 5)):
        yield make(
            "NoTPAttention", (width, heads), (meta(views, queries, width),), num_views=views, num_queries=queries,
            hidden_size=width, num_heads=heads,
        )  # fmt: skip
    # The window is what the table was trained at, or smaller, or larger: then the table is resized.
    for windows, side, trained, width, heads in (
        (2, 7, 7, 15, 3),
        (3, 5, 11, 14, 7),
        (1, 13, 4, 33, 11),
        (5, 1, 2, 9, 3),
    ):
        yield make(
            "Attention", (width, heads, trained), (meta(windows, side, side, width),), num_windows=windows,
            window_size=side, pretrain_grid_size=trained, hidden_size=width, num_heads=heads,
        )  # fmt: skip


def sam(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    width, window, patch = architecture.sam_hidden_size, architecture.sam_window_size, architecture.sam_patch_size
    trained = architecture.sam_image_size // patch
    sizes = {
        "hidden_size": width, "num_heads": architecture.sam_num_attention_heads,
        "intermediate_size": architecture.sam_intermediate_size,
    }  # fmt: skip
    # A grid in one window with padding, in whole windows, in windows with padding, and as it was trained.
    for views, grid in ((5, window - 1), (3, 3 * window), (2, 2 * window + 1), (2, trained)):
        for is_global, window_size, table in ((False, window, window), (True, grid, trained)):
            yield make(
                "Block", (architecture,), (meta(views, grid, grid, width),), options={"is_global": is_global},
                num_views=views, grid_size=grid, window_size=window_size, pretrain_grid_size=table, **sizes,
            )  # fmt: skip
    for views, side in ((2, patch * trained + 1), (3, patch * (trained + 2)), (1, patch * 2 * trained - 1)):
        yield make(
            "ImageEncoderViT", (architecture,), (image(views, COLOURS, side, side),), num_views=views, view_size=side,
            image_channels=COLOURS, patch_size=patch, pretrain_grid_size=trained, window_size=window,
            num_layers=architecture.sam_num_hidden_layers, num_global_layers=architecture.sam_num_global_layers,
            neck_channels=architecture.sam_neck_channels, downsample_channels=architecture.sam_downsample_channels,
            out_channels=architecture.clip_hidden_size, **sizes,
        )  # fmt: skip


def clip(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    width, patch = architecture.clip_hidden_size, architecture.clip_patch_size
    trained = architecture.clip_image_size // patch
    stack = {
        "hidden_size": width, "num_heads": architecture.clip_num_attention_heads,
        "intermediate_size": architecture.clip_intermediate_size,
    }  # fmt: skip
    layers = architecture.clip_num_hidden_layers
    for views, queries in ((2, 7), (3, 10)):
        features, shape = (meta(views, queries, width),), {"num_views": views, "num_queries": queries}
        yield make("NoTPTransformerBlock", (architecture,), features, **shape, **stack)
        yield make("NoTPTransformer", (architecture,), features, **shape, **stack, num_layers=layers)
    # As it was trained, then other grids, whose positions are resized.
    for views, grid in ((2, trained), (3, trained + 2), (1, trained - 1)):
        # The pixels are handed on, but nothing looks at them.
        inputs = (image(views, COLOURS, 8, 8), meta(views, width, grid, grid))
        sizes = {
            "num_views": views, "grid_size": grid, "pretrain_grid_size": trained, "patch_size": patch,
            "image_channels": COLOURS,
        }  # fmt: skip
        for case in (
            make("CLIPVisionEmbeddings", (architecture,), inputs, hidden_size=width, **sizes),
            make("VitModel", (architecture,), inputs, **sizes, **stack, num_layers=layers),
        ):
            yield evolve(case, inputs=inputs[1:])


# --- the decoder -------------------------------------------------------------------------------------------


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
            "LlamaRotaryEmbedding", (width,), (ids, torch.bfloat16), batch_size=batch, num_queries=positions,
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
    # Prompts, then single tokens behind a prompt: sequences, new positions, positions cached before.
    for batch, positions, cached in ((3, 7, 0), (2, 11, 0), (1, 1, 0), (3, 1, 7), (1, 1, 12)):
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
    memory = build_cache(architecture, batch, cached + positions + 2)
    memory.advance(cached)
    ids = torch.arange(cached, cached + positions, device="meta").expand(batch, -1)
    held = {each.name for each in fields(LAYERS[name])}
    case = make(
        name, (architecture, *arguments), (meta(batch, positions, architecture.hidden_size), ids, memory),
        **{size: value for size, value in architecture.dimension_values().items() if size in held}, **flags,
        batch_size=batch, num_queries=positions, num_keys=cached + positions,
    )  # fmt: skip
    inputs = (meta(batch, positions, architecture.hidden_size), ids, reference_decoder.WithoutCache())
    return evolve(
        case,
        cache=(*memory.keys, *memory.values),
        train=None if cached else lambda: case.module(*inputs),
    )


def build_cache(architecture: DeepSeekOCRArchitecture, batch: int, capacity: int) -> reference_decoder.KeyValueCache:
    return reference_decoder.KeyValueCache(
        architecture, batch_size=batch, capacity=capacity, device="meta", dtype=torch.bfloat16
    )


# --- the model ---------------------------------------------------------------------------------------------


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
    whole, layers = reference.build_reference(architecture, expert_routing="even"), build_layers(symbolic_sizes())
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
            return module(ids_on_meta(batch, seq_len), reference_decoder.WithoutCache(), **options)

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


PER_ARCHITECTURE = (sam, clip, experts, decoder_layers, models)
CASES = [
    *vision_leaves(),
    *decoder_leaves(),
    *chain.from_iterable(make_cases(architecture) for make_cases in PER_ARCHITECTURE for architecture in ARCHITECTURES),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{type(case.layer).__name__}({case.label})")
def test_the_layer_is_what_the_counted_forward_does(case: Case, check_layer: Callable[..., None]) -> None:
    check_layer(case.layer, case.sizes, case.module, case.forward, cache=case.cache, stored=case.stored)


WITHOUT_BACKWARD = {"LlamaRotaryEmbedding"}
"""Nothing in it wants a gradient."""


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.train and type(case.layer).__name__ not in WITHOUT_BACKWARD],
    ids=lambda case: f"{type(case.layer).__name__}({case.label})",
)
def test_the_backward_of_the_layer_is_what_autograd_does(case: Case, check_training: Callable[..., None]) -> None:
    check_training(case.layer, case.sizes, case.module, case.train)


# --- no class and no size is forgotten ---------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - NO_TORCH_MODULES))
def test_every_class_has_cases_in_which_every_size_of_it_varies(name: str) -> None:
    """A size that never changes could be missing from a formula, or be there with another exponent."""
    cases = [case for case in CASES if type(case.layer) is LAYERS[name]]
    assert len(cases) >= 2
    varied = {size for case in cases for size in case.sizes if case.sizes[size] != cases[0].sizes[size]}
    # Images have three colours. The model without its LM head is run in the prefill only, where there is no step.
    assert cases[0].sizes.keys() - varied <= {"image_channels", "decode_step"}


def test_parts_that_are_no_torch_modules_are_parts_of_the_model() -> None:
    model = build_layers(symbolic_sizes())["prefill"].model
    assert {type(model.vision_layer).__name__, type(model.decoder_layer).__name__} == NO_TORCH_MODULES
    assert not NO_TORCH_MODULES & TORCH_CLASSES.keys()


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_classes_have_the_vendors_names_and_evaluators_the_names_of_their_files(name: str) -> None:
    if name not in NO_TORCH_MODULES:
        assert LAYERS[name].torch_class() == TORCH_CLASSES[name].__name__
    assert LAYERS[name].function_name().replace("_", "") == name.lower()
