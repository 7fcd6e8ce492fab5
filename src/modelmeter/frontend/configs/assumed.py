"""What a config does not say: sizes that transformers then takes from the defaults of the config's class."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import Any, Final

from modelmeter.frontend.configs.config_fields import COUNTS
from modelmeter.frontend.configs.values import find_value

REQUIRED: Final = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
"""Sizes of which a default is that of one published model, and says nothing of any other."""

_COSTLY: Final = (
    *COUNTS, "tie_word_embeddings", "attention_bias", "mlp_bias", "use_bias", "use_sliding_window", "sliding_window",
    "n_shared_experts", "first_k_dense_replace", "decoder_sparse_step", "mlp_only_layers", "norm_topk_prob", "n_group",
    "topk_group", "state_size", "conv_kernel", "expand",
)  # fmt: skip
"""Keys that formulas depend on."""

_LIKE: Final = 0.9
"""How much a key is like one that was meant: a letter more or less, or two that changed places."""

_OF_OTHERS: Final = "num_key_value_heads"
"""It follows from the number of heads where it has no default: then no head shares keys with another."""


def list_missing(fields: Collection[str], config_class: type[Any]) -> dict[str, int]:
    """Return the required sizes that are not among the fields, with the defaults that a class of configs has."""
    return {key: default for key, default in _list_unsaid(fields, config_class, REQUIRED) if type(default) is int}


def list_assumed(fields: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """Return what costs depend on and the fields do not say, with what the config has for it.

    A size that transformers works out from others, as ``head_dim``, is none of them; neither is a default that turns
    something off.
    """
    text = config.get_text_config()
    section = next((value for key, value in fields.items() if vars(config).get(key) is text), None)
    said = fields if text is config else section
    if not isinstance(said, Mapping):  # older configs have the keys of the text beside those of the tower
        said = {key: value for key, value in fields.items() if find_value(text, key) == value}
    unsaid = dict(_list_unsaid(said, type(text), _COSTLY))
    found = {key: find_value(text, key) for key in unsaid}
    return {
        key: value
        for key, value in found.items()
        if value is not None and (value == unsaid[key] or (unsaid[key] is None and key == _OF_OTHERS))
    }


def find_misspelt(fields: Mapping[str, Any], config: Any) -> dict[str, str]:
    """Return the keys that the class of a config does not have, each with the key that costs depend on and it is like.

    Transformers keeps such a key, and nothing reads it.
    """
    text = config.get_text_config()
    section = next((value for key, value in fields.items() if vars(config).get(key) is text), fields)
    names = {*signature(type(text).__init__).parameters, *text.attribute_map, *text.attribute_map.values()}
    costly = [key for key in (*REQUIRED, *_COSTLY) if key in names]
    found = {
        key: get_close_matches(key, costly, n=1, cutoff=_LIKE)
        for key in (section if isinstance(section, Mapping) else ())
        if key not in names
    }
    return {key: meant[0] for key, meant in found.items() if meant}


def list_defaults(config: Any, place: str = "") -> dict[str, Any]:
    """Return the sizes of a config that says nothing, with those of its sections: all are defaults of its class."""
    sections = {key: find_value(config, key) for key in config.sub_configs}
    keys = () if config.get_text_config() is not config and sections else (*REQUIRED, *_COSTLY)
    named = dict.fromkeys(key for key, _ in _list_unsaid((), type(config), keys))
    found = {f"{place}{key}": find_value(config, key) for key in named}
    for key, section in sections.items():
        if section is not None:
            found |= list_defaults(section, f"{place}{key}.")
    return {key: value for key, value in found.items() if value not in (None, False)}


def are_defaults(config_class: type[Any], sizes: Mapping[str, Any]) -> bool:
    """Tell whether these sizes are the defaults of a class of configs: then no one has mistyped any of them."""
    return all(
        dict(_list_unsaid((), config_class, [key])) == {config_class.attribute_map.get(key, key): size}
        for key, size in sizes.items()
    )


def _list_unsaid(fields: Collection[str], config_class: type[Any], keys: Collection[str]) -> Iterator[tuple[str, Any]]:
    parameters = signature(config_class.__init__).parameters
    for key in keys:
        own = config_class.attribute_map.get(key, key)
        if own in parameters and own not in fields and key not in fields:
            default = parameters[own].default
            yield own, None if default is Parameter.empty else default
