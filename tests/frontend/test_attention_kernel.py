"""What one kernel reads of attention that PyTorch's operator is given a mask and copied keys for.

What is expected is arithmetic at sizes that are all distinct.
"""

from __future__ import annotations

from collections.abc import Callable

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
    SHARED,
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

from modelmeter.frontend.recording import Recording
from modelmeter.metrics.cost import Elements
from modelmeter.metrics.operator_table import ATTENTION, ATTENTION_REST, EAGER_ATTENTION
from modelmeter.verify.counting import count_forward

PAIRS = QUERIES * KEYS
"""A mask that all sequences and heads share."""

COPIED_KEY, COPIED_VALUE = BATCH * HEADS * KEYS * WIDTH, BATCH * HEADS * KEYS * DEPTH
SHARED_KEY, SHARED_VALUE = Elements(activation=KEY), Elements(activation=VALUE)


def attend(net: Net, attn_mask: Tensor | None, key: Tensor | None = None, value: Tensor | None = None) -> Tensor:
    """Call the operator; keys and values are copied to all heads if nothing else is said."""
    return functional.scaled_dot_product_attention(
        net.query,
        Copies.forward(net.copies, net.key) if key is None else key,
        Copies.forward(net.copies, net.value) if value is None else value,
        attn_mask=attn_mask,
    )


def list_reads(found: Recording, name: str) -> list[Elements]:
    return [each.reads for each in found.operators if each.name == name]


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        (lambda net: attend(net, mask()), Elements(activation=PAIRS)),
        # A boolean takes a byte.
        (lambda net: attend(net, mask() < 0), Elements(byte=PAIRS)),
        # A mask for each sequence, of slopes of heads: it hangs on positions all the same.
        (
            lambda net: attend(net, mask() * torch.arange(BATCH * HEADS, device="meta").view(BATCH, HEADS, 1, 1)),
            Elements(activation=BATCH * HEADS * PAIRS),
        ),
        # Copies without a mask.
        (lambda net: attend(net, None), Elements()),
    ],
)
def test_a_kernel_reads_keys_before_they_are_copied_and_no_mask_of_positions(body: Body, masked: Elements) -> None:
    found, net = record(body)
    (kernel,) = (each for each in found.operators if each.name == ATTENTION)
    assert kernel.reads == Elements(activation=QUERY + KEY + VALUE)
    assert kernel.writes == Elements(activation=OUTPUT)
    (rest,) = (each for each in found.operators if each.name == ATTENTION_REST)
    assert rest.reads == masked + Elements(activation=COPIED_KEY + COPIED_VALUE)
    assert rest.writes == Elements()
    # What the copies read is the kernel's; they are still written.
    copies = [each for each in found.operators if each.name == "clone"]
    assert [each.reads for each in copies] == [Elements(), Elements()]
    assert [each.writes.activation for each in copies] == [COPIED_KEY, COPIED_VALUE]
    expect_the_same_sums(found, net)
    (counted,) = (each for each in count_forward(net, net).operators if each.name == ATTENTION)
    ours, theirs = ((each.tensor_core_flops, each.cuda_core_flops, each.scores) for each in (kernel, counted))
    assert ours == theirs


def written_by_data(net: Net) -> Tensor:
    known = mask().expand(BATCH, 1, -1, -1).contiguous()
    known.add_(net.bias)
    return attend(net, known)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        # A bias that was given, as one of padding, and whatever is made of it; a bias of parameters.
        (lambda net: attend(net, net.bias), Elements(activation=BATCH * PAIRS)),
        (lambda net: attend(net, mask() + net.bias), Elements(activation=BATCH * PAIRS)),
        (lambda net: attend(net, torch.where(net.bias < 0, mask(), 0.0)), Elements(activation=BATCH * PAIRS)),
        (written_by_data, Elements(activation=BATCH * PAIRS)),
        (lambda net: attend(net, mask() * net.sinks.view(HEADS, 1, 1)), Elements(activation=HEADS * PAIRS)),
        (lambda net: attend(net, net.sinks.view(HEADS, 1, 1).expand(-1, QUERIES, KEYS)), Elements(weight=HEADS)),
    ],
)
def test_a_mask_that_hangs_on_data_is_read(body: Body, read: Elements) -> None:
    found, net = record(body)
    assert list_reads(found, ATTENTION) == [read + Elements(activation=QUERY + KEY + VALUE)]
    expect_the_same_sums(found, net)


