"""The counting rule for attention of one operator that PyTorch needs masks and copied keys for."""

from __future__ import annotations

from collections.abc import Mapping

from modelmeter.frontend.records import TracedRun
from modelmeter.metrics.operator_table import ATTENTION, ATTENTION_REST

ATTENTION_REST_RULE = "Masks and copies of keys"
"""The name of the rule."""


def describe_attention_rest(runs: Mapping[str, TracedRun]) -> dict[str, str]:
    """Return the rule, where the attention of any stage was given more than a kernel needs."""
    names = {each.operator.name for run in runs.values() for forward in run.forwards for each in forward.operators}
    if ATTENTION_REST not in names:
        return {}
    return {
        ATTENTION_REST_RULE: f"``{ATTENTION}`` of PyTorch has no windows. Where attention is no plain triangle, as "
        "where a window is full, code makes a mask for it, and beside a mask it copies keys and values to the heads "
        "that share them. FLOPs, ``io_bytes`` and peaks have that. ``fused_io_bytes``, and the bounds of times with "
        "it, have what one kernel moves that knows positions and shared heads: queries, keys and values before they "
        "are copied, and the output. A mask that is made of positions alone is not read, one that hangs on data is. "
        f"``{ATTENTION_REST}`` is what else the operator reads: masks and copies. Copies are written by operators that "
        "read nothing, since what they copy is read by that kernel. All keys are read that the operator "
        "is given: of a prompt some position sees each, and a step is given those that the cache keeps for it. A "
        "training step reads masks and copies in both metrics."
    }
