"""The sizes in a config, by field of the architecture."""

from __future__ import annotations

from typing import Any, Final

from modelmeter.models.deepseek_ocr.dimensions import ARCHITECTURE
from modelmeter.models.deepseek_ocr.hf_layout import Layout
from modelmeter.models.deepseek_ocr.hf_values import (
    ABSENT,
    MAX_SIZE,
    check_agrees,
    find,
    read_list,
    read_side,
    read_size,
    refuse,
)
from modelmeter.support.errors import ArchitectureError

MAX_COUNT: Final = 2**12
"""Most layers or experts that are accepted: each is a module to build and to trace."""

_LISTS: Final = frozenset({"sam_global_attn_indexes", "sam_downsample_channels"})

_MLP_RATIO: Final = 4
"""Of both towers, a constant of the vendor's code: the config's ``mlp_ratio`` is not read there."""

_ONE_SHARED_EXPERT: Final = "the layers add the output of shared experts, also where there are none"


def read_sizes(config: dict[str, Any], layout: Layout) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the sizes, and the path of the key of each.

    Raises
    ------
    ArchitectureError
        If a size is missing, no positive integer or absurd, or two keys contradict each other.
    """
    sizes: dict[str, Any] = {}
    paths: dict[str, str] = {}
    for name in layout.paths:
        if name == "num_key_value_heads":
            continue  # it may follow from the heads of the queries
        if name == "first_k_dense_replace" and not layout.has_projector:
            paths[name], sizes[name] = _read_dense_layers(config, layout, sizes["num_hidden_layers"])
        else:
            paths[name], sizes[name] = _read_everywhere(config, layout, name)
    paths["num_key_value_heads"], sizes["num_key_value_heads"] = _read_everywhere(
        config, layout, "num_key_value_heads", default=sizes["num_attention_heads"]
    )
    _check_channels(config, layout, sizes, paths)
    for name in ("sam", "clip"):
        sizes.setdefault(f"{name}_intermediate_size", _MLP_RATIO * sizes[f"{name}_hidden_size"])
    return sizes, paths


def _read_everywhere(
    config: dict[str, Any], layout: Layout, name: str, *, default: int | None = None
) -> tuple[str, Any]:
    """Return a size and the first path that has it, after comparing all that do.

    ``default`` stands for null; and for a key that is nowhere, unless the class of such configs fills one in.
    """
    found: tuple[str, Any] | None = None
    for path in layout.paths[name]:
        value = find(config, path)
        if value is ABSENT:
            continue
        size = default if value is None and default is not None else _read_one(path, name, value)
        if found is None:
            found = path, size
        else:
            check_agrees(path, size, *found)
    if found is not None:
        return found
    first = layout.paths[name][0]
    filled_in = layout.defaults.get(name, default)
    if filled_in is None:
        raise ArchitectureError("the key is missing", place=first)
    return first, _read_one(first, name, filled_in)


def _read_one(path: str, name: str, value: object) -> Any:
    if name in _LISTS:
        return read_list(path, value)
    dimension = ARCHITECTURE[name]
    if name == "n_shared_experts" and (value is None or (type(value) is int and value == 0)):
        raise refuse(path, value, _ONE_SHARED_EXPERT, expected="at least 1")
    if dimension.unit == "pixels":
        return read_side(path, value, dimension.minimum)
    return read_size(path, value, dimension.minimum, MAX_COUNT if dimension.unit in ("layers", "experts") else MAX_SIZE)


def _read_dense_layers(config: dict[str, Any], layout: Layout, num_layers: int) -> tuple[str, int]:
    """Return how many leading layers are dense, which transformers writes as a list of the kinds of all layers."""
    path = layout.paths["first_k_dense_replace"][0]
    types_path = path.replace("first_k_dense_replace", "mlp_layer_types")
    types, value = find(config, types_path), find(config, path)
    counted = None if value is ABSENT else read_size(path, value, 0, MAX_COUNT)
    if types is ABSENT or types is None:
        return path, 1 if counted is None else counted  # transformers' own default
    num_dense = types.count("dense") if isinstance(types, list) else 0
    if types != ["dense"] * num_dense + ["sparse"] * (num_layers - num_dense):
        expected = f"dense layers first, then sparse ones, {num_layers} in all"
        raise refuse(types_path, types, "dense layers lead", expected=expected)
    if counted is not None:
        check_agrees(path, counted, types_path, num_dense)
    return types_path, num_dense


def _check_channels(config: dict[str, Any], layout: Layout, sizes: dict[str, Any], paths: dict[str, str]) -> None:
    """Check the widths that two parts of the model share; leave the first of SAM's two outputs in ``sizes``."""
    path, channels = paths["sam_downsample_channels"], sizes["sam_downsample_channels"]
    if len(channels) != 2:
        raise ArchitectureError("SAM ends with two convolutions", place=path, expected="two sizes", found=len(channels))
    sizes["sam_downsample_channels"] = channels[0]
    width = sizes["clip_hidden_size"]
    check_agrees(f"{path}[1]", channels[1], paths["clip_hidden_size"], width)
    if not layout.has_projector:
        return
    for key, expected, rule in (
        ("input_dim", channels[1] + width, f"{path}[1] + {paths['clip_hidden_size']}"),
        ("n_embed", sizes["hidden_size"], paths["hidden_size"]),
    ):
        path_of_key = f"projector_config.{key}"
        value = find(config, path_of_key)
        if value is ABSENT:
            raise ArchitectureError("the key is missing", place=path_of_key)
        check_agrees(path_of_key, read_size(path_of_key, value, 1), rule, expected)