def copy_and_change(net: Net) -> Tensor:
    key = Copies.forward(net.copies, net.key)
    key.mul_(2)
    return attend(net, mask(), key)


def copy_a_part(net: Net) -> Tensor:
    """Only the first keys of the copies are given."""
    key, value = (Copies.forward(net.copies, shared)[:, :, :3] for shared in (net.key, net.value))
    return attend(net, mask()[:, :3], key, value)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        # Another module copies the keys: what it reads is its own.
        (lambda net: attend(net, mask(), net.copies(net.key)), COPIED_KEY + VALUE),
        (lambda net: attend(net, mask(), net.copies(net.key).clone()), COPIED_KEY + VALUE),
        (copy_and_change, COPIED_KEY + VALUE),
        (copy_a_part, (COPIED_KEY + COPIED_VALUE) * 3 // 7),
        # Numbers that are new, and two tensors that are joined.
        (lambda net: attend(net, mask(), Copies.forward(net.copies, net.key) * 2), COPIED_KEY + VALUE),
        (lambda net: attend(net, mask(), torch.cat([net.key, net.key], 1)), COPIED_KEY + VALUE),
    ],
)
def test_what_is_no_copy_of_the_module_is_read_as_it_is_given(body: Body, read: int) -> None:
    found, net = record(body)
    assert list_reads(found, ATTENTION) == [Elements(activation=QUERY + read)]
    expect_the_same_sums(found, net)


