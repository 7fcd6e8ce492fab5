"""What exact counts say about measured memory."""

from __future__ import annotations

from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.measured.records import Condition
from llm_perf_opt.planning.memory import EngineMemory
from llm_perf_opt.planning.mix import PageMix
from llm_perf_opt.planning.page_classes import PageClass
from llm_perf_opt.planning.parallel import Degrees

_ANY_PAGE = PageClass(views=(), image_tokens=0, seq_len=1, logits_tokens=1, output_tokens=1, count=1)
"""The cache that an engine reports when it starts does not depend on the pages that come."""


def predict_memory(condition: Condition) -> int:
    """Return what a measured amount of memory is by the exact counts.

    Bytes of weights are those of all parameters, or of the first of the cards that share the model. Cache tokens are
    the blocks that fit into the part of the visible memory that an engine takes, less the weights, and less the reserve
    that all cards share.

    Raises
    ------
    RecordError
        If the condition is of no amount of memory, or lacks its card or its utilisation.
    """
    served = ServedModel(model=condition.model, degrees=Degrees(tensor=condition.tensor_parallel))
    if condition.quantity == "weight bytes":
        return served.weight_bytes
    mix = PageMix(model=served, classes=(_ANY_PAGE,))
    if condition.quantity != "cache tokens" or condition.card is None or condition.utilisation is None:
        raise RecordError("this is no amount of memory", place=condition.measurement_id, found=condition.quantity)
    return EngineMemory(card=find_hardware(condition.card), mix=mix, utilisation=condition.utilisation).cache_tokens
