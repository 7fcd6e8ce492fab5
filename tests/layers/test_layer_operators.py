"""The operators that several layers call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import fields
from sympy import Integer, Symbol, expand, symbols, sympify

from modelmeter.dimensions.functions import Differs, Equals, Size
from modelmeter.layers.operators import (
    add_residual,
    apply_pointwise,
    attend,
    cast_indices,
    concatenate,
    copy,
    gather_rows,
    narrow,
    read_table,
    resize_table,
    sum_over,
    widen,
    widen_weights,
)
from modelmeter.metrics.cost import Elements, Operator, Work
from modelmeter.models.deepseek_ocr.dimensions import symbol

n, q, k, h, d, g = symbols("n q k h d g", positive=True, integer=True)
KINDS = [kind.name for kind in fields(Elements)]


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


def test_what_is_copied_is_read_once_and_written_once() -> None:
    assert copy(n) == Operator(name="clone", reads=Elements(activation=n), writes=Elements(activation=n))
    assert copy(n).backward == Work(), "its gradient is that of the copy"


# The operator and the kinds between which it casts.
CASTS = [(widen, "activation", "float32"), (widen_weights, "weight", "float32"), (narrow, "float32", "activation")]


@pytest.mark.parametrize(("cast", "source", "target"), CASTS)
def test_a_cast_moves_both_kinds_and_is_none_where_both_are_float32(
    cast: Callable[[Size], Operator], source: str, target: str
) -> None:
    operator = cast(n)
    assert operator.name == "_to_copy"
    assert operator.cuda_core_flops == operator.tensor_core_flops == 0
    widths = {"activation": "activation_bits", "weight": "weight_bits"}
    (deciding,) = (symbol(widths[kind]) for kind in (source, target) if kind in widths)
    for bits, count in ((16, n), (8, n), (33, n), (32, 0)):

        def substitute(size: Size, deciding: Symbol = deciding, bits: int = bits) -> Size:
            return sympify(size).xreplace({deciding: Integer(bits)})

        moved = {kind: substitute(getattr(operator.reads, kind)) for kind in KINDS}
        assert moved == {kind: count if kind == source else 0 for kind in KINDS}
        moved = {kind: substitute(getattr(operator.writes, kind)) for kind in KINDS}
        assert moved == {kind: count if kind == target else 0 for kind in KINDS}


def test_one_width_says_nothing_of_the_cast_of_the_other() -> None:
    assert free_sizes(widen(n)) == free_sizes(narrow(n)) == {"n", "activation_bits"}
    assert free_sizes(widen_weights(n)) == {"n", "weight_bits"}


def free_sizes(operator: Operator) -> set[str]:
    return {str(size) for kind in KINDS for size in sympify(getattr(operator.reads, kind)).free_symbols}


def test_indices_become_float32_whatever_the_activations_are() -> None:
    """Expanded ones are read once and written as often as they are seen."""
    assert cast_indices(q, n * q) == Operator(name="_to_copy", reads=Elements(index=q), writes=Elements(float32=n * q))


def test_a_bias_of_every_score_is_read_and_added_but_the_scores_are_never_stored() -> None:
    sizes = {"sequences": n, "queries": q, "keys": k, "num_heads": h, "query_width": h * d, "key_width": h * d}
    biased, plain = attend(**sizes, has_bias=True), attend(**sizes)
    assert biased.reads == plain.reads + Elements(activation=n * h * q * k)
    assert expand(biased.cuda_core_flops - 7 * n * h * q * k) == 0, "the scale, five of the softmax, and the sum"
    assert (biased.tensor_core_flops, biased.writes) == (plain.tensor_core_flops, plain.writes)


def test_a_table_is_resized_in_float32() -> None:
    linear = resize_table("upsample_linear1d", source=q, target=k)
    bicubic = resize_table("_upsample_bicubic2d_aa", source=q, target=k)
    for operator in (linear, bicubic):
        assert (operator.reads, operator.writes) == (Elements(float32=q), Elements(float32=k))
    # Two products and a sum for each element of the target; sixteen products and fifteen sums.
    assert (linear.cuda_core_flops, bicubic.cuda_core_flops) == (3 * k, 31 * k)


def test_a_table_is_read_as_it_is_stored_or_as_its_resized_copy() -> None:
    """Exactly one of the two, whatever the sides are."""
    assert read_table(n, side=7, pretrain_side=7) == Elements(weight=n)
    assert read_table(n, side=5, pretrain_side=7) == Elements(activation=n)
    either = read_table(n, side=q, pretrain_side=k)
    assert (either.weight, either.activation) == (n * Equals(q, k), n * Differs(q, k))


def test_what_was_broadcast_over_one_needs_no_sum() -> None:
    assert sum_over(n, 7) == n
    assert sum_over(n, 1) == 0
    assert sum_over(n, q) == n * Differs(q, 1)
