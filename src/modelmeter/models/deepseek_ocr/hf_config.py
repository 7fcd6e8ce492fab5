"""Read the sizes of a DeepSeek-OCR checkpoint from its ``config.json``, and refuse what the layers do not model.

A key that changes a cost must be there, or have a default that the layers model, and every key that
could change one has a rule below. All other keys (token ids, dtypes, names) are ignored.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NoReturn

from modelmeter import symbols
from modelmeter.errors import ArchitectureError

MAX_CONFIG_BYTES: Final = 2**20
"""Longest file that is read. A checkpoint's config has a few thousand bytes."""

MAX_SIZE: Final = 2**24
"""Largest size that is accepted: a hundred times the largest vocabulary, and far from what torch can count."""

MAX_COUNT: Final = 2**12
"""Most layers or experts that are accepted: each is a module to build and to trace."""

_SAM = "vision_config.width.sam_vit_b"
_CLIP = "vision_config.width.clip-l-14-224"
_DECODER_SIZES = (
    "hidden_size",
    "intermediate_size",
    "moe_intermediate_size",
    "num_hidden_layers",
    "first_k_dense_replace",
    "num_attention_heads",
    "num_key_value_heads",
    "n_routed_experts",
    "n_shared_experts",
    "num_experts_per_tok",
    "vocab_size",
)

KEY_PATHS: Final[dict[str, str]] = {
    **{name: f"language_config.{name}" for name in _DECODER_SIZES},
    "sam_image_size": "vision_config.image_size",
    "sam_hidden_size": f"{_SAM}.width",
    "sam_num_hidden_layers": f"{_SAM}.layers",
    "sam_num_attention_heads": f"{_SAM}.heads",
    "sam_global_attn_indexes": f"{_SAM}.global_attn_indexes",
    "sam_downsample_channels": f"{_SAM}.downsample_channels",
    "clip_image_size": f"{_CLIP}.image_size",
    "clip_patch_size": f"{_CLIP}.patch_size",
    "clip_hidden_size": f"{_CLIP}.width",
    "clip_num_hidden_layers": f"{_CLIP}.layers",
    "clip_num_attention_heads": f"{_CLIP}.heads",
}
"""Where the config keeps each size, by field of the architecture. The other sizes are the vendor's constants."""

_LISTS = frozenset({"sam_global_attn_indexes", "sam_downsample_channels"})

_MLP_RATIO = 4
"""Of both towers, a constant of the vendor's code: the config's ``mlp_ratio`` is not read there."""

_FULL = "full_attention"
_NOT_MODELLED = "the layers do not model this"
_ABSENT: Final = object()

_MODEL_RULES: Final[dict[str, tuple[object, ...]]] = {
    "architectures": (["DeepseekOCRForCausalLM"],),
    # The published file has the first; the vendor's config class writes the second.
    "model_type": ("deepseek_vl_v2", "DeepseekOCR"),
    "tile_tag": ("2D", _ABSENT),
    "global_view_pos": ("head", _ABSENT),
    "language_config.architectures": (["DeepseekV2ForCausalLM"], _ABSENT),
    "language_config.model_type": ("deepseek_v2", _ABSENT),
    "projector_config.projector_type": ("linear",),
    "projector_config.token_pooling": (False, None, _ABSENT),
    "projector_config.conv_fusion_high_low_features": (False, None, _ABSENT),
}
"""The values that the layers model, by key path. ``_ABSENT`` stands where the vendor's default is among them."""

