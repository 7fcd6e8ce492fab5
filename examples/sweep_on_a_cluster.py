"""What a request costs at every prompt length, batch size and tile grid, computed by the workers of a Dask cluster.

The blocks are written here, in order, as they arrive: the file is that of `modelmeter sweep`, byte for byte.

Run it with: python examples/sweep_on_a_cluster.py sweep.parquet [ADDRESS]

ADDRESS is that of a running scheduler, as in tcp://10.0.0.7:8786, whose workers have modelmeter[dask] installed.
Without it, two workers are started on this machine.
"""

import argparse
import sys

from distributed import Client

from llm_perf_opt.sweep import Sweep, compute_blocks_on, write_sweep
from modelmeter.support.errors import ModelMeterError


def main() -> None:
    """Write the sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="the file to write: sweep.parquet or sweep.csv")
    parser.add_argument("address", nargs="?", help="the scheduler")
    path, address = vars(parser.parse_args()).values()
    sweep = Sweep.over(
        "request",
        {
            "batch_size": [1, 2, 4, 8, 16, 32],
            "num_width_tiles": range(1, 4),
            "num_height_tiles": range(1, 4),
            "prompt_tokens": range(0, 32_768, 16),
        },
        fixed={"max_new_tokens": 512},
        metrics=["tensor_core_flops", "io_bytes", "kv_cache_bytes"],
    )
    cluster = {"address": address} if address else {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with Client(**cluster) as client:
        print(f"{sweep.num_points:,} points on {len(client.nthreads())} workers")
        write_sweep(sweep, path, compute_blocks_on(client, sweep))
    print(f"Written to {path}.")


if __name__ == "__main__":  # workers import this file again
    try:
        main()
    except (ModelMeterError, OSError, ValueError) as error:  # what the file, or the address, is refused for
        sys.exit(f"error: {error}")
