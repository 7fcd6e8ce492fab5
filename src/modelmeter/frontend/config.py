"""Configs of models: read from a file, a mapping or the defaults of a model type, and checked before they are used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from modelmeter.frontend.cards import CARDS
from modelmeter.frontend.sources import find_config
from modelmeter.model.registry import list_models
from modelmeter.support.errors import ArchitectureError
from modelmeter.support.files import describe_failure, read_text
from modelmeter.support.strict_json import parse_object
from modelmeter.support.suggestions import unknown_name

LARGEST_SIZE: Final = 2**31 - 1
"""Of any whole number in a config: torch multiplies several into one size of 64 bits."""

MOST_LAYERS: Final = 1000
"""Decoder layers: a model of more takes minutes to build."""

_COUNTS: Final = (
    "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim",
    "vocab_size", "moe_intermediate_size", "num_experts", "n_routed_experts", "num_local_experts",
    "num_experts_per_tok", "q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim",
)  # fmt: skip
"""Keys that are whole numbers of at least 1 wherever they are given."""

_REMOTE: Final = "auto_map"


@frozen(kw_only=True)
class ModelConfig:
    """A config, and what the model is called."""

    config: PreTrainedConfig
    name: str


def read_model_config(source: str | os.PathLike[str] | Mapping[str, Any], *, name: str | None = None) -> ModelConfig:
    """Return the config in a file or a mapping, or the defaults of a model type of transformers.

    Nothing is downloaded, and no code but that of transformers is run.

    Raises
    ------
    UnknownNameError
        If it is neither a file nor a model type.
    ArchitectureError
        If the config is damaged, contradicts itself, or is of a model that is no causal decoder of transformers.
    """
    if isinstance(source, Mapping):
        return make_config(dict(source), name or "", place="config")
    path = find_config(source)
    if path.endswith(".json") or os.path.isfile(path):
        fields = _read_file(path)
        return make_config(fields, name or _find_name(fields) or Path(path).resolve().parent.name, place=path)
    model_type = path
    if model_type not in CONFIG_MAPPING:
        raise unknown_name("model", model_type, sorted({*list_models(), *CARDS, *MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}))
    return make_config({"model_type": model_type}, name or model_type, place=model_type)


def _read_file(path: str) -> dict[str, Any]:
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise ArchitectureError("the config cannot be read", place=str(path), found=describe_failure(error)) from None
    try:
        return parse_object(text)
    except ValueError as error:
        raise ArchitectureError("the config is no JSON object", place=str(path), found=_clip(error)) from None


def _find_name(fields: Mapping[str, Any]) -> str:
    found = fields.get("_name_or_path")
    return found if isinstance(found, str) else ""


def make_config(fields: dict[str, Any], name: str, *, place: str, is_carded: bool = False) -> ModelConfig:
    """Return the config of these fields; ``is_carded`` says that its model needs to be no causal decoder.

    Raises
    ------
    ArchitectureError
        As :func:`read_model_config`.
    """
    model_type = fields.get("model_type")
    if not isinstance(model_type, str):
        raise ArchitectureError("the config names no model type", place=place, expected="model_type", found=model_type)
    if model_type not in CONFIG_MAPPING:
        remedy = "remote code is never run" if _REMOTE in fields else ""
        raise ArchitectureError(
            "transformers has no model of this type", place=f"{place}: model_type", found=_clip(model_type),
            remedy=remedy,
        )  # fmt: skip
    if model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not is_carded:
        raise ArchitectureError(
            "models of this type are no causal decoders", place=f"{place}: model_type", found=model_type,
            remedy="a model of other stages needs a card",
        )  # fmt: skip
    _check_numbers(fields, place)
    given = {key: value for key, value in fields.items() if key not in (_REMOTE, "model_type", "torch_dtype", "dtype")}
    try:
        config = CONFIG_MAPPING[model_type].from_dict({**given, "model_type": model_type})
    except Exception as error:  # each class of transformers checks its own config in its own way
        raise ArchitectureError(
            "transformers refuses the config", place=place, found=_clip(error)
        ) from error  # fmt: skip
    try:
        _check_config(config, place)
    except ArchitectureError:
        raise
    except Exception as error:  # some classes refuse to say a size that differs from layer to layer
        raise ArchitectureError("the config does not say a size", place=place, found=_clip(error)) from error
    return ModelConfig(config=config, name=name or model_type)


def _check_numbers(fields: Mapping[str, Any], place: str) -> None:
    """Refuse whole numbers that no size can be, wherever they stand."""
    for key, value in fields.items():
        where = f"{place}: {key}"
        if isinstance(value, Mapping):
            _check_numbers(value, where)
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_SIZE:
            raise ArchitectureError(
                "a size is out of range", place=where, expected=f"at most {LARGEST_SIZE}", found=_clip(value)
            )
        elif key in _COUNTS and value is not None and (type(value) is not int or value < 1):
            raise ArchitectureError("a size is not a whole number of at least 1", place=where, found=_clip(value))


def _check_config(config: PreTrainedConfig, place: str) -> None:
    text = config.get_text_config()
    layers = getattr(text, "num_hidden_layers", None)
    if type(layers) is not int:
        raise ArchitectureError("the config has no number of layers", place=place, expected="num_hidden_layers")
    if layers > MOST_LAYERS:
        raise ArchitectureError(
            "too many layers to build", place=f"{place}: num_hidden_layers", expected=f"at most {MOST_LAYERS}",
            found=layers,
        )  # fmt: skip
    heads, width = getattr(text, "num_attention_heads", None), getattr(text, "hidden_size", None)
    groups = getattr(text, "num_key_value_heads", None)
    if type(heads) is int and type(groups) is int and heads % groups:
        raise ArchitectureError(
            "two sizes contradict each other", place=f"{place}: num_attention_heads",
            expected=f"a multiple of num_key_value_heads = {groups}", found=heads,
        )  # fmt: skip
    if type(heads) is int and type(width) is int and getattr(text, "head_dim", None) is None and width % heads:
        raise ArchitectureError(
            "two sizes contradict each other", place=f"{place}: hidden_size",
            expected=f"a multiple of num_attention_heads = {heads}", found=width,
        )  # fmt: skip


def _clip(found: object) -> str:
    if isinstance(found, int):
        return str(found) if abs(found) < 10**30 else f"a number of {found.bit_length()} bits"
    text = " ".join(str(found).split())
    return text if len(text) <= 200 else f"{text[:200]}..."
