"""The decoder of the reference model: chunks of a prompt, where even routing sends tokens, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from model_inputs import build_cache, ids_on_meta, record_calls
from oracle import TINY
from torch import nn
from torch.nn import functional

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.models.deepseek_ocr.reference_decoder import (
    DeepseekV2MoE,
    DeepseekV2RMSNorm,
    LlamaRotaryEmbedding,
    mask_cached,
    rotate_half,
    split_evenly,
)
from modelmeter.support.errors import TraceError

# --- chunks of a prompt ------------------------------------------------------------------------------------


def build_real(architecture: DeepSeekOCRArchitecture) -> nn.Module:
    torch.manual_seed(13)
    model = build_reference(architecture, expert_routing="learned", device="cpu", dtype=torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


@pytest.mark.parametrize("chunks", [(5, 7, 11), (1, 9, 13), (21, 2), (1, 1, 21), (7, 1, 15)], ids=str)
@pytest.mark.parametrize("key_value_heads", [2, 6])
def test_a_prompt_in_chunks_has_the_logits_of_the_whole(chunks: tuple[int, ...], key_value_heads: int) -> None:
    """Every position sees those before it and itself, whichever chunk they came in: 23 positions of 3 sequences."""
    architecture = evolve(TINY, num_key_value_heads=key_value_heads)
    model = build_real(architecture)
    ids = torch.randint(0, 50, (3, 23))
    like = torch.zeros(0, dtype=torch.float64)
    with torch.no_grad():
        whole = model(ids, build_cache(architecture, 3, 23, like=like))
        cache, parts = build_cache(architecture, 3, 23, like=like), []
        for start, chunk in zip((sum(chunks[:index]) for index in range(len(chunks))), chunks, strict=True):
            parts.append(model(ids[:, start : start + chunk], cache))
            if not start:
                cache.make_room()
    assert cache.length == 23
    # Both round norms, angles and weights of experts to 24 bits, of the same numbers; logits are of the order of 10.
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0.0, atol=1e-5)


def test_a_position_does_not_see_what_comes_after_it() -> None:
    """Nor does what a chunk stands behind see the chunk."""
    model, like = build_real(TINY), torch.zeros(0, dtype=torch.float64)
    ids = torch.randint(0, 50, (1, 17))
    changed = ids.clone()
    changed[:, 11:] = (changed[:, 11:] + 7) % 50
    with torch.no_grad():
        outputs = []
        for each in (ids, changed):
            cache = build_cache(TINY, 1, 17, like=like)
            first = model(each[:, :5], cache)
            cache.make_room()
            outputs.append(torch.cat((first, model(each[:, 5:], cache)), dim=1))
    assert torch.equal(outputs[0][:, :11], outputs[1][:, :11])
    assert not torch.isclose(outputs[0][:, 11:], outputs[1][:, 11:]).all(dim=-1).any()


def test_the_mask_of_a_chunk_shows_what_is_cached_and_its_own_triangle() -> None:
    """3 queries behind 4 cached keys; 2 heads of 5 channels."""
    query, key = torch.zeros(1, 2, 3, 5), torch.zeros(1, 2, 7, 5)
    mask = mask_cached(query, key)
    assert mask is not None
    assert mask.tolist() == [
        [True, True, True, True, True, False, False],
        [True, True, True, True, True, True, False],
        [True, True, True, True, True, True, True],
    ]


def test_on_the_meta_device_there_is_nothing_to_be_masked_and_no_mask_is_stored() -> None:
    assert mask_cached(torch.zeros(1, 2, 3, 5, device="meta"), torch.zeros(1, 2, 7, 5, device="meta")) is None


# --- norms and angles --------------------------------------------------------------------------------------


def test_a_norm_works_in_float32_and_returns_the_type_of_its_input() -> None:
    norm = DeepseekV2RMSNorm(7).to(torch.bfloat16)
    torch.manual_seed(3)
    features = torch.randn(5, 7).to(torch.bfloat16)
    found = norm(features)
    assert found.dtype == torch.bfloat16
    wide = features.double()
    exact = wide / (wide.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
    # One rounding to 8 bits at the end; squares and means in bfloat16 would add several.
    assert (found.double() - exact).abs().max() <= exact.abs().max() * 2.0**-8
    assert torch.equal(found, exact.float().to(torch.bfloat16))


def test_angles_are_positions_by_frequencies_that_fall_from_1() -> None:
    """Channel pairs (j, j + 5) of 10 turn by p 10000^(-2j/10)."""
    rotary = LlamaRotaryEmbedding(10)
    positions = torch.tensor([[0, 3, 12], [1, 7, 912]])
    cos, sin = rotary(positions, torch.float32)
    assert cos.shape == sin.shape == (2, 3, 10)
    frequencies = torch.tensor([10000.0 ** (-2 * pair / 10) for pair in (*range(5), *range(5))], dtype=torch.float64)
    angles = positions[..., None].double() * frequencies
    # An angle of 912 is known to 912 / 2^24.
    torch.testing.assert_close(cos.double(), angles.cos(), rtol=0.0, atol=2e-4)
    torch.testing.assert_close(sin.double(), angles.sin(), rtol=0.0, atol=2e-4)
    assert all(each.dtype == torch.bfloat16 for each in rotary(positions, torch.bfloat16))


def test_halves_are_turned() -> None:
    assert rotate_half(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])).tolist() == [[-4.0, -5.0, -6.0, 1.0, 2.0, 3.0]]


# --- experts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wants_gradients", [True, False])
def test_experts_are_what_each_token_chose_weighted_by_its_scores(wants_gradients: bool) -> None:
    """In place where nothing has to be kept for a backward, and not where it has: the same sums."""
    torch.manual_seed(17)
    moe = DeepseekV2MoE(TINY, "learned")
    for parameter in moe.parameters():
        nn.init.normal_(parameter, std=0.3)
    tokens = torch.randn(2, 9, TINY.hidden_size)
    with torch.set_grad_enabled(wants_gradients):
        found = moe(tokens)
    with torch.no_grad():
        for row, result in zip(tokens.view(-1, TINY.hidden_size), found.view(-1, TINY.hidden_size), strict=True):
            scores = functional.softmax(moe.gate.weight @ row, dim=-1)
            weights, chosen = scores.topk(TINY.num_experts_per_tok)
            routed = sum(weight * moe.experts[int(index)](row) for weight, index in zip(weights, chosen, strict=True))
            expected = routed + moe.shared_experts(row)
            torch.testing.assert_close(result, expected, rtol=0.0, atol=1e-5)


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
