"""Sizes of a config that contradict each other: plain rules, of which each names its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from modelmeter.frontend.configs.config_fields import COUNTS, clip
from modelmeter.support.errors import ArchitectureError

EXPERTS: Final = ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts")
"""Keys of how many experts a layer has; a config has one of them."""

_CHOSEN: Final = ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk", "moe_k")
"""Keys of how many of them a token takes."""

_FIRST_LAYERS: Final = ("first_k_dense_replace", "num_dense_layers")
"""Keys that count the first layers of all."""

_BLOCKS: Final = ("fullatt_block_indexes", "deepstack_visual_indexes")
"""Keys that list blocks of a tower by their numbers."""

_ANY_AXES: Final = "hunyuan_vl"
"""How the types of configs begin whose positions have as many axes as their sections say; others have three."""

_SLIDING: Final = "sliding_attention"

_RANGE: Final = "a size is out of range"


@frozen(kw_only=True)
class _Contradiction:
    key: str
    expected: str
    found: object
    problem: str = "two sizes contradict each other"


_Sizes = Mapping[str, Any]


def check_sizes(text: Any, fields: Mapping[str, Any], place: str) -> None:
    """Refuse a config of a text of which two sizes contradict each other, or one is none.

    Parameters
    ----------
    text
        The config that transformers made of the fields.
    fields
        What its source says.
    place
        The source.

    Raises
    ------
    ArchitectureError
        The message names the key, what others make of it, and what it is.
    """
    sizes = {key: value for key, value in vars(text).items() if value is not None}
    sizes["model_type"] = text.model_type
    for key, own in type(text).attribute_map.items():
        if own in sizes and (key in fields or key not in EXPERTS):
            sizes[key] = sizes[own]
            if key in EXPERTS and own not in fields:  # messages have the key that the source has
                del sizes[own]
    for rule in _RULES:
        for each in rule(sizes):
            raise _contradict(each, place)
    for each in _list_overruled(text, fields):
        raise _contradict(each, place)


def check_tower(config: Any, fields: Mapping[str, Any], place: str) -> None:
    """Refuse the config of a tower that contradicts itself, or that makes features of another width than the text.

    Only what the source says counts: defaults of classes do not fit everywhere, and then only the text is compiled.

    Raises
    ------
    ArchitectureError
        As :func:`check_sizes`.
    """
    said = fields.get("vision_config")
    if not isinstance(said, Mapping):
        return
    place = f"{place}: vision_config"
    width, wanted = said.get("out_hidden_size"), vars(config.get_text_config()).get("hidden_size")
    if type(width) is int and type(wanted) is int and width != wanted:
        raise _contradict(
            _Contradiction(key="out_hidden_size", expected=f"hidden_size = {wanted} of the text", found=width), place
        )
    blocks = said.get("depth")
    if type(blocks) is not int:
        return
    if blocks < 1:
        raise _contradict(_Contradiction(key="depth", expected="at least 1", found=blocks, problem=_RANGE), place)
    for key in _BLOCKS:
        listed = said.get(key)
        if isinstance(listed, list) and not all(type(each) is int and 0 <= each < blocks for each in listed):
            expected = f"numbers of blocks, 0 to {blocks - 1}, as depth = {blocks}"
            raise _contradict(_Contradiction(key=key, expected=expected, found=listed), place)


def check_width(width: object, heads: object, place: str) -> None:
    """Refuse a width that heads of no length of their own do not share.

    Raises
    ------
    ArchitectureError
        If the heads do not divide it.
    """
    if type(width) is int and type(heads) is int and width % heads:
        expected = f"a multiple of num_attention_heads = {heads}"
        raise _contradict(_Contradiction(key="hidden_size", expected=expected, found=width), place)


def _contradict(each: _Contradiction, place: str) -> ArchitectureError:
    return ArchitectureError(each.problem, place=f"{place}: {each.key}", expected=each.expected, found=clip(each.found))


def _find(sizes: _Sizes, keys: tuple[str, ...]) -> tuple[str, int] | None:
    """Return the first of the keys that is a whole number, and which."""
    return next(((key, sizes[key]) for key in keys if type(sizes.get(key)) is int), None)


def _check_heads(sizes: _Sizes) -> Iterator[_Contradiction]:
    heads, groups = sizes.get("num_attention_heads"), sizes.get("num_key_value_heads")
    if type(heads) is int and type(groups) is int and heads % groups:
        yield _Contradiction(
            key="num_attention_heads", expected=f"a multiple of num_key_value_heads = {groups}", found=heads
        )
    parts: list[Any] = [sizes.get("qk_nope_head_dim"), sizes.get("qk_rope_head_dim")]
    length = sizes.get("qk_head_dim")
    if all(type(part) is int for part in (*parts, length)) and length != sum(parts):
        yield _Contradiction(
            key="qk_head_dim", expected=f"{sum(parts)}, the sum of qk_nope_head_dim and qk_rope_head_dim", found=length
        )


def _check_experts(sizes: _Sizes) -> Iterator[_Contradiction]:
    experts, chosen = _find(sizes, EXPERTS), _find(sizes, _CHOSEN)
    if experts is None or chosen is None:
        return
    for key in _CHOSEN:
        if type(sizes.get(key)) is int and sizes[key] != chosen[1]:
            yield _Contradiction(key=key, expected=f"{chosen[0]} = {chosen[1]}, which is the same", found=sizes[key])
    if chosen[1] > experts[1]:
        yield _Contradiction(key=chosen[0], expected=f"at most {experts[0]} = {experts[1]}", found=chosen[1])
    groups, taken = sizes.get("n_group"), sizes.get("topk_group")
    if type(groups) is not int or type(taken) is not int:
        return
    if groups < 1 or experts[1] % groups:
        yield _Contradiction(key="n_group", expected=f"a divisor of {experts[0]} = {experts[1]}", found=groups)
    elif not 1 <= taken <= groups:
        yield _Contradiction(key="topk_group", expected=f"1 to n_group = {groups}", found=taken)
    elif chosen[1] > taken * experts[1] // groups:
        yield _Contradiction(
            key=chosen[0],
            expected=f"at most the {taken * experts[1] // groups} experts in topk_group = {taken} of n_group = "
            f"{groups} groups",
            found=chosen[1],
        )


def _check_rotation(sizes: _Sizes) -> Iterator[_Contradiction]:
    rope = sizes.get("rope_parameters")
    sections = rope.get("mrope_section") if isinstance(rope, Mapping) else None
    if not isinstance(rope, Mapping) or not isinstance(sections, list | tuple):
        return
    has_any_number = str(sizes.get("model_type")).startswith(_ANY_AXES)
    if not (has_any_number or len(sections) == 3) or not all(type(section) is int for section in sections):
        yield _Contradiction(
            key="mrope_section", expected="three whole numbers, of time, height and width", found=list(sections)
        )
        return
    heads, width = sizes.get("num_attention_heads"), sizes.get("hidden_size")
    length = sizes.get("head_dim") or (width // heads if type(heads) is int and type(width) is int else None)
    if type(length) is int:
        rotated = int(length * rope.get("partial_rotary_factor", 1))
        if 2 * sum(sections) != rotated:
            yield _Contradiction(
                key="mrope_section", expected=f"a sum that is half of the {rotated} numbers of a head that turn",
                found=f"{list(sections)}, whose sum is {sum(sections)}",
            )  # fmt: skip


def _check_layers(sizes: _Sizes) -> Iterator[_Contradiction]:
    layers = sizes.get("num_hidden_layers")
    if type(layers) is not int:
        return
    for key in _FIRST_LAYERS:
        first = sizes.get(key)
        if type(first) is int and not 0 <= first <= layers:
            yield _Contradiction(key=key, expected=f"0 to num_hidden_layers = {layers}", found=first)
    listed = sizes.get("mlp_only_layers")
    if isinstance(listed, list | tuple) and any(type(each) is not int or not 0 <= each < layers for each in listed):
        yield _Contradiction(
            key="mlp_only_layers", expected=f"numbers of layers, 0 to {layers - 1}, as num_hidden_layers = {layers}",
            found=list(listed),
        )  # fmt: skip
    kinds = sizes.get("layer_types")
    if isinstance(kinds, list | tuple) and _SLIDING in kinds and "sliding_window" not in sizes:
        yield _Contradiction(
            key="sliding_window", expected=f"its positions, as layer_types has {_SLIDING}", found="no number"
        )


def _check_signs(sizes: _Sizes) -> Iterator[_Contradiction]:
    keys = ["max_position_embeddings", "attention_chunk_size", "decoder_sparse_step"]
    if _SLIDING in sizes.get("layer_types", (_SLIDING,)) and sizes.get("use_sliding_window", True):
        keys.append("sliding_window")  # elsewhere, 0 is how some say that there is none
    for key in keys:
        size = sizes.get(key)
        if type(size) is int and size < 1:
            yield _Contradiction(key=key, expected="at least 1", found=size, problem=_RANGE)


_RULES: Final[tuple[Callable[[_Sizes], Iterator[_Contradiction]], ...]] = (
    _check_signs, _check_heads, _check_experts, _check_rotation, _check_layers,
)  # fmt: skip


def _list_overruled(text: Any, fields: Mapping[str, Any]) -> Iterator[_Contradiction]:
    """Yield sizes that the source says twice, or that the class of the config works out in another way."""
    for key in (*COUNTS, "qk_head_dim", *type(text).attribute_map):
        own = type(text).attribute_map.get(key, key)
        given, found = fields.get(key), vars(text).get(own)
        if type(given) is int and type(found) is int and given != found:
            expected = f"{own} = {found}, which is the same" if own != key else f"{found}, which follows from others"
            yield _Contradiction(key=key, expected=expected, found=given)