@pytest.mark.parametrize(
    "copy",
    [
        lambda key: key.repeat(1, HEADS // SHARED, 1, 1),
        # Once more, into another order: what is read is what the first copy read.
        lambda key: key.repeat(1, HEADS // SHARED, 1, 1).transpose(1, 2).contiguous().transpose(1, 2),
        lambda key: key.repeat_interleave(HEADS // SHARED, 1).contiguous(),
    ],
)
def test_copies_are_made_in_other_ways(copy: Callable[[Tensor], Tensor]) -> None:
    found, net = record(lambda net: attend(net, mask(), copy(net.key)))
    assert list_reads(found, ATTENTION) == [Elements(activation=QUERY + KEY + VALUE)]
    expect_the_same_sums(found, net)


def test_queries_that_are_keys_and_values_too_are_read_once() -> None:
    def share(net: Net) -> Tensor:
        shared = Copies.forward(net.copies, net.key)
        return functional.scaled_dot_product_attention(shared, shared, shared)

    found, net = record(share)
    assert list_reads(found, ATTENTION) == [SHARED_KEY]
    expect_the_same_sums(found, net)


def test_a_copy_of_another_modules_copy_is_no_part_of_the_attention() -> None:
    """It reads as much as the operator."""
    found, net = record(lambda net: attend(net, mask(), net.copies(net.key).clone()))
    assert Elements(activation=COPIED_KEY) in list_reads(found, "clone")
    expect_the_same_sums(found, net)


def test_copies_in_another_order_are_left_as_they_are() -> None:
    """As many numbers as before: a kernel reads no less, and the copy stays an operator of its own."""

    def turn(net: Net) -> Tensor:
        key = net.query.new_ones(BATCH, KEYS, HEADS, WIDTH).transpose(1, 2).contiguous()
        return attend(net, mask(), key)

    found, net = record(turn)
    assert list_reads(found, ATTENTION) == [Elements(activation=QUERY + COPIED_KEY + VALUE)]
    assert list_reads(found, "clone") == [Elements(activation=COPIED_KEY), Elements()]
    expect_the_same_sums(found, net)


def test_what_two_read_is_of_the_first() -> None:
    """As of layers that share their keys: what copied them read them once, and that is moved to one kernel."""

    def twice(net: Net) -> Tensor:
        key, value = (Copies.forward(net.copies, shared) for shared in (net.key, net.value))
        return attend(net, mask(), key, value) + attend(net, mask(), key, value)

    found, net = record(twice)
    assert list_reads(found, ATTENTION) == [
        Elements(activation=QUERY + KEY + VALUE), Elements(activation=QUERY + COPIED_KEY + COPIED_VALUE)
    ]  # fmt: skip
    expect_the_same_sums(found, net)


def test_spelled_out_attention_takes_no_copy_of_a_kernel() -> None:
    def mixed(net: Net) -> Tensor:
        key, value = (Copies.forward(net.copies, shared) for shared in (net.key, net.value))
        return attend(net, mask(), key, value) + (net.query @ key.transpose(2, 3)).softmax(-1) @ value

    found, net = record(mixed)
    assert list_reads(found, ATTENTION) == [Elements(activation=QUERY + KEY + VALUE)]
    assert list_reads(found, EAGER_ATTENTION) == []
    expect_the_same_sums(found, net)


def test_keys_that_are_values_too_are_read_once() -> None:
    def share(net: Net) -> Tensor:
        key, value = (Copies.forward(net.copies, net.key) for _ in range(2))
        return attend(net, mask(), key, value)

    found, net = record(share)
    assert list_reads(found, ATTENTION) == [Elements(activation=QUERY + KEY)]
    assert list_reads(found, ATTENTION_REST) == [Elements(activation=PAIRS + 2 * COPIED_KEY)]
    assert list_reads(found, "clone") == [Elements(), SHARED_KEY]
    expect_the_same_sums(found, net)


def test_a_copy_that_others_read_too_is_still_read_by_them() -> None:
    def reuse(net: Net) -> Tensor:
        value = Copies.forward(net.copies, net.value)
        return attend(net, mask(), value=value) @ value.new_ones(DEPTH, 1) + value.sum()

    found, net = record(reuse)
    assert list_reads(found, ATTENTION) == [Elements(activation=QUERY + KEY + VALUE)]
    assert list_reads(found, "sum") == [Elements(activation=COPIED_VALUE)]
    expect_the_same_sums(found, net)


def test_an_operator_that_is_given_no_more_than_a_kernel_needs_is_left_as_it_is() -> None:
    def share_heads(net: Net) -> Tensor:
        return functional.scaled_dot_product_attention(
            net.query, net.key, net.value, enable_gqa=True, is_causal=True, scale=0.5
        )

    found, _ = record(share_heads)
    assert [each.name for each in found.operators] == [ATTENTION]
    assert list_reads(found, ATTENTION) == [Elements(activation=QUERY) + SHARED_KEY + SHARED_VALUE]


def test_what_comes_of_products_that_are_no_attention_is_like_any_other_tensor() -> None:
    """As in a tower whose first part adds a bias of products: keys behind it are followed, and so is a bias itself."""

    def go_through_products(net: Net) -> Tensor:
        mixed = (net.key @ net.key.transpose(2, 3)).sigmoid() @ net.value
        key = Copies.forward(net.copies, net.key + mixed.sum())
        bias = net.query @ net.query.transpose(2, 3).new_ones(BATCH, HEADS, WIDTH, KEYS)
        return attend(net, bias.relu(), key)

    found, net = record(go_through_products)
    # A bias for each head hangs on queries.
    assert list_reads(found, ATTENTION) == [Elements(activation=QUERY + KEY + VALUE + BATCH * HEADS * PAIRS)]
    expect_the_same_sums(found, net)
