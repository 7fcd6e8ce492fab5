"""Arrays and grids against sympy.lambdify, NumPy formulas as one writes them, and the speed of memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from platform import libc_ver
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from tests.benchmarks.lambdified import lambdify_stages
from tests.benchmarks.tables import RUNS, Table, time_interleaved

import deepseek_ocr_costs as costs
from deepseek_ocr_costs._array_runtime import range_of_size
from deepseek_ocr_costs._plan import Bound, trace_bounded
from deepseek_ocr_costs._program import sizes_of

Columns = dict[str, NDArray[np.int64]]

STAGES = ("vision", "projector", "prefill", "decode")
RANGES = {
    "batch_size": (1, 65), "seq_len": (1000, 8193), "decode_steps": (1, 1025), "num_width_tiles": (1, 4),
    "num_height_tiles": (1, 4),
}  # fmt: skip
CASES = {
    "prefill": ("batch_size", "seq_len"),
    "decode": ("batch_size", "seq_len", "decode_steps"),
    "vision": ("batch_size", "num_width_tiles", "num_height_tiles"),
    "request": ("batch_size", "seq_len", "decode_steps"),
    "stages": ("batch_size", "seq_len", "decode_steps"),
}
TITLE = "Arrays: all metrics of a stage at many points"
LAMBDIFY = "NumPy vs lambdify (times)"
NUMPY_SHARE = "NumPy, share of the copy's speed"
FUSED_SHARE = "fused, share of the copy's speed"
GUARD_SHARE = "overflow guard, share of NumPy"

POINTS = (10**5, 10**6, 10**7)
GRIDS = {
    "request": {
        "batch_size": np.arange(1, 51), "decode_steps": np.arange(1, 101), "seq_len": np.arange(1000, 3000),
    },
    "vision": {
        "num_width_tiles": np.arange(1, 11), "num_height_tiles": np.arange(1, 11),
        "batch_size": np.arange(1, 100_001),
    },
}  # fmt: skip
"""Axes of 10^7 points."""

SLICE = 1_000_000
"""Points that lambdify gets at once: it holds all its intermediate results."""


def draw_columns(stage: str, points: int) -> Columns:
    """Return sizes in random order."""
    random = np.random.default_rng(7)
    return {name: random.integers(*RANGES[name], points) for name in CASES[stage]}


def write_straight(columns: Columns) -> list[Any]:
    """Return the metrics of the prefill as one writes them with NumPy, line by line."""
    batch, prompt = columns["batch_size"], columns["seq_len"]
    tokens = batch * prompt
    reads = np.rint(73_400_320 * (1 - (58 / 64) ** tokens)).astype(np.int64)
    return [
        tokens * (61_440 * prompt + 1_148_192_256), tokens * (720 * prompt + 888_244),
        8_527_728 * tokens + 66 * reads + 96 * prompt + 701_307_904, 5_869_468_160,
        4_072_876 * tokens + 3_610_112, 61_440 * tokens,
    ]  # fmt: skip


def copy_streams(columns: Columns, written: int) -> NDArray[np.int64]:
    """Read every column once, and write as many new ones as there are results, in a plain loop."""
    arrays = list(columns.values())
    points = len(arrays[0])
    block = np.empty((written, points), dtype=np.int64)
    _make_copy(len(arrays), written)(points, *arrays, *block)
    return block


@cache
def _make_copy(read: int, written: int) -> Callable[..., None]:
    parameters = ", ".join(
        ["points", *(f"a{number}" for number in range(read)), *(f"b{number}" for number in range(written))]
    )
    stores = "\n".join(f"        b{number}[i] = a{number % read}[i]" for number in range(written))
    names: dict[str, Any] = {}
    exec(f"def copy({parameters}):\n    for i in range(points):\n{stores}", names)  # our own text
    loop: Callable[..., None] = numba.njit(names["copy"])
    return loop


def list_metrics(result: Any) -> list[NDArray[np.int64]]:
    """Return all metrics of a cost, or of all stages."""
    return [metric for cost in result for metric in cost] if isinstance(result, costs.arrays.Stages) else list(result)


def count_rows(result: Any) -> int:
    """Return how many rows of results there are in memory: some are numbers, and some are in two stages."""
    return len({metric.__array_interface__["data"] for metric in list_metrics(result) if 0 not in metric.strides})


def guard(bound: Bound, columns: Columns) -> None:
    """Look for the largest value of every size, and bound every result."""
    ranges = {name: (1, int(np.maximum.reduce(column))) for name, column in columns.items()}
    assert bound(ranges).largest < 2**63


def check_sizes(columns: Columns) -> None:
    """Look for the largest and the smallest value of every size, as is done where the points are not very many."""
    for name, column in columns.items():
        range_of_size(name, column, 1)


def name_case(stage: str, points: int) -> str:
    """Return the name of a row of the table."""
    return f"{stage}, {points:.0e} points"


def name_grid(stage: str) -> str:
    """Return the name of the row of a grid."""
    return f"grid of the {stage}, 1e+07 points"


def time_case(stage: str, points: int) -> tuple[str, ...]:
    """Return a row of the table."""
    columns = draw_columns(stage, points)
    function = getattr(costs.arrays, stage)
    lambdified = lambdify_stages(STAGES if stage in ("request", "stages") else (stage,), arrays=True)
    results = function(**columns, engine="numpy")
    written = count_rows(results)
    fused_results = list_metrics(function(**columns, engine="fused"))
    for fused, exact in zip(fused_results, list_metrics(results), strict=True):
        assert np.array_equal(fused, exact)
    if stage == "prefill":
        for straight, exact in zip(write_straight(columns), results, strict=True):
            assert np.allclose(straight, exact, rtol=1e-12)
    del results, fused_results, fused, exact

    known = tuple((name, size.default) for name, size in sizes_of(stage).items() if name not in columns)
    _, bound = trace_bounded(stage, known, "uniform")

    def lambdify() -> None:
        for start in range(0, points, SLICE):
            lambdified(**{name: column[start : start + SLICE] for name, column in columns.items()})

    seconds = time_interleaved(
        {
            "numpy": lambda: function(**columns, engine="numpy"),
            "fused": lambda: function(**columns, engine="fused"),
            "copy": lambda: copy_streams(columns, written),
            "lambdify": lambdify,
            "guard": lambda: guard(bound, columns),
            "check": lambda: check_sizes(columns),
            **({"straight": lambda: write_straight(columns)} if stage == "prefill" else {}),
        },
        # A run of few points is over soon: more of them outlast what else the machine does.
        runs=RUNS if points > 10**5 else 5 * RUNS,
        calls=max(1, 10**6 // points),
    )
    straight = f"{seconds['straight'] / seconds['numpy']:.1f}" if "straight" in seconds else ""
    return (
        name_case(stage, points), f"{seconds['lambdify'] / seconds['numpy']:.1f}", straight,
        f"{seconds['copy'] / seconds['lambdify']:.1%}", f"{seconds['copy'] / seconds['numpy']:.0%}",
        f"{seconds['copy'] / seconds['fused']:.0%}",
        f"{seconds['guard'] / seconds['numpy']:.1%}", f"{seconds['check'] / seconds['numpy']:.1%}",
    )  # fmt: skip


def time_grid(stage: str) -> tuple[str, ...]:
    """Return a row of the table; lambdify gets the mesh, which is made beforehand, slice by slice of the first axis."""
    axes = GRIDS[stage]
    shape = tuple(map(len, axes.values()))
    first, *others = axes
    mesh = dict(zip(others, np.meshgrid(*(axes[name] for name in others), indexing="ij"), strict=True))
    slices = [{first: np.full(shape[1:], size), **mesh} for size in axes[first].tolist()]
    lambdified = lambdify_stages(STAGES if stage == "request" else (stage,), arrays=True)

    def lambdify() -> None:
        for columns in slices:
            lambdified(**columns)

    seconds = time_interleaved(
        {
            "grid": lambda: costs.arrays.grid(stage, **axes),
            "lambdify": lambdify,
        }
    )
    ratio = f"{seconds['lambdify'] / seconds['grid']:.1f}"
    return (name_grid(stage), ratio, "", "", "", "", "", "")


def keep_memory() -> None:
    """Let the C library keep what is freed, where it is GNU's; the parameters are M_MMAP_MAX and M_TRIM_THRESHOLD."""
    if libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(-4, 0)
        library.mallopt(-1, -1)


