"""Sweeps to disk: what computing the rows adds to writing them, and the memory that they take."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from tests.benchmarks.tables import RUNS, Table, time_interleaved

from llm_perf_opt.sweep import Sweep, compute_blocks, write_sweep

AXES = {"prefill": ("batch_size=1:9", "seq_len"), "request": ("num_width_tiles=1:9", "prompt_tokens")}
"""Of each stage that is measured: an axis of eight values, and the size that takes as many as are needed."""

TITLE = "Sweeps to disk"

POINTS = (2**20, 2**23)

MANY = ("batch_size=1:1001", "seq_len=1:100001")
"""10^8 points of the prefill."""

MOST_MEMORY = f"MiB, {10**8:,} points"

# The usage that the system reports of a child begins with what its parent had: only the child itself knows better.
_SHOW_PEAK = """
import re, sys
from llm_perf_opt.cli import main
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""

_ALONE: dict[str, Callable[[pa.Table, Path], object]] = {
    "parquet": pyarrow.parquet.write_table,
    "csv": pyarrow.csv.write_csv,
}


def time_sweep(stage: str, ending: str, folder: Path) -> tuple[float, float]:
    """Return the time of a sweep to a file, as ratios to writing its rows: with pyarrow's defaults, and as it does."""
    few, many = AXES[stage]
    sweep = Sweep.over(stage, {few.partition("=")[0]: range(1, 9), many: range(1, POINTS[0] // 8 + 1)})
    blocks = list(compute_blocks(sweep))
    table = pa.concat_tables(map(pa.table, blocks))
    assert table.num_rows == POINTS[0]
    file = folder / f"sweep.{ending}"
    seconds = time_interleaved(
        {
            "sweep": lambda: write_sweep(sweep, file),
            "pyarrow": partial(_ALONE[ending], table, file),
            "writer": lambda: write_sweep(sweep, file, blocks),
        }
    )
    return seconds["sweep"] / seconds["pyarrow"], seconds["sweep"] / seconds["writer"]


def measure_memory(stage: str, ending: str, axes: tuple[str, str], folder: Path) -> int:
    """Return the most bytes that ``modelmeter sweep`` has in memory."""
    grid = [f"--grid={axis}" for axis in axes]
    command = [sys.executable, "-c", _SHOW_PEAK, "sweep", stage, *grid, "--out", f"sweep.{ending}"]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return int(done.stderr) * 1024


def run() -> Table:
    """Sweep two stages into both kinds of file."""
    rows = []
    with TemporaryDirectory() as folder:
        for stage in AXES:
            for ending in _ALONE:
                ratios = time_sweep(stage, ending, Path(folder))
                few, many = AXES[stage]
                grids = [(few, f"{many}=1:{points // 8 + 1}") for points in POINTS]
                grids += [MANY] if (stage, ending) == ("prefill", "parquet") else []
                sizes = [measure_memory(stage, ending, grid, Path(folder)) / 2**20 for grid in grids]
                cells = [*(f"{ratio:.2f}" for ratio in ratios), *(f"{size:.0f}" for size in sizes)]
                rows.append((f"{stage} to {ending}", *cells, *[""] * (len(POINTS) + 1 - len(sizes))))
    return Table(
        title=TITLE,
        note=f"Medians of {RUNS} interleaved runs over {POINTS[0]:,} points with six metrics: computing and writing, "
        "as a ratio to writing the same rows from memory. The command's peak memory is in MiB.",
        columns=(
            "sweep",
            "÷ pyarrow's defaults",
            "÷ the same writer",
            *(f"MiB, {points:,} points" for points in POINTS),
            MOST_MEMORY,
        ),
        rows=tuple(rows),
    )
