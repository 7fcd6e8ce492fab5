"""Attention that code spells out is found by its operators, and what one kernel would move of it is told apart.

What is expected is arithmetic at sizes that are all distinct.
"""

from __future__ import annotations

import pytest
import torch
from attention_nets import (
    BATCH,
    DEPTH,
    HEADS,
    KEY,
    KEYS,
    OUTPUT,
    QUERIES,
    QUERY,
    VALUE,
    WIDTH,
    Body,
    Copies,
    Net,
    expect_the_same_sums,
    mask,
    record,
)
from torch import Tensor
from torch.nn import functional

from modelmeter.graph.dtypes import default_dtype
from modelmeter.metrics.cost import Elements
from modelmeter.metrics.operator_table import EAGER_ATTENTION, EAGER_ATTENTION_REST

SCORES = BATCH * HEADS * QUERIES * KEYS
PRODUCTS = 2 * SCORES * WIDTH + 2 * SCORES * DEPTH


def with_sinks(net: Net) -> Tensor:
    columns = net.sinks.reshape(1, HEADS, 1, 1).expand(BATCH, -1, QUERIES, -1)
    joined = torch.cat([net.scores + mask(), columns], dim=-1)
    joined = joined - joined.max(dim=-1, keepdim=True).values
    return net.end(joined.softmax(-1)[..., :-1])


def scaled_by_sinks(net: Net) -> Tensor:
    scores = net.scores
    return net.end(scores.softmax(-1)) * (scores.logsumexp(-1) - net.sinks[:, None]).sigmoid()[..., None]


def early_sinks(net: Net) -> Tensor:
    scores = net.scores
    scale = (scores.logsumexp(-1) - net.sinks[:, None]).sigmoid()[..., None]
    return net.end(scores.softmax(-1)) * scale


