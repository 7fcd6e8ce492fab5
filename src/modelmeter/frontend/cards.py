"""All cards, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from modelmeter.frontend import cards_of_grids, cards_of_text, cards_of_views
from modelmeter.frontend.card import Card

CARDS: Final[Mapping[str, Card]] = {
    card.name: card for card in (*cards_of_grids.CARDS, *cards_of_views.CARDS, *cards_of_text.CARDS)
}
"""What ``modelmeter models --cards`` lists."""


def find_card(source: object) -> Card | None:
    """Return the card of a name, or none."""
    return CARDS.get(source) if isinstance(source, str) else None