_DECODER_RULES: Final[dict[str, tuple[object, ...]]] = {
    "use_mla": (False,),  # the vendor's default is true
    "kv_lora_rank": (None, _ABSENT),
    "q_lora_rank": (None, _ABSENT),
    "qk_nope_head_dim": (0, None, _ABSENT),
    "qk_rope_head_dim": (0, None, _ABSENT),
    "v_head_dim": (0, None, _ABSENT),
    "topk_method": ("greedy",),  # the vendor's default is a name that its own gate does not know
    "n_group": (1, None, _ABSENT),
    "topk_group": (1, None, _ABSENT),
    "scoring_func": ("softmax", _ABSENT),
    "norm_topk_prob": (False, _ABSENT),
    "moe_layer_freq": (1, _ABSENT),
    "hidden_act": ("silu", _ABSENT),
    "attention_bias": (False, _ABSENT),
    "mlp_bias": (False, _ABSENT),
    "tie_word_embeddings": (False, _ABSENT),
    "lm_head": (True, _ABSENT),
    "rm_head": (False, _ABSENT),
    "rope_scaling": (None, _ABSENT),
    "sliding_window": (None, _ABSENT),
    "use_sliding_window": (False, _ABSENT),
}
"""The same for keys of ``language_config``, which the top level may repeat."""


