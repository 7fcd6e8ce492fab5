"""The decoder of DeepSeek-OCR as torch modules: attention with a cache, experts, and the layers of both."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.support.errors import TraceError

ExpertRouting = Literal["learned", "even"]
"""``learned``: the gate decides, which needs real data. ``even``: the N k assignments are split evenly over
the experts, the first ones taking the remainder; an expert without a token is not called."""

ROPE_THETA = 10000.0
RMS_NORM_EPS = 1e-6


def split_evenly(assignments: int, experts: int) -> list[int]:
    """Return how many of ``assignments`` each of ``experts`` takes when they are split evenly."""
    share, remainder = assignments // experts, assignments % experts
    return [share + 1] * remainder + [share] * (experts - remainder)


class DeepseekV2RMSNorm(nn.Module):
    """Root-mean-square norm over the last dimension, in float32."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.variance_epsilon = RMS_NORM_EPS

    def forward(self, hidden_states: Tensor) -> Tensor:
        wide = hidden_states.to(torch.float32)
        variance = wide.pow(2).mean(-1, keepdim=True)
        wide = wide * torch.rsqrt(variance + self.variance_epsilon)
        return self.weight * wide.to(hidden_states.dtype)


class LlamaRotaryEmbedding(nn.Module):
    """Cosines and sines of the rotary position embedding; a matrix product per decoder layer and sequence."""

    inv_freq: Tensor

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
        self.register_buffer("inv_freq", 1.0 / (ROPE_THETA**exponents), persistent=False)
        self.attention_scaling = 1.0

    def forward(self, position_ids: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        frequencies = self.inv_freq[None, :, None].float().expand(position_ids.shape[0], -1, 1)
        positions = position_ids[:, None, :].float()
        angles = (frequencies @ positions).transpose(1, 2)
        both_halves = torch.cat((angles, angles), dim=-1)
        cos = both_halves.cos()
        sin = both_halves.sin()
        cos = cos * self.attention_scaling
        sin = sin * self.attention_scaling
        return cos.to(dtype), sin.to(dtype)


def rotate_half(states: Tensor) -> Tensor:
    """Turn the halves (a, b) of the last dimension into (-b, a)."""
    half = states.shape[-1] // 2
    return torch.cat((-states[..., half:], states[..., :half]), dim=-1)


def apply_rotary_pos_emb(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate ``query`` and ``key`` (batch, heads, positions, head_dim) by their positions' angles."""
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    rotated_query = (query * cos) + (rotate_half(query) * sin)
    rotated_key = (key * cos) + (rotate_half(key) * sin)
    return rotated_query, rotated_key


def mask_cached(query: Tensor, key: Tensor) -> Tensor | None:
    """Return which keys a chunk of queries behind cached ones may see: of (queries, keys), or None on the meta device.

    Attention kernels take the sizes and a flag, and store no mask. Torch's function can only say so with a mask, which
    therefore exists only where there are numbers to be masked.
    """
    if query.device.type == "meta":
        return None
    queries, keys = query.shape[2], key.shape[2]
    return torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(diagonal=keys - queries)


class LlamaFlashAttention2(nn.Module):
    """Causal attention with grouped key/value heads, over the cache."""

    def __init__(self, architecture: DeepSeekOCRArchitecture, layer_index: int) -> None:
        super().__init__()
        self.layer_index = layer_index
        self.num_heads = architecture.num_attention_heads
        self.num_key_value_heads = architecture.num_key_value_heads
        self.head_dim = architecture.hidden_size // self.num_heads
        key_value_size = self.num_key_value_heads * self.head_dim
        self.q_proj = nn.Linear(architecture.hidden_size, architecture.hidden_size, bias=False)
        self.k_proj = nn.Linear(architecture.hidden_size, key_value_size, bias=False)
        self.v_proj = nn.Linear(architecture.hidden_size, key_value_size, bias=False)
        self.o_proj = nn.Linear(architecture.hidden_size, architecture.hidden_size, bias=False)
        self.rotary_emb = LlamaRotaryEmbedding(self.head_dim)

    def forward(self, hidden_states: Tensor, position_ids: Tensor, cache: KeyValueCache) -> Tensor:
        batch_size, positions, _ = hidden_states.shape
        query = self.q_proj(hidden_states)
        key = self.k_proj(hidden_states)
        value = self.v_proj(hidden_states)
        query = query.view(batch_size, positions, self.num_heads, self.head_dim).transpose(1, 2)
        key = key.view(batch_size, positions, self.num_key_value_heads, self.head_dim).transpose(1, 2)
        value = value.view(batch_size, positions, self.num_key_value_heads, self.head_dim).transpose(1, 2)
        cos, sin = self.rotary_emb(position_ids, value.dtype)
        query, key = apply_rotary_pos_emb(query, key, cos, sin)
        key, value = cache.update(self.layer_index, key, value)
        is_chunk = bool(positions > 1) and bool(cache.length > 0)
        attended = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask_cached(query, key) if is_chunk else None,
            is_causal=bool(positions > 1) and not is_chunk,
            # Symbolic sizes compare to symbolic truths.
            enable_gqa=bool(self.num_heads != self.num_key_value_heads),
        )
        attended = attended.transpose(1, 2).reshape(batch_size, positions, -1)
        return cast(Tensor, self.o_proj(attended))


class DeepseekV2MLP(nn.Module):
    """Gated MLP: down(silu(gate(x)) * up(x)). One expert, the shared experts, or a dense layer's."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)
        self.act_fn = nn.SiLU()

    def forward(self, hidden_states: Tensor) -> Tensor:
        gated = self.act_fn(self.gate_proj(hidden_states)) * self.up_proj(hidden_states)
        return cast(Tensor, self.down_proj(gated))


class MoEGate(nn.Module):
    """Softmax scores of all experts, and the best ``num_experts_per_tok`` of each token."""

    def __init__(self, architecture: DeepSeekOCRArchitecture) -> None:
        super().__init__()
        self.top_k = architecture.num_experts_per_tok
        self.routed_scaling_factor = 1.0
        self.weight = nn.Parameter(torch.empty(architecture.n_routed_experts, architecture.hidden_size))
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        tokens = hidden_states.view(-1, hidden_states.shape[-1])
        logits = functional.linear(tokens.type(torch.float32), self.weight.type(torch.float32))
        scores = logits.softmax(dim=-1, dtype=torch.float32)
        topk_weight, topk_index = torch.topk(scores, k=self.top_k, dim=-1, sorted=False)
        topk_weight = topk_weight * self.routed_scaling_factor
        return topk_weight, topk_index


class DeepseekV2MoE(nn.Module):
    """Routed experts, each on the tokens that chose it, plus the shared experts on all tokens."""

    def __init__(self, architecture: DeepSeekOCRArchitecture, expert_routing: ExpertRouting) -> None:
        super().__init__()
        self.expert_routing = expert_routing
        self.experts = nn.ModuleList(
            DeepseekV2MLP(architecture.hidden_size, architecture.moe_intermediate_size)
            for _ in range(architecture.n_routed_experts)
        )
        self.gate = MoEGate(architecture)
        self.shared_experts = DeepseekV2MLP(
            architecture.hidden_size, architecture.moe_intermediate_size * architecture.n_shared_experts
        )

    def forward(self, hidden_states: Tensor) -> Tensor:
        topk_weight, topk_index = self.gate(hidden_states)
        tokens = hidden_states.view(-1, hidden_states.shape[-1])
        routed = self._run_experts(tokens, topk_weight, topk_index).view(hidden_states.shape)
        return routed + cast(Tensor, self.shared_experts(hidden_states))

    def _run_experts(self, tokens: Tensor, topk_weight: Tensor, topk_index: Tensor) -> Tensor:
        """Sort the tokens by expert, run each expert on its run of them, and put the results back."""
        chosen = topk_index.new_zeros((topk_index.shape[0], len(self.experts)))
        chosen.scatter_(1, topk_index, 1)
        tokens_per_expert = chosen.sum(dim=0)
        order = topk_index.view(-1).argsort()
        sorted_tokens = tokens[order // topk_index.shape[1]]
        counts = self._count_tokens(tokens_per_expert, topk_index)
        shares = torch.split(sorted_tokens, counts)
        outputs = [expert(share) for expert, share, count in zip(self.experts, shares, counts, strict=True) if count]
        sorted_outputs = torch.cat(outputs, dim=0)
        unsorted = torch.empty_like(sorted_outputs)
        unsorted[order] = sorted_outputs
        if torch.is_grad_enabled():  # autograd needs what the weights multiply, so nothing works in place
            weighted = unsorted.view(*topk_index.shape, -1).type(topk_weight.dtype) * topk_weight.unsqueeze(dim=-1)
            return weighted.sum(dim=1).type(unsorted.dtype)
        return (
            unsorted.view(*topk_index.shape, -1)
            .type(topk_weight.dtype)
            .mul_(topk_weight.unsqueeze(dim=-1))
            .sum(dim=1)
            .type(unsorted.dtype)
        )

    def _count_tokens(self, tokens_per_expert: Tensor, topk_index: Tensor) -> list[int]:
        """Return how many tokens each expert takes."""
        if self.expert_routing == "even":
            return split_evenly(topk_index.numel(), len(self.experts))
        if topk_index.device.type == "meta":
            raise TraceError(
                "learned routing depends on data that meta tensors do not have", place="DeepseekV2MoE",
                remedy='build the reference model with expert_routing="even"',
            )  # fmt: skip
        return cast(list[int], tokens_per_expert.tolist())


class DeepseekV2DecoderLayer(nn.Module):
    """Attention and MLP, each behind a norm and with a residual add."""

    def __init__(self, architecture: DeepSeekOCRArchitecture, layer_index: int, expert_routing: ExpertRouting) -> None:
        super().__init__()
        self.self_attn = LlamaFlashAttention2(architecture, layer_index)
        self.mlp: nn.Module = (
            DeepseekV2MoE(architecture, expert_routing)
            if layer_index >= architecture.first_k_dense_replace
            else DeepseekV2MLP(architecture.hidden_size, architecture.intermediate_size)
        )
        self.input_layernorm = DeepseekV2RMSNorm(architecture.hidden_size)
        self.post_attention_layernorm = DeepseekV2RMSNorm(architecture.hidden_size)

    def forward(self, hidden_states: Tensor, position_ids: Tensor, cache: KeyValueCache) -> Tensor:
        residual = hidden_states
        hidden_states = self.input_layernorm(hidden_states)
        hidden_states = self.self_attn(hidden_states, position_ids, cache)
        hidden_states = residual + hidden_states
        residual = hidden_states
        hidden_states = self.post_attention_layernorm(hidden_states)
        hidden_states = self.mlp(hidden_states)
        return residual + hidden_states
