"""Steps of a serving engine: a chunk of a prefill behind cached positions, and one step of sequences of any lengths.

They are made of the layers that a prefill and a decode step are made of, at other sizes.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from attrs import evolve

from modelmeter.dimensions.functions import Size, exceeds
from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.evaluators.server_steps import STEP
from modelmeter.metrics.cost import INDEX_BITS, Cost
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.build import build_decoder, symbolic_sizes
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import FormulaError


def server_sizes() -> dict[str, Size]:
    """Return a symbol for every size of the steps. Unlike elsewhere, ``logits_tokens`` may be 0: a part of a prompt
    needs no logits.
    """
    names = ("cached_tokens", "context_tokens")
    none = sympy.Symbol("logits_tokens", integer=True, nonnegative=True)
    return {**symbolic_sizes(), **{name: symbol(name) for name in names}, "logits_tokens": none}


def cost_chunk(sizes: Mapping[str, Size]) -> Cost:
    """Return the cost of ``seq_len`` positions of each prompt behind ``cached_tokens`` that are cached.

    Parameters
    ----------
    sizes
        Every dimension, and ``cached_tokens``, which is at least 1. The last ``logits_tokens`` positions get logits;
        with 0 of them, the LM head does not run.
    """
    keys = sizes["cached_tokens"] + sizes["seq_len"]
    layer = build_decoder(sizes, num_queries=sizes["seq_len"], num_keys=keys, logits_tokens=sizes["logits_tokens"])
    whole, without_head = layer.cost, layer.model.cost
    runs = exceeds(sizes["logits_tokens"], 0)
    head = {metric: whole[metric] - without_head[metric] for metric in METRICS}
    both = Cost(**{metric: without_head[metric] + runs * head[metric] for metric in METRICS})
    return evolve(both, weight_bytes=whole.weight_bytes)


def cost_step(sizes: Mapping[str, Size]) -> Cost:
    """Return the cost of one token of each of ``batch_size`` sequences that have ``context_tokens`` cached in all.

    Attention is the only work that depends on the length of a sequence, and linear in it. So the formula for sequences
    of one length holds for any lengths, with their sum in place of the product; but each has a position of its own,
    which every layer reads.

    Raises
    ------
    FormulaError
        If a cost is not linear in the length, or a length is not that of a sequence.
    """
    batch_size, context = sizes["batch_size"], symbol("cached_tokens")
    layer = build_decoder(sizes, num_queries=1, num_keys=context + 1, logits_tokens=1)
    cost = Cost(**{metric: _add_lengths(layer.cost[metric], batch_size, context, sizes) for metric in METRICS})
    positions = bits_to_bytes((batch_size - 1) * sizes["num_hidden_layers"] * INDEX_BITS)
    return evolve(cost, io_bytes=cost.io_bytes + positions)


def _add_lengths(size: Size, batch_size: Size, context: sympy.Symbol, sizes: Mapping[str, Size]) -> sympy.Expr:
    """Return a cost with ``context_tokens`` in place of ``batch_size`` times the length of each context."""
    parts = sympy.Add.make_args(sympy.sympify(size))
    # Most operators do the same whatever the length; multiplying them out would take long.
    alike = [part for part in parts if not part.has(context)]
    terms = sympy.Add.make_args(sympy.expand(sympy.Add(*(part for part in parts if part.has(context)))))
    each = [term / context for term in terms if term.has(context)]
    if any(term.has(context) for term in each):
        raise FormulaError("the cost of a step is not linear in the length of a context", place=STEP, found=size)
    each = [term / batch_size for term in each]
    if any(sympy.denom(term).free_symbols for term in each):
        raise FormulaError("a context that belongs to no sequence", place=STEP, found=sympy.Add(*each))
    without = (term for term in terms if not term.has(context))
    return sympy.Add(*alike, *without, *(term * sizes["context_tokens"] for term in each))
