"""Rows as CSV with nothing but NumPy: the bytes that pyarrow writes."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from llm_perf_opt.sweep import Sweep, compute_blocks, files, write_sweep
from llm_perf_opt.sweep.columns import Column
from llm_perf_opt.sweep.csv_rows import write_csv


@pytest.mark.parametrize("overflow", ["float64", "exact"])
def test_csv_is_the_same_without_pyarrow(tmp_path: Path, overflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Integers, decimals, text and floats, in several blocks."""
    axes = {"seq_len": range(10**10, 10**10 + 29), "batch_size": [10**13, 1]}
    sweep = Sweep.over(
        "prefill", axes, fixed={"weight_bits": Fraction(11, 2), "expert_routing": "even"}, overflow=overflow
    )
    for has_pyarrow in (True, False):
        monkeypatch.setattr(files, "_has_pyarrow", lambda has_pyarrow=has_pyarrow: has_pyarrow)
        write_sweep(sweep, tmp_path / f"{has_pyarrow}.csv", compute_blocks(sweep, 10))
    assert (tmp_path / "True.csv").read_bytes() == (tmp_path / "False.csv").read_bytes()
    assert ",5.5,16,16,even," in (tmp_path / "False.csv").read_text()


def test_text_is_written_as_it_is() -> None:
    """What is fixed may hold what a template would take for a place of its own."""
    columns = [
        Column(name="seq_len", kind="int64", words=""),
        Column(name="note", kind="text", words="", value="100 %d"),
        Column(name="bits", kind="float64", words="", value=5.5),
        Column(name="flops", kind="text", words=""),
    ]
    block = {"seq_len": np.array([3, -5]), "flops": np.array([10**43, 7], dtype=object)}
    write_csv(file := io.BytesIO(), columns, [block])
    assert file.getvalue().decode().splitlines() == [
        "seq_len,note,bits,flops",
        f"3,100 %d,5.5,{10**43}",
        "-5,100 %d,5.5,7",
    ]
