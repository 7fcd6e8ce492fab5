"""A sweep replaces sweeps, and no other files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from command_line import Run, assert_refused

from llm_perf_opt.sweep import Sweep, write_sweep
from llm_perf_opt.sweep.targets import refuse_foreign
from modelmeter.support.errors import OutputError

SWEEP = Sweep.over("prefill", {"seq_len": [5, 7]}, metrics=["io_bytes"])


def write_parquet(path: Path, columns: Mapping[str, list[int]], metadata: Mapping[str, str]) -> None:
    pa.parquet.write_table(pa.table(columns).replace_schema_metadata(dict(metadata)), path)


@pytest.mark.parametrize("name", ["sweep.csv", "sweep.parquet"])
def test_a_sweep_is_replaced(tmp_path: Path, name: str) -> None:
    """Also one of another stage and other axes."""
    for sweep in (SWEEP, Sweep.over("training_step", {"batch_size": [3], "prompt_tokens": [11]})):
        write_sweep(sweep, tmp_path / name)
        refuse_foreign(tmp_path / name)
    refuse_foreign(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    "text",
    [
        "name,price\na,3\n",
        "seq_len,io_bytes,price\n5,7,11\n",  # ours, with a column of someone's own
        "seq_len,batch_size\n5,7\n",
        "io_bytes,weight_bytes\n5,7\n",
        "seq_len,seq_len,io_bytes\n5,7,11\n",
        "my thesis",
        "\ufeffseq_len,io_bytes\n",
        "\n",
    ],
)
def test_a_table_of_others_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match=r"mine\.csv: the sweep would replace a file that modelmeter did not write"):
        refuse_foreign(file)
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("columns", "metadata"),
    [
        ({"seq_len": [5], "io_bytes": [7]}, {}),
        ({"seq_len": [5], "io_bytes": [7]}, {"modelmeter": "{"}),
        ({"seq_len": [5], "io_bytes": [7]}, {"modelmeter": "[]"}),
        ({"seq_len": [5], "io_bytes": [7], "price": [11]}, {"modelmeter": '{"stage": "prefill"}'}),
    ],
)
def test_parquet_of_others_is_refused(
    tmp_path: Path, columns: Mapping[str, list[int]], metadata: Mapping[str, str]
) -> None:
    """Even where it began as ours: the description stays with the table that someone adds a column to."""
    file = tmp_path / "mine.parquet"
    write_parquet(file, columns, metadata)
    before = file.read_bytes()
    with pytest.raises(OutputError, match="did not write"):
        refuse_foreign(file)
    assert file.read_bytes() == before


def test_a_file_that_is_no_parquet_is_refused_and_an_empty_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "mine.parquet"
    file.write_text("mine")
    with pytest.raises(OutputError, match="did not write"):
        refuse_foreign(file)
    file.write_text("")
    refuse_foreign(file)


def test_the_command_says_so_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("name,price\n")
    result = run("sweep", "prefill", "--grid", "seq_len=5,7", "--out", tmp_path / "mine.csv")
    assert_refused(result, "mine.csv", "did not write", "name another file")
    assert (tmp_path / "mine.csv").read_text() == "name,price\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]
    for grid in ("seq_len=5,7", "batch_size=3"):
        result = run("sweep", "prefill", "--grid", grid, "--out", tmp_path / "sweep.csv")
        assert (result.code, result.err) == (0, "")
