"""A model of which no stage of the text has a price has its vision stage alone: the tower is counted as ever."""

from __future__ import annotations

from typing import Any

import pytest
from few_layers import make_few_layers

from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.model.registry import forget_model
from modelmeter.verify import dispatch


def test_a_tower_stands_where_no_stage_of_the_text_has_a_price(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_card
    from modelmeter.frontend.left_out import LEFT_OUT

    listed = dispatch.is_listed
    # The text looks its tokens up; this tower has no table to look in.
    monkeypatch.setattr(dispatch, "is_listed", lambda name: name != "embedding" and listed(name))
    card = make_few_layers(CARDS["qwen2.5-vl-3b"])
    found = compile_card(card, points=1)
    forget_model(found.compiled.definition.name)
    assert found.compiled.stages == ("vision",)
    assert found.traced.refused.keys() == {"prefill", "decode"}
    assert all("embed_tokens runs aten.embedding" in why for why in found.traced.refused.values())
    assert {(each.stage, each.dtype) for each in found.checked} == {("vision", "bfloat16"), ("vision", "float32")}
    tower, text = (_count_parameters(card, part) for part in ("model.visual", "model.language_model"))
    vision = found.compiled.evaluate("vision")
    assert vision.weight_bytes == 2 * tower
    assert vision.kv_cache_bytes == 0
    # The head reads the table of the tokens, whose parameters are in the text.
    assert found.traced.graph.root.parameter_count == tower
    words = found.traced.conventions[LEFT_OUT]
    assert words.startswith("The tower never uses ``model.language_model``")
    assert f"their {text:,} parameters" in words


def _count_parameters(card: Any, path: str) -> int:
    """Return the elements of the parameters of a part of the modules, as transformers builds them."""
    from modelmeter.frontend.configs.config import make_config
    from modelmeter.frontend.modules import build_modules

    made = make_config({**card.config, "model_type": card.model_type}, card.title, place=card.name, is_carded=True)
    part = build_modules(made.config, class_name=card.class_name).get_submodule(path)
    return sum(parameter.numel() for parameter in part.parameters())
