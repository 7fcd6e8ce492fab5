"""Blocks of a sweep from the workers of a Dask cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llm_perf_opt.sweep.blocks import BLOCK_SIZE, Block, Sweep, compute_block, split

if TYPE_CHECKING:  # who has a client has Dask
    from distributed import Client, Future


def compute_blocks_on(client: Client, sweep: Sweep, block_size: int = BLOCK_SIZE) -> Iterator[Block]:
    """Yield the blocks of a sweep in order, computed by the workers of a cluster.

    They are the same as those of :func:`compute_blocks`. There are never more than two for each thread of the cluster,
    so that neither side's memory grows with the sweep.

    Parameters
    ----------
    client
        A client of a cluster whose workers have this package and NumPy.
    sweep, block_size
        What to compute, and how many points at once.
    """
    ahead = 2 * max(1, sum(client.nthreads().values()))
    waiting: deque[Future[Block]] = deque()
    try:
        for points in split(sweep, block_size):
            waiting.append(client.submit(compute_block, sweep, points))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        client.cancel(list(waiting))
