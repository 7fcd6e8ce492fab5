"""The independent implementation of the same model in the transformers package, for traces.

Its sizes can be symbols, which its configuration would not accept: they are written past its checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.support.errors import CountError
from modelmeter.verify.proof import Counterparts
from modelmeter.verify.symbolic_trace import TorchSizes

TEXT_KEYS = {
    name: name
    for name in (
        "vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "n_routed_experts", "n_shared_experts", "num_experts_per_tok",
    )
}  # fmt: skip
SAM_KEYS = {
    "sam_image_size": "image_size",
    "sam_patch_size": "patch_size",
    "sam_hidden_size": "hidden_size",
    "sam_num_hidden_layers": "num_hidden_layers",
    "sam_num_attention_heads": "num_attention_heads",
    "sam_intermediate_size": "mlp_dim",
    "sam_window_size": "window_size",
    "sam_neck_channels": "output_channels",
}
CLIP_KEYS = {
    "clip_image_size": "image_size",
    "clip_patch_size": "patch_size",
    "clip_hidden_size": "hidden_size",
    "clip_num_hidden_layers": "num_hidden_layers",
    "clip_num_attention_heads": "num_attention_heads",
    "clip_intermediate_size": "intermediate_size",
}
"""Our dimensions, and the keys of the three parts of its configuration."""

_SAM, _CLIP, _DECODER = "model.vision_tower.sam_encoder", "model.vision_tower.vision_encoder", "model.language_model"

_RENAMED = (
    (r"model\.sam_model\.patch_embed\.proj", rf"{_SAM}.patch_embed.projection"),
    (r"model\.sam_model\.blocks\.(\d+)\.norm(\d)", rf"{_SAM}.layers.\1.layer_norm\2"),
    (r"model\.sam_model\.blocks", rf"{_SAM}.layers"),
    (r"model\.sam_model\.neck\.0", rf"{_SAM}.neck.conv1"),
    (r"model\.sam_model\.neck\.1", rf"{_SAM}.neck.layer_norm1"),
    (r"model\.sam_model\.neck\.2", rf"{_SAM}.neck.conv2"),
    (r"model\.sam_model\.neck\.3", rf"{_SAM}.neck.layer_norm2"),
    (r"model\.sam_model\.net_2", rf"{_SAM}.proj.conv1"),
    (r"model\.sam_model\.net_3", rf"{_SAM}.proj.conv2"),
    (r"model\.sam_model", _SAM),
    (r"model\.vision_model\.transformer", rf"{_CLIP}.encoder"),
    (r"model\.vision_model", _CLIP),
    (r"model\.projector(\.layers)?", "model.multi_modal_projector"),
    (r"model\.(embed_tokens|layers|norm)", rf"{_DECODER}.\1"),
)
"""What it calls our modules; the first pattern that matches the start of a path counts."""

_WITHOUT_COUNTERPART = (r"\.mlp\.experts\.\d", r"\.embeddings\.patch_embedding$", r"\.mlp\.act(_fn)?$")
"""Its experts are one module, it leaves out the convolution that is never called, and activations have no products."""


def find_counterparts(path: str) -> tuple[str, ...]:
    """Return the paths of its modules that do the work of our module at ``path``."""
    if any(re.search(pattern, path) for pattern in _WITHOUT_COUNTERPART):
        return ()
    renamed = path
    for pattern, replacement in _RENAMED:
        renamed, found = re.subn(rf"^{pattern}(?=\.|$)", replacement, path)
        if found:
            break
    if renamed.endswith(".qkv_proj"):
        return tuple(f"{renamed.removesuffix('qkv_proj')}{letter}_proj" for letter in "qkv")
    return (renamed,)


TRANSFORMERS = Counterparts(
    implementation="transformers",
    find=find_counterparts,
    left_out=("LlamaRotaryEmbedding",),
    note="without the rotary frequency products, which transformers does elementwise and once for all layers",
)


def build_oracle(architecture: DeepSeekOCRArchitecture, sizes: TorchSizes) -> nn.Module:
    """Build it with full attention in every layer and every token's experts in one batched product.

    Parameters
    ----------
    architecture
        Its sizes.
    sizes
        Dimensions in it that are something else; other names do no harm.

    Raises
    ------
    CountError
        If the transformers package is missing, or has no such model.
    """
    try:
        from transformers import UnlimitedOcrConfig, UnlimitedOcrForConditionalGeneration
        from transformers.initialization import no_init_weights
    except ImportError as error:
        raise CountError(
            "the independent implementation is missing", place="transformers", found=error,
            remedy="install transformers 5.10 or later",
        ) from None  # fmt: skip
    numbers = architecture.dimension_values()
    config = UnlimitedOcrConfig(
        text_config={
            **{key: numbers[name] for name, key in TEXT_KEYS.items()},
            "first_k_dense_replace": architecture.first_k_dense_replace,
            "layer_types": ["full_attention"] * architecture.num_hidden_layers,
        },
        vision_config={
            "sam_config": {
                **{key: numbers[name] for name, key in SAM_KEYS.items()},
                "global_attn_indexes": list(architecture.sam_global_attn_indexes),
                "downsample_channels": [architecture.sam_downsample_channels, architecture.clip_hidden_size],
            },
            "encoder_config": {key: numbers[name] for name, key in CLIP_KEYS.items()},
        },
    )
    _write_sizes(config, {**numbers, **sizes})
    config._attn_implementation = "sdpa"
    config._experts_implementation = "batched_mm"
    with no_init_weights():
        model: nn.Module = UnlimitedOcrForConditionalGeneration(config)
    _fix_scales(model)
    return model.eval()


@contextmanager
def symbolic_integers() -> Iterator[None]:
    """Let ``int`` pass symbolic sizes through in its source, where it would pin them."""
    from transformers.models.unlimited_ocr import modeling_unlimited_ocr as source

    def to_integer(value: Any) -> Any:
        return value if isinstance(value, torch.SymInt) else int(value)

    with patch.object(source, "int", to_integer, create=True):
        yield


def _fix_scales(model: nn.Module) -> None:
    """Replace the symbolic factors of attention scores: attention wants a number, and no size depends on it."""
    for module in model.modules():
        for name in ("scale", "scaling"):
            if isinstance(getattr(module, name, None), torch.SymFloat):
                setattr(module, name, 1.0)


def _write_sizes(config: Any, sizes: TorchSizes) -> None:
    """Write sizes past the checks of the configuration, which only take ints."""
    text, vision = config.text_config, config.vision_config
    for part, keys in ((text, TEXT_KEYS), (vision.sam_config, SAM_KEYS), (vision.encoder_config, CLIP_KEYS)):
        part.__dict__.update({key: sizes[name] for name, key in keys.items()})
    text.__dict__["head_dim"] = sizes["hidden_size"] // sizes["num_attention_heads"]
    vision.sam_config.__dict__["downsample_channels"] = [sizes["sam_downsample_channels"], sizes["clip_hidden_size"]]
