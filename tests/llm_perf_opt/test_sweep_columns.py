"""The columns of a file: each as narrow as its largest value allows, and described in words."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from llm_perf_opt.sweep import Sweep, write_sweep
from llm_perf_opt.sweep.columns import describe, list_columns
from modelmeter.support.errors import OutputError


@pytest.mark.parametrize(
    ("largest", "kind"),
    [
        (2**63 - 1, pa.int64()),
        (2**63, pa.decimal128(38)),
        (10**38 - 1, pa.decimal128(38)),
        (10**38, pa.string()),
        (10**76, pa.string()),
    ],
)
def test_the_largest_integer_of_a_column_fits(tmp_path: Path, largest: int, kind: pa.DataType) -> None:
    """On both sides of where a wider type begins: int64 ends at 2^63 - 1, and n digits at 10^n - 1."""
    sweep = Sweep.over("prefill", {"seq_len": [3]}, metrics=["io_bytes"])
    sweep.largest["io_bytes"] = largest
    block = {"seq_len": np.array([3]), "io_bytes": np.array([largest], dtype=object)}
    write_sweep(sweep, tmp_path / "sweep.parquet", [block])
    column = pa.parquet.read_table(tmp_path / "sweep.parquet")["io_bytes"]
    assert column.type == kind
    assert list(map(int, column.to_pylist())) == [largest]


def test_integers_that_no_program_writes(tmp_path: Path) -> None:
    sweep = Sweep.over("prefill", {"seq_len": [3]}, fixed={"weight_bits": 10**4000}, overflow="exact")
    with pytest.raises(OutputError, match="no column holds integers as large; expected at most 4000 digits"):
        write_sweep(sweep, tmp_path / "sweep.csv")
    assert list(tmp_path.iterdir()) == []


def test_axes_then_what_is_fixed_then_metrics() -> None:
    """An exact metric of 43 digits: 12 layers x 4 x 1280 x (10^10)^2 FLOPs and more for each of 10^18 pages."""
    fixed = {"batch_size": 10**18, "weight_bits": Fraction(31, 7), "kv_bits": Fraction(11, 2)}
    metrics = ["io_bytes", "tensor_core_flops"]
    sweep = Sweep.over("prefill", {"seq_len": [10**10]}, fixed=fixed, metrics=metrics, overflow="exact")
    assert [(column.name, column.kind, column.value) for column in list_columns(sweep)] == [
        ("seq_len", "int64", None),
        ("batch_size", "int64", 10**18),
        ("weight_bits", "text", "31/7"),
        ("activation_bits", "int64", 16),
        ("kv_bits", "float64", 5.5),
        ("expert_routing", "text", "uniform"),
        ("io_bytes", "decimal128(38, 0)", None),
        ("tensor_core_flops", "text", None),
    ]
    described = describe(sweep)
    assert described["fixed"]["weight_bits"] == "31/7"
    assert described["fixed"]["kv_bits"] == 5.5
    assert described["columns"]["tensor_core_flops"] == "integers as text, of up to 43 digits"
