"""What exact counts say about measured memory."""

from __future__ import annotations

from llm_perf_opt.data.hardware import COMMON_RESERVE, exact_rate
from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.measured.records import Condition

BLOCK_TOKENS = 16
"""Tokens of a block of the cache: what vLLM takes by default."""


def predict_memory(condition: Condition) -> int:
    """Return what a measured amount of memory is by the exact counts.

    Bytes of weights are those of all parameters. Cache tokens are the blocks that fit into the part of the visible
    memory that an engine takes, less the weights, and less the reserve that all cards share.

    Raises
    ------
    RecordError
        If the condition is of no amount of memory, or lacks its card or its utilisation.
    """
    served = ServedModel(model=condition.model)
    weight_bytes: int = served.evaluate("request").weight_bytes
    if condition.quantity == "weight bytes":
        return weight_bytes
    if condition.quantity != "cache tokens" or condition.card is None or condition.utilisation is None:
        raise RecordError("this is no amount of memory", place=condition.measurement_id, found=condition.quantity)
    prompt = served.serving.prompt_stage
    block_bytes: int = served.evaluate(prompt, **{served.serving.seq_len: BLOCK_TOKENS}).kv_cache_bytes
    taken = int(exact_rate(condition.utilisation) * find_hardware(condition.card).visible_bytes)
    return (taken - weight_bytes - COMMON_RESERVE.reserve_bytes) // block_bytes * BLOCK_TOKENS