def run() -> Table:
    """Time the cases at three sizes, and two grids."""
    keep_memory()
    rows = [time_case(stage, points) for points in POINTS for stage in CASES]
    rows += [time_grid(stage) for stage in GRIDS]
    return Table(
        title=TITLE,
        note=f"Medians of {RUNS} interleaved runs; at 10^5 points, of {5 * RUNS}, of 10 calls each. "
        "The stages are all stages and the request at once. "
        "Every way makes new arrays for its results, the copy too, of memory that the process keeps: "
        "how fast the system hands out pages is not measured. lambdify is numpy with cse, over the sizes of the "
        "workload, in slices of 10^6 points: at 10^7 its intermediate results do not fit into memory. The straight "
        "formulas are written for the prefill only. The copy is a plain compiled loop: with many results, one that "
        "stores them past the cache can be faster. lambdify and the straight formulas are not exact; the others are. "
        "The overflow guard looks for the largest value of each size and bounds all results; the check of both ends "
        "of all sizes is there too, and from 10^6 points on it is done block by block, while they are read.",
        columns=(
            "case", LAMBDIFY, "NumPy vs straight NumPy (times)", "lambdify, share of the copy's speed", NUMPY_SHARE,
            FUSED_SHARE, GUARD_SHARE, "both ends of the sizes, share",
        ),
        rows=tuple(rows),
    )  # fmt: skip
