"""Cards of models with few layers, whose modules are counted in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from attrs import evolve

from modelmeter.frontend.cards.card import Card


def make_few_layers(card: Card) -> Card:
    """Return the card of a model with two decoder layers, and with as few blocks of its tower as are counted.

    Where most layers keep states alone, each fourth one has attention.
    """
    assert card.tower is not None
    config: dict[str, Any] = deepcopy(dict(card.config))
    text = config.setdefault("text_config", {})
    text["num_hidden_layers"] = 4 if card.refused else 2
    if "mlp_layer_types" in text:
        text["mlp_layer_types"] = text["mlp_layer_types"][:2]
    _update(config, card.tower.shallow)
    return evolve(card, title=f"Few {card.title}", config=config)


def _update(fields: dict[str, Any], keys: Mapping[str, Any]) -> None:
    for key, value in keys.items():
        if isinstance(value, Mapping):
            _update(fields.setdefault(key, {}), value)
        else:
            fields[key] = value
