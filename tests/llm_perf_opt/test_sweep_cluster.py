"""Sweeps on a local Dask cluster of two workers: the same bytes as without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster, Worker

from llm_perf_opt.sweep import Sweep, compute_blocks, compute_blocks_on, write_sweep

SWEEP = Sweep.over("request", {"prompt_tokens": range(1, 3000, 7), "batch_size": [5, 1, 3], "num_width_tiles": [2, 3]})
BLOCK_SIZE = 101


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        yield client


def count_tasks(client: Client) -> list[int]:
    """Return how many tasks each worker has done so far."""

    def count(dask_worker: Worker) -> int:
        return dask_worker.state.executed_count

    return list(client.run(count).values())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_same_bytes(client: Client, tmp_path: Path, ending: str) -> None:
    """Both workers compute blocks, and the file does not tell."""
    before = count_tasks(client)
    here, there = tmp_path / f"here.{ending}", tmp_path / f"there.{ending}"
    write_sweep(SWEEP, here, compute_blocks(SWEEP, BLOCK_SIZE))
    assert count_tasks(client) == before
    write_sweep(SWEEP, there, compute_blocks_on(client, SWEEP, BLOCK_SIZE))
    assert here.read_bytes() == there.read_bytes()
    done = [after - earlier for after, earlier in zip(count_tasks(client), before, strict=True)]
    assert sum(done) == -(-SWEEP.num_points // BLOCK_SIZE)
    assert len(done) == 2
    assert min(done) > 0


def test_blocks_come_in_order_and_few_at_a_time(client: Client) -> None:
    """However slowly they are taken, no more than two for each thread wait for it."""
    before = sum(count_tasks(client))
    blocks = compute_blocks_on(client, SWEEP, BLOCK_SIZE)
    first = next(blocks)
    np.testing.assert_array_equal(first["prompt_tokens"], next(compute_blocks(SWEEP, BLOCK_SIZE))["prompt_tokens"])
    client.submit(int, pure=False).result()
    assert sum(count_tasks(client)) - before <= 1 + 2 * 2 + 1
    blocks.close()
