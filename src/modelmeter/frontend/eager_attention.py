"""Attention that the code spells out: models whose attention has no fused kernel in PyTorch, as that with sinks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from modelmeter.frontend.records import TracedForward, TracedRun
from modelmeter.metrics.operator_table import ATTENTION, EAGER_ATTENTION, EAGER_ATTENTION_REST, PRODUCTS_OF_BATCHES

EAGER_ATTENTION_RULE: Final = "Eager attention"
"""The name of the counting rule that says so."""

_CODE: Final = (
    "The code of this model has no ``scaled_dot_product_attention``: scores are stored and read again, and keys and "
    "values are copied to the heads that share them, each by operators of their own. "
)


def describe_eager_attention(config: Any, runs: Mapping[str, TracedRun]) -> dict[str, str]:
    """Return the counting rule for attention, where the modules of a config do not call one fused operator for it.

    Parameters
    ----------
    config
        The config of the modules.
    runs
        The traces of the stages that read and write the cache.
    """
    forwards = [forward for run in runs.values() for forward in run.forwards]
    if config.get_text_config()._attn_implementation == "eager" and not all(map(is_told_apart, forwards)):
        return {
            EAGER_ATTENTION_RULE: f"{_CODE}All metrics have that, ``fused_io_bytes`` and the bounds and estimates of "
            "times among them, since the operators of its attention have no pattern that is known. A kernel of a "
            "serving engine for this attention moves less: for such an engine they are no lower bounds."
        }
    if not any(_list_kernels(forwards)):
        return {}
    return {
        EAGER_ATTENTION_RULE: f"{_CODE}FLOPs, ``io_bytes`` and peaks have that. ``fused_io_bytes``, and the bounds "
        f"of times with it, have what one kernel moves that stores no scores: ``{EAGER_ATTENTION}`` reads queries, "
        "keys and values before they are copied, and parameters and data that are added to scores, such as sinks; it "
        "writes the output, and has all FLOPs. A mask that is made of positions alone is not read. "
        f"``{EAGER_ATTENTION_REST}`` is what else ``io_bytes`` has: scores, masks and copies. The attention was found "
        "in the operators themselves: scores were followed from their product over the softmax to the product with "
        "the values, and nothing else reads them."
    }


def is_told_apart(forward: TracedForward) -> bool:
    """Tell whether every module that keeps keys and values has an attention of one kernel, and no other products.

    The kernel reads them where they are cached, so that nothing copies them to more heads before.
    """
    kernels = {
        each.path
        for each in forward.operators
        if each.operator.name in (ATTENTION, EAGER_ATTENTION) and each.operator.reads.kv != 0
    }
    products = {
        each.path
        for each in forward.operators
        if each.operator.name in PRODUCTS_OF_BATCHES and each.operator.reads.weight == 0
    }
    kept = set(forward.kv_elements)
    return kept <= kernels and kept.isdisjoint(products)


def _list_kernels(forwards: Iterable[TracedForward]) -> Iterable[bool]:
    return (each.operator.name == EAGER_ATTENTION for forward in forwards for each in forward.operators)