def load_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object from a file, strictly: no duplicate keys, no NaN or infinity.

    Raises
    ------
    ArchitectureError
        If the file cannot be read, or it does not hold one JSON object in UTF-8.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise ArchitectureError("the file is too long for a config", expected=f"at most {MAX_CONFIG_BYTES} bytes")
        config = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
        )
    except OSError as error:
        raise ArchitectureError(f"the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ArchitectureError("the file is not UTF-8 text", place=f"byte {error.start}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise ArchitectureError(f"the file is not valid JSON: {error.msg}", place=place) from error
    except ValueError as error:  # a null character in the name, or a number of thousands of digits
        raise ArchitectureError(f"the file cannot be read: {error}") from error
    except RecursionError:
        raise ArchitectureError("the file nests too deeply") from None
    if not isinstance(config, dict):
        raise ArchitectureError("the file does not hold a JSON object", found=_show(config))
    return config


def parse_sizes(config: dict[str, Any]) -> dict[str, Any]:
    """Return the sizes in ``config``, by field of the architecture.

    Raises
    ------
    ArchitectureError
        If a size is missing, no positive integer or absurd, two keys contradict each other, or the model
        is not one that the layers describe. The place is the path of the key.
    """
    for path, allowed in _MODEL_RULES.items():
        _check_rule(config, path, allowed)
    for name, allowed in _DECODER_RULES.items():
        _check_rule(config, f"language_config.{name}", allowed)
        _check_rule(config, name, (*allowed, _ABSENT))

    sizes: dict[str, Any] = {}
    for name, path in KEY_PATHS.items():
        value = _find(config, path)
        if name in _LISTS:
            sizes[name] = _read_list(path, value)
        else:
            sizes[name] = _read_size(path, value, _minimum(name), _maximum(name))
    for name in _DECODER_SIZES:
        if name in config:
            _check_agrees(name, _read_size(name, config[name], _minimum(name)), KEY_PATHS[name], sizes[name])

    _check_channels(config, sizes)
    _check_attention(config, sizes)
    return {
        **sizes,
        "sam_intermediate_size": _MLP_RATIO * sizes["sam_hidden_size"],
        "clip_intermediate_size": _MLP_RATIO * sizes["clip_hidden_size"],
    }


def _check_channels(config: dict[str, Any], sizes: dict[str, Any]) -> None:
    """Check the widths that two parts of the model share; leave the first of SAM's two outputs in ``sizes``."""
    path, channels = KEY_PATHS["sam_downsample_channels"], sizes["sam_downsample_channels"]
    if len(channels) != 2:
        raise ArchitectureError("SAM ends with two convolutions", place=path, expected="two sizes", found=len(channels))
    sizes["sam_downsample_channels"] = channels[0]
    width = sizes["clip_hidden_size"]
    _check_agrees(f"{path}[1]", channels[1], KEY_PATHS["clip_hidden_size"], width)
    for key, expected, rule in (
        ("input_dim", channels[1] + width, f"{path}[1] + {KEY_PATHS['clip_hidden_size']}"),
        ("n_embed", sizes["hidden_size"], KEY_PATHS["hidden_size"]),
    ):
        path_of_key = f"projector_config.{key}"
        _check_agrees(path_of_key, _read_size(path_of_key, _find(config, path_of_key), 1), rule, expected)


def _check_attention(config: dict[str, Any], sizes: dict[str, Any]) -> None:
    """Check the keys whose only modelled value follows from the sizes."""
    layers = sizes["num_hidden_layers"]
    for scope in ("", "language_config."):
        # A head size that does not follow from the width would resize every projection of the attention.
        head_dim = sizes["hidden_size"] // sizes["num_attention_heads"]
        _check_rule(config, f"{scope}head_dim", (head_dim, None, _ABSENT))
        types = _find_or_absent(config, f"{scope}layer_types")
        is_modelled = isinstance(types, list) and len(types) == layers and all(kind == _FULL for kind in types)
        if types not in (None, _ABSENT) and not is_modelled:
            raise ArchitectureError(
                _NOT_MODELLED, place=f"{scope}layer_types", expected=f"{layers} times {_FULL}", found=_show(types)
            )


def _find(config: dict[str, Any], path: str) -> Any:
    value = _find_or_absent(config, path)
    if value is _ABSENT:
        raise ArchitectureError("the key is missing", place=path)
    return value


def _find_or_absent(config: dict[str, Any], path: str) -> Any:
    value: Any = config
    seen: list[str] = []
    for key in path.split("."):
        if not isinstance(value, dict):
            raise ArchitectureError("not a JSON object", place=".".join(seen), found=_show(value))
        if key not in value:
            return _ABSENT
        value = value[key]
        seen.append(key)
    return value


def _read_size(path: str, value: object, minimum: int, maximum: int = MAX_SIZE) -> int:
    # type() and not isinstance(): true is an int to Python.
    if type(value) is not int or not minimum <= value <= maximum:
        expected = f"an integer from {minimum} to {maximum}"
        raise ArchitectureError("not a size", place=path, expected=expected, found=_show(value))
    return value


def _read_list(path: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ArchitectureError("not a list of sizes", place=path, found=_show(value))
    return tuple(_read_size(f"{path}[{index}]", item, 0) for index, item in enumerate(value))


def _minimum(name: str) -> int:
    return symbols.ARCHITECTURE[name].minimum


def _maximum(name: str) -> int:
    return MAX_COUNT if symbols.ARCHITECTURE[name].unit in ("layers", "experts") else MAX_SIZE


def _check_agrees(path: str, value: int, other_path: str, other: int) -> None:
    if value != other:
        raise ArchitectureError(
            "two sizes contradict each other", place=path, expected=f"{other_path} = {other}", found=value
        )


def _check_rule(config: dict[str, Any], path: str, allowed: Iterable[object]) -> None:
    value = _find_or_absent(config, path)
    # Types are compared too: 1 is not true, and 1.0 is not 1.
    if not any(type(value) is type(choice) and value == choice for choice in allowed):
        choices = " or ".join(_show(choice) for choice in allowed if choice is not _ABSENT)
        if value is _ABSENT:
            raise ArchitectureError("the key is missing", place=path, expected=choices)
        raise ArchitectureError(_NOT_MODELLED, place=path, expected=choices, found=_show(value))


def _show(value: object) -> str:
    """Return ``value`` for a message: in JSON's words, and without what may be long or deep."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list) and not all(isinstance(item, str) for item in value):
        return f"a list of {len(value)}"
    if type(value) is int and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    return json.dumps(value)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = Counter(key for key, _ in pairs)
    if len(keys) != len(pairs):
        raise ArchitectureError("a key appears twice", found=keys.most_common(1)[0][0])
    return dict(pairs)


def _refuse_constant(text: str) -> NoReturn:
    raise ArchitectureError("the file has a number that JSON does not have", found=text)
