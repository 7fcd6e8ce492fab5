"""Files of Parquet: every library reads every digit, and what never changes takes no room."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

import deepseek_ocr_costs as costs
from llm_perf_opt.sweep import METRICS, Sweep, write_sweep


@pytest.mark.parametrize("library", ["pyarrow", "pandas", "polars"])
def test_every_library_reads_every_digit(tmp_path: Path, library: str) -> None:
    """1e18 pages of prompts of up to 1e10: 43 digits of FLOPs, and fewer than 38 of everything else."""
    reader = pytest.importorskip(library)
    sweep = Sweep.over(
        "prefill", {"seq_len": [10**10 + 7, 3]}, fixed={"batch_size": 10**18, "weight_bits": Fraction(11, 2)},
        overflow="exact",
    )  # fmt: skip
    write_sweep(sweep, file := tmp_path / "sweep.parquet")
    if library == "pyarrow":
        columns = reader.parquet.read_table(file).to_pydict()
    else:
        frame = reader.read_parquet(file)
        columns = {name: list(frame[name]) for name in frame.columns}
    expected = [costs.prefill(seq_len=n, batch_size=10**18, weight_bits=Fraction(11, 2)) for n in (10**10 + 7, 3)]
    for metric in METRICS:
        assert [int(value) for value in columns[metric]] == [getattr(cost, metric) for cost in expected], metric
    assert columns["weight_bits"] == [5.5, 5.5]
    assert columns["batch_size"] == [10**18, 10**18]
    assert columns["expert_routing"] == ["uniform", "uniform"]


def test_what_is_fixed_takes_no_room(tmp_path: Path) -> None:
    """A column of one value takes less than 500 bytes in a row group, however many rows it has."""
    few = Sweep.over("projector", {"batch_size": range(1, 100_001)}, metrics=["io_bytes"])
    write_sweep(few, tmp_path / "sweep.parquet")
    metadata = pa.parquet.read_metadata(tmp_path / "sweep.parquet")
    held = [metadata.row_group(0).column(place) for place in range(1, metadata.num_columns - 1)]
    assert [column.path_in_schema for column in held] == list(few.held)
    assert max(column.total_compressed_size for column in held) < 500