@pytest.mark.parametrize(
    ("body", "read", "vector"),
    [
        # A scale of one product of each score, and five FLOPs of the softmax.
        (lambda net: net.end((net.scores * 0.1).softmax(-1)), Elements(), SCORES * 6),
        # A mask of positions is not read; its sum is one FLOP more of each score.
        (lambda net: net.end((net.scores + mask()).softmax(-1)), Elements(), SCORES * 6),
        # A bias of others is: the same one for all heads.
        (lambda net: net.end((net.scores + net.bias).softmax(-1)), Elements(activation=BATCH * 35), SCORES * 6),
        # Quotient, tanh and product of a softcap.
        (lambda net: net.end((torch.tanh(net.scores / 50) * 50).softmax(-1)), Elements(), SCORES * 8),
        # Six sinks; a sum with the mask, and a comparison, a difference and a softmax of 8 columns and not of 7.
        (with_sinks, Elements(weight=6), SCORES + 7 * SCORES // 7 * 8),
        # What a softmax divides by is four FLOPs, and one number of each row, which scales the output.
        (early_sinks, Elements(), SCORES * 9),
        (lambda net: net.end(net.scores.masked_fill(mask() < 0, -1e9).softmax(-1)), Elements(), SCORES * 5),
        (lambda net: net.end(net.scores.mul_(0.1).softmax(-1)), Elements(), SCORES * 6),
    ],
)
def test_a_kernel_reads_what_is_not_copied_yet_and_writes_the_output(body: Body, read: Elements, vector: int) -> None:
    found, net = record(body)
    (kernel,) = (each for each in found.operators if each.name == EAGER_ATTENTION)
    assert kernel.reads == read + Elements(activation=QUERY + KEY + VALUE)
    assert kernel.writes == Elements(activation=OUTPUT)
    assert (kernel.tensor_core_flops, kernel.cuda_core_flops) == (PRODUCTS, vector)
    expect_the_same_sums(found, net)


def compute_in_float32(net: Net) -> Tensor:
    scores = net.query.float() @ Copies.forward(net.copies, net.key).float().transpose(2, 3)
    return net.end(scores.softmax(-1).to(net.query.dtype))


@pytest.mark.parametrize(
    ("dtype", "query"),
    [(torch.bfloat16, Elements(float32=QUERY)), (torch.float32, Elements(activation=QUERY))],
)
def test_keys_that_are_copied_and_then_cast_are_read_before_both(dtype: torch.dtype, query: Elements) -> None:
    """So the kernel reads as much where a cast runs as where the model computes in that type, and none does."""
    with default_dtype(dtype):
        found, net = record(compute_in_float32)
        (kernel,) = (each for each in found.operators if each.name == EAGER_ATTENTION)
        assert kernel.reads == query + Elements(activation=KEY + VALUE)
        expect_the_same_sums(found, net)


def keep(net: Net) -> Tensor:
    weights = net.scores.softmax(-1)
    net.kept.append(weights)
    return net.end(weights)


def read_again(net: Net) -> Tensor:
    weights = net.scores.softmax(-1)
    output = net.end(weights)
    weights.sum()
    return output


def subtract(net: Net) -> Tensor:
    return net.end(net.scores.softmax(-1) - net.scores.softmax(-1))


def sinks_in_front(net: Net) -> Tensor:
    columns = net.sinks.reshape(1, HEADS, 1, 1).expand(BATCH, -1, QUERIES, -1)
    return net.end(torch.cat([columns, net.scores], dim=-1).softmax(-1)[..., 1:])


@pytest.mark.parametrize(
    "body",
    [
        keep,
        read_again,
        subtract,
        sinks_in_front,
        scaled_by_sinks,
        lambda net: (weights := net.scores.softmax(-1), net.end(weights)),
        lambda net: net.end(net.scores.softmax(-2)),
        lambda net: net.end(net.scores.softmax(1)),
        lambda net: net.end(net.scores.sigmoid()),
        lambda net: net.end(net.scores.cumsum(-1).softmax(-1)),
        lambda net: net.end(net.scores.softmax(-1).flip(-1)),
        lambda net: net.scores[..., :3].softmax(-1) @ Copies.forward(net.copies, net.value)[:, :, :3],
        # Another module copies the keys: what it reads is its own, also if they are copied once more.
        lambda net: net.end((net.query @ net.copies(net.key).transpose(2, 3)).softmax(-1)),
        lambda net: net.end((net.query @ net.copies(net.key).clone().transpose(2, 3)).softmax(-1)),
    ],
)
def test_what_is_not_that_pattern_is_left_as_it_is(body: Body) -> None:
    found, net = record(body)
    names = {each.name for each in found.operators}
    assert "bmm" in names
    assert names.isdisjoint({EAGER_ATTENTION, EAGER_ATTENTION_REST})
    expect_the_same_sums(found, net)


def test_scores_that_are_turned_round_are_no_rows() -> None:
    """As many queries as keys have the same shape both ways; the memory tells them apart."""
    found, _ = record(lambda net: net.end(net.scores.softmax(-1)), KEYS)
    assert EAGER_ATTENTION in {each.name for each in found.operators}
    for body in (
        lambda net: net.end(net.scores.softmax(-1).transpose(-1, -2)),
        lambda net: net.end(net.scores.transpose(-1, -2).softmax(-1)),
    ):
        found, _ = record(body, KEYS)
        assert EAGER_ATTENTION not in {each.name for each in found.operators}


def test_copies_as_often_as_a_tensor_says_are_followed_by_nothing() -> None:
    found, _ = record(
        lambda net: torch.repeat_interleave(net.bias, torch.full((2,), 3, device="meta"), 0, output_size=6)
    )
    assert EAGER_ATTENTION not in {each.name for each in found.operators}


def test_a_fused_operator_is_no_other() -> None:
    """The call of the fused operator on the same tensors reads and writes as much, but copied keys and values."""

    def attend(net: Net) -> Tensor:
        return functional.scaled_dot_product_attention(net.query, net.key, net.value, enable_gqa=True)

    found, _ = record(attend)
    (fused,) = found.operators
    assert fused.reads == Elements(activation=QUERY + KEY + VALUE)
    assert fused.writes == Elements(activation=OUTPUT)
