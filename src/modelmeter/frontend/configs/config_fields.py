"""The fields of a config as they stand in its file, and what can be told from them alone: nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelmeter.support.errors import ArchitectureError
from modelmeter.support.files import describe_failure, read_text
from modelmeter.support.strict_json import parse_object

LARGEST_SIZE: Final = 2**31 - 1
"""Of any whole number in a config: torch multiplies several into one size of 64 bits."""

MOST_LAYERS: Final = 1000
"""Decoder layers: a model of more takes minutes to build."""

COUNTS: Final = (
    "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim",
    "vocab_size", "moe_intermediate_size", "num_experts", "n_routed_experts", "num_local_experts",
    "num_experts_per_tok", "q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim",
    "full_attention_interval",
)  # fmt: skip
"""Keys that are whole numbers of at least 1 wherever they are given, or lists of such, one for each layer."""


def read_fields(path: str) -> dict[str, Any]:
    """Return the fields of a ``config.json``.

    Raises
    ------
    ArchitectureError
        If the file cannot be read, or holds no JSON object.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise ArchitectureError("the config cannot be read", place=str(path), found=describe_failure(error)) from None
    try:
        return parse_object(text)
    except ValueError as error:
        raise ArchitectureError("the config is no JSON object", place=str(path), found=clip(error)) from None


def check_fields(fields: Mapping[str, Any], place: str) -> None:
    """Refuse a config without a model type, and whole numbers that no size can be, wherever they stand.

    Raises
    ------
    ArchitectureError
        If there is one; the message names the key.
    """
    model_type = fields.get("model_type")
    if not isinstance(model_type, str):
        raise ArchitectureError("the config names no model type", place=place, expected="model_type", found=model_type)
    _check_numbers(fields, place)


def _check_numbers(fields: Mapping[str, Any], place: str) -> None:
    for key, value in fields.items():
        where = f"{place}: {key}"
        if isinstance(value, Mapping):
            _check_numbers(value, where)
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_SIZE:
            raise ArchitectureError(
                "a size is out of range", place=where, expected=f"at most {LARGEST_SIZE}", found=clip(value)
            )
        elif key in COUNTS and value is not None and not all(map(_is_count, _list_sizes(value))):
            found = f'"{value}"' if isinstance(value, str) else value  # a number in quotes is text
            raise ArchitectureError("a size is not a whole number of at least 1", place=where, found=clip(found))
        elif key == "num_hidden_layers" and type(value) is int:
            check_depth(value, where)


def _list_sizes(value: object) -> list[object]:
    return list(value) if isinstance(value, list) and value else [value]


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_SIZE


def check_depth(layers: int, place: str) -> None:
    """Refuse a model of more layers than can be built.

    Raises
    ------
    ArchitectureError
        If it has more than ``MOST_LAYERS``.
    """
    if layers > MOST_LAYERS:
        raise ArchitectureError(
            "too many layers to build", place=place, expected=f"at most {MOST_LAYERS}", found=clip(layers)
        )


def clip(found: object, most: int = 200) -> str:
    """Return what was found as one short line of at most so many characters."""
    if isinstance(found, int):
        return str(found) if abs(found) < 10**30 else f"a number of {found.bit_length()} bits"
    text = " ".join(str(found).split())
    return text if len(text) <= most else f"{text[:most]}..."
