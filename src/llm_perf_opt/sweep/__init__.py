"""The cost of a stage at every point of a grid of sizes, block by block, into a file of any length.

>>> from llm_perf_opt.sweep import Sweep, write_sweep
>>> sweep = Sweep.over("prefill", {"seq_len": range(1, 32768, 64), "batch_size": [1, 2, 4, 8]})
>>> write_sweep(sweep, "sweep.parquet")
"""

from llm_perf_opt.sweep.axes import Axis, parse_axis
from llm_perf_opt.sweep.blocks import (
    BLOCK_SIZE,
    Block,
    Sweep,
    compute_block,
    compute_blocks,
    list_arguments,
    list_sizes,
    split,
)
from llm_perf_opt.sweep.cluster import compute_blocks_on
from llm_perf_opt.sweep.files import STDOUT, write_sweep
from modelmeter.metrics.metric import METRICS

__all__ = [
    "BLOCK_SIZE",
    "METRICS",
    "STDOUT",
    "Axis",
    "Block",
    "Sweep",
    "compute_block",
    "compute_blocks",
    "compute_blocks_on",
    "list_arguments",
    "list_sizes",
    "parse_axis",
    "split",
    "write_sweep",
]
