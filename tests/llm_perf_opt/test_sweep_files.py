"""Files of sweeps: the same rows whatever the blocks, and a whole file or none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

import deepseek_ocr_costs as costs
from llm_perf_opt.sweep import METRICS, Block, Sweep, compute_blocks, files, write_sweep
from modelmeter.support.errors import OutputError, WorkloadError

ENDINGS = ("csv", "parquet")
SWEEP = Sweep.over("decode", {"seq_len": range(1, 500, 3), "batch_size": [7, 2, 3]}, fixed={"kv_bits": 8})


@pytest.mark.parametrize("has_pyarrow", [True, False])
def test_csv_is_a_header_and_numbers(tmp_path: Path, has_pyarrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain text that every reader takes: no quotes, no comments, nothing rounded. Each row says what was fixed."""
    monkeypatch.setattr(files, "_has_pyarrow", lambda: has_pyarrow)
    file = tmp_path / "sweep.csv"
    write_sweep(SWEEP, file)
    header = [
        "seq_len,batch_size,decode_steps,weight_bits,activation_bits,kv_bits,expert_routing,"
        "tensor_core_flops,cuda_core_flops,io_bytes,weight_bytes,activation_bytes,kv_cache_bytes"
    ]
    fixed = (1023, 16, 16, 8, "uniform")
    rows = [
        ",".join(
            map(str, (seq_len, batch_size, *fixed, *costs.decode(seq_len=seq_len, batch_size=batch_size, kv_bits=8)))
        )
        for seq_len in range(1, 500, 3)
        for batch_size in (7, 2, 3)
    ]
    assert file.read_bytes() == "".join(f"{line}\n" for line in header + rows).encode()


def test_parquet_has_the_rows_and_says_what_they_are(tmp_path: Path) -> None:
    write_sweep(SWEEP, tmp_path / "sweep.parquet")
    table = pa.parquet.read_table(tmp_path / "sweep.parquet")
    assert table.num_rows == SWEEP.num_points
    fixed = {"decode_steps": 1023, "weight_bits": 16, "activation_bits": 16, "kv_bits": 8, "expert_routing": "uniform"}
    names = ["seq_len", "batch_size", *fixed, *METRICS]
    assert table.column_names == names
    types = {name: pa.string() if name == "expert_routing" else pa.int64() for name in names}
    assert {field.name: field.type for field in table.schema} == types
    for row in table.to_pylist()[::29]:
        sizes = {name: row.pop(name) for name in ("seq_len", "batch_size")}
        assert row == {**fixed, **costs.decode(**sizes, kv_bits=8)._asdict()}
    assert json.loads(table.schema.metadata[b"modelmeter"]) == {
        "stage": "decode",
        "grid": {"seq_len": "1:500:3", "batch_size": "7,2,3"},
        "fixed": fixed,
        "columns": {name: "text" if name == "expert_routing" else "int64" for name in names},
        "provenance": costs.PROVENANCE,
    }


