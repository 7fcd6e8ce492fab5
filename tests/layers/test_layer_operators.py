"""The operators that several layers call."""

from __future__ import annotations

from sympy import expand, symbols

from modelmeter.cost import Elements
from modelmeter.functions import Equals
from modelmeter.layers.operators import (
    add_residual,
    apply_pointwise,
    attend,
    concatenate,
    gather_rows,
    read_table,
    resize_table,
)

n, q, k, h, d, g = symbols("n q k h d g", positive=True, integer=True)


def test_attention_costs_two_products_and_a_softmax_over_the_full_rectangle_and_never_stores_it() -> None:
    """There are n sequences, q queries of h heads, k keys of g heads, d channels a head."""
    fused = attend(sequences=n, queries=q, keys=k, num_heads=h, query_width=h * d, key_width=g * d)
    assert expand(fused.tensor_core_flops - 2 * (2 * n * h * q * k * d)) == 0
    assert fused.cuda_core_flops == 6 * n * h * q * k
    assert fused.reads == Elements(activation=n * q * h * d + 2 * n * k * g * d)
    assert fused.writes == Elements(activation=n * q * h * d)


def test_cached_keys_and_values_are_read_from_the_cache() -> None:
    sizes = {"sequences": n, "queries": q, "keys": k, "num_heads": h, "query_width": h * d, "key_width": g * d}
    cached, fresh = attend(**sizes, is_cached=True), attend(**sizes)
    assert cached.reads == Elements(activation=n * q * h * d, kv=2 * n * k * g * d)
    assert (cached.tensor_core_flops, cached.writes) == (fresh.tensor_core_flops, fresh.writes)


def test_a_residual_reads_both_sides_and_adds_each_element_once() -> None:
    add = add_residual(n)
    assert (add.name, add.cuda_core_flops, add.reads, add.writes) == (
        "add", n, Elements(activation=2 * n), Elements(activation=n),
    )  # fmt: skip


def test_a_pointwise_function_has_the_weight_of_the_table() -> None:
    # sign, exp, sum, reciprocal
    assert apply_pointwise("sigmoid", n, reads=Elements(activation=n)).cuda_core_flops == 4 * n


def test_moving_costs_bytes_only() -> None:
    """A concatenation reads what it writes; a gather reads the rows that it takes, and an index for each."""
    joined, taken = concatenate(n), gather_rows(n * d, indices=n)
    assert joined.reads == joined.writes == Elements(activation=n)
    assert taken.reads == Elements(activation=n * d, index=n)
    assert taken.writes == Elements(activation=n * d)
    assert joined.cuda_core_flops == joined.tensor_core_flops == taken.cuda_core_flops == taken.tensor_core_flops == 0
    assert concatenate(n, reads=Elements(activation=q, weight=k)).reads == Elements(activation=q, weight=k)
    assert gather_rows(n, indices=q, reads=Elements(weight=n)).reads == Elements(weight=n, index=q)


def test_a_resize_that_is_not_needed_costs_nothing() -> None:
    table = {"source": q, "target": k, "reads": Elements(weight=q)}
    needed, idle = (resize_table("upsample_linear1d", needed=flag, **table) for flag in (1, 0))
    # Two products and a sum for each element of the target.
    assert (needed.cuda_core_flops, needed.reads, needed.writes) == (3 * k, Elements(weight=q), Elements(activation=k))
    assert (idle.cuda_core_flops, idle.reads, idle.writes) == (0, Elements(), Elements())


def test_a_table_is_read_as_it_is_stored_or_as_its_resized_copy() -> None:
    """Exactly one of the two, whatever the sides are."""
    assert read_table(n, side=7, pretrain_side=7, needed=0) == Elements(weight=n)
    assert read_table(n, side=5, pretrain_side=7, needed=1) == Elements(activation=n)
    assert read_table(n, side=q, pretrain_side=k, needed=1).weight == n * Equals(q, k)
