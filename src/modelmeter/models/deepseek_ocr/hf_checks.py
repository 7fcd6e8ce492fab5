"""Keys of a config that have to say what the layers do, and keys of which nobody knows what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelmeter.models.deepseek_ocr.hf_keys import KeyRule, find_suspicion
from modelmeter.models.deepseek_ocr.hf_layout import UNLIMITED, Group, Layout
from modelmeter.models.deepseek_ocr.hf_values import ABSENT, find, find_section, join, refuse, show_choices
from modelmeter.support.errors import ArchitectureError

_FULL: Final = "full_attention"
_WINDOW: Final = "attention over a window reads and caches fewer keys"
_WINDOW_KEYS: Final = ("sliding_window_size", "sliding_window")
_ROPE_KEYS: Final = ("rope_scaling", "rope_parameters")


def check_groups(config: dict[str, Any], layout: Layout) -> None:
    """Check all keys of which some values only are modelled.

    Raises
    ------
    ArchitectureError
        If a key has another value, or its default is another one and it is missing.
    """
    for group in layout.groups:
        for name, rule in group.rules.items():
            values = {join(section, name): _get(config, section, name) for section in group.sections}
            _check_rule(
                rule, {path: value for path, value in values.items() if value is not ABSENT}, next(iter(values))
            )


def list_unknown_keys(config: dict[str, Any], layout: Layout) -> Iterator[str]:
    """Yield the paths of keys that no table has.

    Raises
    ------
    ArchitectureError
        If the name of one says that a cost depends on it, or nothing else may be in its section.
    """
    for section in dict.fromkeys(section for group in layout.groups for section in group.sections):
        groups = [group for group in layout.groups if section in group.sections]
        for key, value in find_section(config, section).items():
            if any(group.knows(key) for group in groups):
                continue
            reason = _find_reason(groups, key)
            if reason and value:  # 0, null, false and what is empty are off
                raise refuse(join(section, key), value, reason)
            if not reason:
                yield join(section, key)


def check_decoder(config: dict[str, Any], layout: Layout, sizes: Mapping[str, Any]) -> None:
    """Check the keys of the decoder whose only modelled value follows from others.

    Raises
    ------
    ArchitectureError
        If heads have a size of their own, a window is active, or angles are scaled.
    """
    for section in layout.decoder:
        # A head size that does not follow from the width would resize every projection of the attention.
        head_dim = sizes["hidden_size"] // sizes["num_attention_heads"]
        value = _get(config, section, "head_dim")
        if value is not ABSENT and not KeyRule(allowed=(head_dim, None), reason="").allows(value):
            raise refuse(join(section, "head_dim"), value, "heads share the width", expected=f"{head_dim} or null")
        for key in _ROPE_KEYS:
            _check_rope(join(section, key), _get(config, section, key))
    _check_windows(config, layout, sizes["num_hidden_layers"])


def _check_rule(rule: KeyRule, values: Mapping[str, object], first: str) -> None:
    if rule.is_required and not values:
        raise ArchitectureError("the key is missing", place=first, expected=show_choices(rule.allowed))
    for path, value in values.items():
        if not rule.allows(value):
            raise refuse(path, value, rule.reason, expected=show_choices(rule.allowed))


def _find_reason(groups: list[Group], key: str) -> str:
    return next((group.others for group in groups if group.others), "") or find_suspicion(key)


def _check_rope(path: str, value: object) -> None:
    """Check that rotary angles are as they come: scaled ones take more operators to compute."""
    if value in (None, ABSENT):
        return
    kind = value.get("rope_type", value.get("type", "default")) if isinstance(value, dict) else value
    if not isinstance(value, dict) or kind != "default" or not value.keys() <= {"rope_type", "type", "rope_theta"}:
        raise refuse(path, kind, "scaled angles take more operators", expected="null, or default with rope_theta")


def _check_windows(config: dict[str, Any], layout: Layout, num_layers: int) -> None:
    """Check that all layers see all keys; a list of the kinds of all layers decides, then a window."""
    types = {join(section, "layer_types"): _get(config, section, "layer_types") for section in layout.decoder}
    stated = {path: value for path, value in types.items() if value not in (None, ABSENT)}
    for path, value in stated.items():
        if value != [_FULL] * num_layers:
            raise refuse(path, value, _WINDOW, expected=f"{num_layers} times {_FULL}")
    if stated:
        return
    sections = dict.fromkeys((*layout.decoder, ""))
    windows = {join(section, key): _get(config, section, key) for section in sections for key in _WINDOW_KEYS}
    for path, value in windows.items():
        if value not in (None, ABSENT):
            raise refuse(path, value, _WINDOW, expected="null")
    if config.get("model_type") in UNLIMITED and all(value is ABSENT for value in windows.values()):
        place = join(layout.decoder[0], "sliding_window")
        raise ArchitectureError(
            f"the key is missing, and by default there is a window: {_WINDOW}", place=place, expected="null"
        )


def _get(config: dict[str, Any], section: str, key: str) -> Any:
    return find(config, join(section, key))
