"""Formulas of ranks, with both degrees as symbols: what they say is what plans count, and adds up to the model."""

from __future__ import annotations

import random
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
import sympy

import deepseek_ocr_costs as costs
import modelmeter
from llm_perf_opt.planning.parallel import Degrees, Partition
from modelmeter.analysis.division import EXPERT_PARALLEL_SIZE, RANK, TENSOR_PARALLEL_SIZE, RankFormulas
from modelmeter.compiled_model import CompiledModel
from modelmeter.model.serving import find_serving
from modelmeter.support.errors import WorkloadError

DEGREES = [(1, 1), (2, 1), (2, 2), (5, 1), (5, 5), (10, 1), (10, 2), (10, 5), (10, 10)]
"""Ten heads allow these; ten ranks in five groups have two ranks each."""


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return modelmeter.load("deepseek-ocr")


@pytest.fixture(scope="module")
def formulas(model: CompiledModel) -> RankFormulas:
    return model.rank_formulas()


def divide(tensor: int, expert: int) -> Partition:
    return Partition(costs=costs, serving=find_serving(), degrees=Degrees(tensor=tensor, expert=expert))


def test_formulas_are_what_plans_count_at_random_points(model: CompiledModel, formulas: RankFormulas) -> None:
    generator = random.Random(31)
    for _ in range(200):
        tensor, expert = generator.choice(DEGREES)
        rank, partition = generator.randrange(tensor), divide(tensor, expert)
        sizes = {
            "batch_size": generator.randrange(1, 97), "seq_len": generator.randrange(1, 4001),
            "activation_bits": generator.choice((8, 16, 32)), "kv_bits": generator.choice((4, 8, 16)),
            "weight_bits": generator.choice((3, 4, 8, 16)), "decode_steps": 1,
        }  # fmt: skip
        sizes["logits_tokens"] = generator.randrange(1, sizes["seq_len"] + 1)
        values = {
            **model.defaults, **sizes, "tensor_parallel_size": tensor, "expert_parallel_size": expert, "rank": rank,
        }  # fmt: skip
        formulas.check(values)

        def find(formula: sympy.Expr, values: dict[str, int] = values) -> Fraction:
            return Fraction(modelmeter.evaluate(formula, values))

        assert ceil(find(formulas.weight_bytes)) == partition.count_weight_bytes(rank, weight_bits=sizes["weight_bits"])
        whole = costs.prefill(**take(costs.prefill, sizes)).kv_cache_bytes
        assert find(formulas.kv_cache_bytes) == partition.find_cache_share(rank) * whole
        for stage, tokens, logits in (
            ("prefill", sizes["batch_size"] * sizes["seq_len"], sizes["batch_size"] * sizes["logits_tokens"]),
            ("decode", sizes["batch_size"], sizes["batch_size"]),
        ):
            transfers = partition.list_transfers(tokens, logits, sizes["activation_bits"])
            assert find(formulas.sent_bytes[stage]) == sum(each.sent_bytes for each in transfers)
            rows = getattr(costs.breakdown, f"{stage}_operators")
            written = sum(
                partition.find_share(row.path, rank) * row.activation_bits for row in rows(**take(rows, sizes))
            )
            assert find(formulas.activation_bytes[stage]) == Fraction(written, 8)


def take(function: Any, sizes: dict[str, int]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if name in function.__kwdefaults__}


@pytest.mark.parametrize(("tensor", "expert"), DEGREES)
def test_ranks_add_up_to_the_model_and_what_is_replicated(
    model: CompiledModel, formulas: RankFormulas, tensor: int, expert: int
) -> None:
    """The architecture and both degrees are numbers, all other sizes symbols: the expanded difference is 0."""
    architecture = {model.symbol(name): size for name, size in model.architecture.dimension_values().items()}
    degrees = {TENSOR_PARALLEL_SIZE.symbol: tensor, EXPERT_PARALLEL_SIZE.symbol: expert}

    def add_up(formula: sympy.Expr) -> sympy.Expr:
        filled = formula.xreplace({old: sympy.Integer(new) for old, new in (architecture | degrees).items()})
        return sympy.Add(*(filled.xreplace({RANK.symbol: sympy.Integer(rank)}) for rank in range(tensor)))

    # 3,336,106,240 parameters, and by name those that are on every rank.
    replicated = sum(divide(tensor, expert).list_replicated(weight_bits=16).values()) / Fraction(16)
    assert replicated.denominator == 1
    held = sympy.Integer(3_336_106_240 + replicated.numerator) * model.symbol("weight_bits") / 8
    assert sympy.expand(add_up(formulas.weight_bytes) - held) == 0
    # 12 layers of keys and values of 10 heads of 128; on up to ten ranks no head is on two.
    cache = model.symbol("batch_size") * model.symbol("seq_len") * 12 * 2 * 10 * 128 * model.symbol("kv_bits") / 8
    assert sympy.expand(add_up(formulas.kv_cache_bytes) - cache) == 0
    whole = model.formula("prefill", "activation_bytes")
    norms = add_up(formulas.activation_bytes["prefill"]) - whole
    beside = sum(
        (tensor - 1) * row.cost.activation_bytes
        for row in model.operators("prefill")
        if divide(tensor, expert).find_rule(row.path) is None
    )
    filled = sympy.sympify(beside).xreplace({old: sympy.Integer(new) for old, new in architecture.items()})
    assert sympy.expand(norms - filled) == 0


def test_the_symbols_are_the_degrees_and_sizes_of_the_model(model: CompiledModel, formulas: RankFormulas) -> None:
    found = {symbol.name for symbol in formulas.weight_bytes.free_symbols}
    assert {"tensor_parallel_size", "expert_parallel_size", "rank", "weight_bits", "n_routed_experts"} <= found
    assert {symbol.name for symbol in formulas.sent_bytes["decode"].free_symbols} == {
        "tensor_parallel_size", "batch_size", "activation_bits", "hidden_size", "vocab_size", "num_hidden_layers",
        "first_k_dense_replace",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tensor", "expert", "message"),
    [
        (4, 1, r"attention heads cannot be divided .* a divisor of 10; found 4"),
        (5, 2, "expert_parallel_size: experts cannot be divided so; expected a divisor of 5; found 2"),
    ],
)
def test_degrees_that_do_not_divide_are_refused(
    model: CompiledModel, formulas: RankFormulas, tensor: int, expert: int, message: str
) -> None:
    with pytest.raises(WorkloadError, match=message):
        formulas.check({**model.defaults, "tensor_parallel_size": tensor, "expert_parallel_size": expert})


def test_few_heads_of_keys_are_replicated(model: CompiledModel, formulas: RankFormulas) -> None:
    """Five heads of keys on ten ranks: each is on two, so that all ranks have the cache twice."""
    values = {
        **model.defaults, "num_key_value_heads": 5, "seq_len": 7, "batch_size": 3, "tensor_parallel_size": 10,
        "expert_parallel_size": 1,
    }  # fmt: skip
    formulas.check(values)
    each = modelmeter.evaluate(formulas.kv_cache_bytes, values)
    assert each == 3 * 7 * 12 * 2 * 1 * 128 * 16 // 8
