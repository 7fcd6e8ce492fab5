"""The decoder of the reference model: where even routing sends tokens, and what it refuses."""

from __future__ import annotations

import pytest
from model_inputs import build_cache, ids_on_meta, record_calls
from oracle import TINY

from modelmeter.errors import TraceError
from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.models.deepseek_ocr.reference_decoder import split_evenly


@pytest.mark.parametrize("experts", [1, 3, 7, 64])
def test_an_even_split_gives_everything_away_and_differs_by_one_at_most(experts: int) -> None:
    for assignments in range(150):
        shares = split_evenly(assignments, experts)
        assert len(shares) == experts
        assert sum(shares) == assignments
        assert max(shares) - min(shares) <= 1
        assert shares == sorted(shares, reverse=True), "the first experts take the remainder"


def test_an_expert_without_a_token_is_not_called_but_is_stored() -> None:
    model = build_reference(TINY, expert_routing="even")
    experts = "model.layers.2.mlp.experts"
    called = record_calls(model, rf"{experts}\.\d+")
    model(ids_on_meta(1, 1), build_cache(TINY, 1, 1))
    # One token, two experts a token: the first two of seven.
    assert called == {f"{experts}.0", f"{experts}.1"}
    assert f"{experts}.6.down_proj.weight" in model.state_dict()


def test_learned_routing_on_meta_is_refused_with_a_remedy() -> None:
    model = build_reference(TINY, expert_routing="learned")
    with pytest.raises(TraceError, match=r'learned routing depends on data.*expert_routing="even"'):
        model(ids_on_meta(1, 5), build_cache(TINY, 1, 5))


def test_a_second_prefill_is_refused() -> None:
    model = build_reference(TINY, expert_routing="even")
    cache = build_cache(TINY, 1, 11)
    model(ids_on_meta(1, 5), cache)
    with pytest.raises(TraceError, match="one token at a time; expected one position; found 3"):
        model(ids_on_meta(1, 3), cache)
