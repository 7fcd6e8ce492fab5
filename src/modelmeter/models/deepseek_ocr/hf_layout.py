"""How a config is laid out: what a layout is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from modelmeter.models.deepseek_ocr import hf_keys
from modelmeter.models.deepseek_ocr.hf_keys import KeyRule

DECODER_SIZES: Final = (
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


def _as_set(keys: Iterable[str]) -> frozenset[str]:
    return frozenset(keys)


@frozen(kw_only=True)
class Group:
    """Keys that belong together, and where they may be.

    Parameters
    ----------
    sections
        Paths of the objects that may hold them; the first is where a key is missed.
    rules
        Keys of which some values only are modelled.
    costless
        Keys that no cost depends on, each with the reason.
    read
        Keys whose values the architecture is made of, and what holds other sections.
    others
        Why any other key is refused; nothing where it is named to the user.
    """

    sections: tuple[str, ...]
    rules: Mapping[str, KeyRule] = field(factory=dict)
    costless: Mapping[str, str] = field(factory=dict)
    read: frozenset[str] = field(default=frozenset(), converter=_as_set)
    others: str = ""

    def knows(self, key: str) -> bool:
        """Tell whether a key is in one of the tables."""
        return key in self.rules or key in self.costless or key in self.read


@frozen(kw_only=True)
class Layout:
    """Where a config keeps what.

    Parameters
    ----------
    groups
        All keys.
    paths
        Where each size may be, by field of the architecture; the first is where it is missed.
    defaults
        Sizes that the class of such configs fills in.
    decoder
        The paths of the objects that may hold the decoder's keys.
    has_projector
        Whether the projector has a section of its own, whose sizes must agree with the others.
    """

    groups: tuple[Group, ...]
    paths: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, Any]
    decoder: tuple[str, ...]
    has_projector: bool


UNLIMITED: Final = ("unlimited_ocr", "unlimited-ocr", "UnlimitedOCR")
"""Model types whose class has a window of attention unless the config says otherwise."""

LAYER_KEYS: Final = (
    "head_dim", "layer_types", "sliding_window", "sliding_window_size", "rope_scaling", "rope_parameters"
)  # fmt: skip
"""Keys of a decoder whose meaning depends on other keys."""


def only(value: object, reason: str, *, is_required: bool = False) -> KeyRule:
    """Return the rule of a key of which one value is modelled."""
    return KeyRule(allowed=(value,), reason=reason, is_required=is_required)


def general_groups(*sections: str) -> tuple[Group, ...]:
    """Return a group for each section with the keys that may be anywhere."""
    return tuple(
        Group(sections=(section,), rules=hf_keys.GENERAL_RULES, costless=hf_keys.GENERAL_COSTLESS)
        for section in sections
    )
