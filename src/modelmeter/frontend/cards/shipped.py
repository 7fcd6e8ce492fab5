"""All cards, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modelmeter.frontend.cards import of_grids, of_text, of_views
from modelmeter.frontend.cards.card import Card

CARDS: Final[Mapping[str, Card]] = {card.name: card for card in (*of_grids.CARDS, *of_views.CARDS, *of_text.CARDS)}
"""What ``modelmeter models --cards`` lists."""


def find_card(source: object) -> Card | None:
    """Return the card of a name, or none."""
    return CARDS.get(source) if isinstance(source, str) else None
