"""The expected reads of experts' weights, against every possible routing of a few tokens.

A trace routes in even shares; this is what the formula has in their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, product

import sympy

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import RoutedReads
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_moe import DeepseekV2MoE
from modelmeter.verify.proof import Verdict

POINTS = ((2, 1, 3), (3, 1, 4), (3, 2, 3), (4, 1, 5), (4, 3, 2), (5, 2, 3), (6, 3, 2), (7, 6, 2))
"""Experts, experts a token, and tokens."""

SIZES = {"hidden_size": 13, "moe_intermediate_size": 17}
_MATRIX = 13 * 17


def prove_routing() -> Iterator[Verdict]:
    """Yield a verdict at each point: on the reads of one matrix of all experts, in parameters."""
    layer = DeepseekV2MoE.canonical(DIMENSIONS)
    reads = {call for call in sympy.sympify(layer.cost.io_bytes).atoms(RoutedReads) if _has_matrix(call)}
    for experts, per_token, tokens in POINTS:
        sizes = {
            **SIZES, "n_routed_experts": experts, "num_experts_per_tok": per_token, "num_tokens": tokens,
        }  # fmt: skip
        # Half of a parameter is rounded up.
        measured = int(_mean_experts(experts, per_token, tokens) * _MATRIX + Fraction(1, 2))
        for call in sorted(reads, key=str):
            derived = evaluate(call, sizes)
            yield Verdict(
                implementation="enumeration",
                subject="model.layers.*.mlp",
                layer=type(layer).function_name(),
                stages="prefill",
                metric="io_bytes",
                kind="exact at n points",
                domain="; ".join(f"{name} = {size}" for name, size in sizes.items()),
                dimensions=("n_routed_experts", "num_experts_per_tok", "num_tokens"),
                derived=sympy.sympify(derived),
                measured=sympy.Integer(measured),
                difference=sympy.sympify(derived) - measured,
                seconds=0.0,
                note="the weights that the tokens read of one matrix of all experts",
            )


def _has_matrix(call: sympy.Expr) -> bool:
    """Tell whether the weights of a call are a matrix of the experts."""
    return bool(evaluate(call.args[-1], SIZES) == _MATRIX)


def _mean_experts(experts: int, per_token: int, tokens: int) -> Fraction:
    """Return how many experts take part in the mean over every possible choice of every token."""
    choices = list(combinations(range(experts), per_token))
    taking_part = [len(set().union(*routing)) for routing in product(choices, repeat=tokens)]
    return Fraction(sum(taking_part), len(taking_part))
