"""``modelmeter models --json``: which models there are, their stages, and how their formulas are checked."""

from __future__ import annotations

from typing import Any


def describe_models() -> list[dict[str, Any]]:
    """Return the registered models."""
    from modelmeter.model.registry import find_model, list_models

    return [
        {
            "name": model.name,
            "title": model.title,
            "stages": list(model.stage_names),
            "checks": {"layers": model.checks.layers, "peaks": model.checks.peaks},
            "evidence": f"modelmeter verify --model {model.name}",
        }
        for model in map(find_model, list_models())
    ]


def describe_cards() -> list[dict[str, Any]]:
    """Return the model cards; of a stage that is refused, the reason."""
    from modelmeter.frontend.cards.page_rules import PAGE_RULES
    from modelmeter.frontend.cards.shipped import CARDS

    return [
        {
            "name": card.name,
            "title": card.title,
            "model_type": card.model_type,
            "class": card.class_name or None,
            "stages": list(card.stages),
            "refused": dict(card.refused),
            "remarks": card.remarks,
            "page_sizes": list(PAGE_RULES[card.name].sizes) if card.name in PAGE_RULES else [],
            "evidence": f"modelmeter compile {card.name} --out DIR; modelmeter verify --model DIR",
        }
        for card in CARDS.values()
    ]
