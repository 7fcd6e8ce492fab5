"""Which configs have the tower of a card: those of its type that look at an image in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any, Final

from transformers import PreTrainedConfig

from modelmeter.frontend.cards.card import Card
from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.frontend.configs.config import make_config

_TEXT: Final = frozenset({"text_config", "tie_word_embeddings"})

_FREE: Final = frozenset(
    {
        *("depth", "num_hidden_layers", "hidden_size", "intermediate_size", "out_hidden_size", "num_heads"),
        *("num_attention_heads", "num_key_value_heads", "fullatt_block_indexes", "hidden_act", "hidden_activation"),
        *("initializer_range", "initializer_factor", "attention_dropout", "layer_norm_eps", "rms_norm_eps"),
        *("architectures", "dtype", "torch_dtype", "transformers_version", "use_cache", "return_dict"),
        *("tokens_per_second",),  # of the positions of videos
        *("id2label", "label2id"),
    }
)
"""Sizes of a tower that change no image and no token of it, whose counts are solved for; and what costs nothing."""


def find_card_of(config: PreTrainedConfig) -> Card | None:
    """Return the card whose tower a config has at its own sizes, or none: then its text part is all that is known.

    What an image is has to be the same: patches, merging, windows, tokens, and every key that is not known to be free.
    A tower whose features are not as wide as the text, as in some defaults of transformers, is none that runs.
    """
    for card in CARDS.values():
        if card.model_type == config.model_type and card.tower is not None:
            own = make_config(
                {**card.config, "model_type": card.model_type}, card.title, place=card.name, is_carded=True
            )
            if _is_alike(own.config.to_dict(), config.to_dict()) and _has_one_width(config):
                return card
    return None


def _has_one_width(config: PreTrainedConfig) -> bool:
    width = config.get_text_config().hidden_size
    return bool(getattr(getattr(config, "vision_config", None), "out_hidden_size", width) == width)


def _is_alike(own: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether all that a card's config has, and is not free, is the same in another; of blocks, how many.

    What only the other one has, no code of the class reads.
    """
    for key, value in own.items():
        if key in _TEXT | _FREE or str(key).startswith("_") or str(key).endswith(("_token_id", "_token_index")):
            continue
        found = other.get(key)
        if isinstance(value, Mapping) and isinstance(found, Mapping):
            if not _is_alike(value, found):
                return False
        elif key == "deepstack_visual_indexes" and isinstance(found, Sized):
            if len(found) != len(value):
                return False
        elif found != value:
            return False
    return True
