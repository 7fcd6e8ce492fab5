"""Attention that the code spells out: models whose attention has no fused kernel in PyTorch, as that with sinks."""

from __future__ import annotations

from typing import Any, Final

EAGER_ATTENTION: Final = "Eager attention"
"""The name of the counting rule that says so."""


def describe_eager_attention(config: Any) -> dict[str, str]:
    """Return the counting rule for attention, where the modules of a config do not call one fused operator for it."""
    if config.get_text_config()._attn_implementation != "eager":
        return {}
    return {
        EAGER_ATTENTION: "The code of this model has no ``scaled_dot_product_attention``: scores are stored and read "
        "again, and keys and values are copied to the heads that share them, each by operators of their own. All "
        "metrics have that, ``fused_io_bytes`` and the bounds and estimates of times among them. A kernel of a "
        "serving engine for this attention moves less: for such an engine they are no lower bounds."
    }