@pytest.mark.parametrize("block_size", [1, 10, 501, 502])
def test_the_size_of_blocks_is_not_seen(tmp_path: Path, block_size: int) -> None:
    """Nor in the bytes of a CSV file; in Parquet it is that of the row groups."""
    assert SWEEP.num_points == 501
    for ending in ENDINGS:
        write_sweep(SWEEP, tmp_path / f"one.{ending}")
        write_sweep(SWEEP, tmp_path / f"many.{ending}", compute_blocks(SWEEP, block_size))
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "many.csv").read_bytes()
    one, many = (pa.parquet.read_table(tmp_path / f"{name}.parquet") for name in ("one", "many"))
    assert one.equals(many, check_metadata=True)
    assert pa.parquet.read_metadata(tmp_path / "many.parquet").num_row_groups == -(-501 // block_size)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_bytes_on_every_run(tmp_path: Path, ending: str) -> None:
    for name in ("first", "second"):
        write_sweep(SWEEP, tmp_path / f"{name}.{ending}", compute_blocks(SWEEP, 100))
    assert (tmp_path / f"first.{ending}").read_bytes() == (tmp_path / f"second.{ending}").read_bytes()


def test_integers_beyond_int64(tmp_path: Path) -> None:
    """Every digit; each column as narrow as its largest value allows."""
    axes = {"seq_len": [10**10 + 7, 3], "batch_size": [10**18, 5]}
    sweep = Sweep.over("prefill", axes, fixed={"kv_bits": 7}, overflow="exact")
    write_sweep(sweep, tmp_path / "sweep.parquet")
    write_sweep(sweep, tmp_path / "sweep.csv")
    rows = [
        tuple(costs.prefill(seq_len=seq_len, batch_size=batch_size, kv_bits=7))
        for seq_len in axes["seq_len"]
        for batch_size in axes["batch_size"]
    ]
    table = pa.parquet.read_table(tmp_path / "sweep.parquet")
    # The products take 12 layers x 4 x 1280 x seq_len^2 FLOPs and more for each of 10^18 pages: some 6e42.
    assert table.schema.field("tensor_core_flops").type == pa.string()
    assert table.schema.field("io_bytes").type == pa.decimal128(38)
    assert table.schema.field("weight_bytes").type == pa.int64()
    words = json.loads(table.schema.metadata[b"modelmeter"])["columns"]
    assert words["tensor_core_flops"] == "integers as text, of up to 43 digits"
    assert words["io_bytes"] == "decimal128(38, 0)"
    assert [tuple(int(row[metric]) for metric in METRICS) for row in table.to_pylist()] == rows
    lines = (tmp_path / "sweep.csv").read_text().splitlines()[1:]
    assert [tuple(map(int, line.split(",")[-6:])) for line in lines] == rows


def test_fixed_sizes_of_any_kind(tmp_path: Path) -> None:
    """A ratio that no float is, and an integer that no column of numbers holds, are text."""
    fixed = {"weight_bits": Fraction(31, 7), "kv_bits": 10**40}
    sweep = Sweep.over("prefill", {"seq_len": [3]}, fixed=fixed, metrics=["weight_bytes"], overflow="exact")
    for ending in ENDINGS:
        write_sweep(sweep, tmp_path / f"sweep.{ending}")
    (row,) = pa.parquet.read_table(tmp_path / "sweep.parquet").to_pylist()
    assert (row["weight_bits"], row["kv_bits"], row["activation_bits"]) == ("31/7", str(10**40), 16)
    header, line = (tmp_path / "sweep.csv").read_text().splitlines()
    assert dict(zip(header.split(","), line.split(","), strict=True)) == {
        name: str(value) for name, value in row.items()
    }


@pytest.mark.parametrize("has_pyarrow", [True, False])
def test_floats(tmp_path: Path, has_pyarrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reader finds the same float again in the text."""
    sweep = Sweep.over("prefill", {"seq_len": range(10**10, 10**10 + 97)}, overflow="float64")
    write_sweep(sweep, tmp_path / "sweep.parquet")
    monkeypatch.setattr(files, "_has_pyarrow", lambda: has_pyarrow)
    write_sweep(sweep, tmp_path / "sweep.csv")
    values = pa.parquet.read_table(tmp_path / "sweep.parquet")["tensor_core_flops"]
    assert values.type == pa.float64()
    header, *lines = (line.split(",") for line in (tmp_path / "sweep.csv").read_text().splitlines())
    place = header.index("tensor_core_flops")
    assert [float(line[place]) for line in lines] == values.to_pylist()


def test_parquet_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_has_pyarrow", lambda: False)
    with pytest.raises(OutputError, match=r"Parquet needs pyarrow; pip install 'modelmeter\[sweep\]', or write a .csv"):
        write_sweep(SWEEP, tmp_path / "sweep.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["sweep.csv", "sweep.parquet", "SWEEP.CSV"])
def test_an_existing_file_is_replaced(tmp_path: Path, name: str) -> None:
    """Also behind a link, which stays one; others may read it."""
    target = tmp_path / name
    target.write_text("something else")
    link = tmp_path / f"link{target.suffix}"
    link.symlink_to(target)
    write_sweep(SWEEP, link)
    assert link.is_symlink()
    assert target.stat().st_size > 1000
    assert target.stat().st_mode & 0o777 == 0o644


def _stop(error: BaseException) -> Iterator[Block]:
    """Yield two blocks, then raise."""
    blocks = compute_blocks(SWEEP, 100)
    yield next(blocks)
    yield next(blocks)
    raise error


class TestFailures:
    """Whatever happens, what was there before is there afterwards, and nothing else."""

    @pytest.fixture(params=ENDINGS)
    def target(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
        target = tmp_path / f"sweep.{request.param}"
        target.write_text("what was there before")
        yield target
        assert [path.name for path in tmp_path.iterdir()] == [target.name]
        assert target.read_text() == "what was there before"

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), WorkloadError("no"), ValueError("no")])
    def test_an_error_between_blocks(self, target: Path, error: BaseException) -> None:
        with pytest.raises(type(error)) as raised:
            write_sweep(SWEEP, target, _stop(error))
        assert raised.value is error

    @pytest.mark.parametrize("taken", [slice(0), slice(5), slice(1, None), slice(6)])
    def test_blocks_of_other_points(self, target: Path, taken: slice) -> None:
        """One is missing, or one is there twice; six are all of them."""
        blocks = list(compute_blocks(SWEEP, 100))
        with pytest.raises(OutputError, match="not those of the sweep"):
            write_sweep(SWEEP, target, [*blocks[taken], *(blocks[:1] if taken.stop == 6 else [])])

    @pytest.mark.usefixtures("full_disk")
    def test_a_full_disk(self, target: Path) -> None:
        with pytest.raises(OutputError) as refused:
            write_sweep(SWEEP, target, compute_blocks(SWEEP, 10))
        assert str(refused.value) == f"{target}: the sweep cannot be written; found File too large"

    def test_nothing_happens_before_the_first_block(self, target: Path) -> None:
        """A refused place or ending costs no computation."""
        for name, words in (("sweep.txt", "sweep.txt: .*.csv"), ("sweep", ".parquet or .csv"), ("no/a.csv", "No such")):
            blocks = compute_blocks(SWEEP, 100)
            with pytest.raises(OutputError, match=words):
                write_sweep(SWEEP, target.parent / name, blocks)
            assert next(blocks)["seq_len"][0] == 1, "none was taken"


def test_a_link_to_itself(tmp_path: Path) -> None:
    """It leads to no file, so it becomes one."""
    link = tmp_path / "link.csv"
    link.symlink_to(link)
    write_sweep(SWEEP, link)
    assert not link.is_symlink()


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    folder, pipe = tmp_path / "folder.csv", tmp_path / "pipe.parquet"
    folder.mkdir()
    os.mkfifo(pipe)
    for path, found in ((folder, "found a folder; name a file in it"), (pipe, "not a file")):
        with pytest.raises(OutputError, match=found):
            write_sweep(SWEEP, path)
    assert folder.is_dir()
    assert pipe.is_fifo()
