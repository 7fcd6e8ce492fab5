"""``modelmeter sweep``: grids in, files out, and one line about what is wrong."""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest
from command_line import Result, Run, assert_refused, run_apart

import deepseek_ocr_costs as costs
from llm_perf_opt.sweep import Sweep, write_sweep

COMMAND = [sys.executable, "-m", "llm_perf_opt.cli", "sweep"]
SMALL = ("prefill", "--grid", "seq_len=1:300:7", "--grid", "batch_size=5,2")
# More than anything here waits for: 32 million points.
LONG = ("prefill", "--grid", "seq_len=1:1000001", "--grid", "batch_size=1:33", "--block-size", "10000")


def test_rows_of_a_grid(run: Run, tmp_path: Path) -> None:
    """The last axis varies fastest; what is fixed holds in every row."""
    file = tmp_path / "sweep.parquet"
    result = run("sweep", *SMALL, "kv_bits=8", "--out", file, "--metric", "io_bytes", "--metric", "kv_cache_bytes")
    assert result == (0, f"{file}: 86 points\n", "")
    fixed = {"weight_bits": 16, "activation_bits": 16, "kv_bits": 8, "expert_routing": "uniform"}
    expected = [
        {"seq_len": n, "batch_size": b, **fixed, "io_bytes": cost.io_bytes, "kv_cache_bytes": cost.kv_cache_bytes}
        for n in range(1, 300, 7)
        for b in (5, 2)
        for cost in [costs.prefill(seq_len=n, batch_size=b, kv_bits=8)]
    ]
    assert pyarrow.parquet.read_table(file).to_pylist() == expected


def test_a_training_step(run: Run, tmp_path: Path) -> None:
    """It has the same metrics; the parameters are there once, however many pages there are."""
    file = tmp_path / "sweep.csv"
    sweep = ("training_step", "--grid", "batch_size=5,3", "--metric", "weight_bytes", "--metric", "io_bytes")
    assert run("sweep", *sweep, "--out", file) == (0, f"{file}: 2 points\n", "")
    weight_bytes = costs.request().weight_bytes
    page = "images_per_prompt,vision_batch_size,base_size,image_size,num_width_tiles,num_height_tiles"
    fixed = f"{page},prompt_tokens,weight_bits,activation_bits"
    assert file.read_text().splitlines() == [
        f"batch_size,{fixed},expert_routing,weight_bytes,io_bytes",
        *(
            f"{pages},1,1,1024,640,2,3,10,16,16,uniform,{weight_bytes},{costs.training_step(batch_size=pages).io_bytes}"
            for pages in (5, 3)
        ),
    ]


def test_a_fraction_of_a_bit(run: Run, tmp_path: Path) -> None:
    """The projector's 2048 x 1280 weights and its bias, the newline and the separator, at 5.5 bits."""
    file = tmp_path / "sweep.csv"
    run("sweep", "projector", "weight_bits=5.5", "--grid", "batch_size=1", "--metric", "weight_bytes", "--out", file)
    header, row = (line.split(",") for line in file.read_text().splitlines())
    assert (row[header.index("weight_bits")], row[-1]) == ("5.5", str((2048 * 1280 + 3 * 1280) * 11 // 16))


def test_overflow(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "sweep.csv"
    run("sweep", "prefill", "--grid", "seq_len=10_000_000_000", "--out", file, "--overflow", "exact")
    fixed = (1, 16, 16, 16, "uniform")
    assert file.read_text().splitlines()[1] == ",".join(map(str, (10**10, *fixed, *costs.prefill(seq_len=10**10))))


def test_block_size(run: Run, tmp_path: Path) -> None:
    run("sweep", *SMALL, "--out", tmp_path / "sweep.parquet", "--block-size", 20)
    assert pyarrow.parquet.read_metadata(tmp_path / "sweep.parquet").num_row_groups == 5


def test_csv_on_the_standard_output(tmp_path: Path) -> None:
    """Nothing but the table, and nothing on stderr: there is no progress in a pipe."""
    result = run_apart("sweep", *SMALL, "--out", "-", forbidden=("torch", "sympy", "dask", "distributed"))
    assert (result.returncode, result.stderr) == (0, "")
    file = run_apart("sweep", *SMALL, "--out", "sweep.csv", folder=tmp_path)
    assert (file.returncode, file.stdout, file.stderr) == (0, "sweep.csv: 86 points\n", "")
    assert (tmp_path / "sweep.csv").read_text() == result.stdout


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    """How much is done, on stderr."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *SMALL, "--out", "sweep.csv"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )  # fmt: skip
    os.close(follower)
    out, _ = process.communicate(timeout=60)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert (process.returncode, out) == (0, b"sweep.csv: 86 points\n")
    assert "sweep prefill" in shown
    assert "100%" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("prefil", "--grid", "seq_len=1"), ("did you mean prefill", "request, training_step")),
        (("training_step", "--grid", "decode_steps=1"), ("argument of training_step", "logits_tokens")),
        (("training_step", "--grid", "seq_len=1:9"), ("seq_len", "903")),
        (("prefill", "--grid", "seqlen=1"), ("did you mean seq_len", "logits_tokens")),
        (("prefill", "--grid", "experts=even"), ("argument of prefill", "kv_bits, expert_routing")),
        (("prefill", "--grid", "expert_routing=even"), ("does not vary", "expert_routing=even without --grid")),
        (("prefill", "--grid", "seq_len=1:1"), ("seq_len", "no value")),
        (("prefill", "--grid", "seq_len=1:9:0"), ("seq_len", "step of 0")),
        (("prefill", "--grid", "seq_len=1", "--grid", "seq_len=2"), ("seq_len", "given twice")),
        (("prefill", "--grid", "seq_len=1.5"), ("seq_len", "not an integer")),
        (("prefill", "--grid", "seq_len=1k"), ("seq_len", "digits: 1913 or 1_913", "1k")),
        (("prefill", "--grid", "weight_bits=5.5,6"), ("weight_bits: a size that varies is an integer", "5.5")),
        (("prefill", "--grid", "dtype=fp8"), ("argument of prefill", "did you mean weight_bits or activation_bits")),
        (("prefill", "--grid", "seq_len=1", "dtype=fp8"), ("argument of prefill", "did you mean weight_bits")),
        (("request", "--grid", "decode_steps=5", "max_new_tokens=7"), ("decode_steps", "5 is not 6")),
        (("prefill", "--grid", "seq_len=0:9"), ("seq_len must be at least 1",)),
        (("decode", "--grid", f"decode_steps=0:{2**63}"), ("more points", str(2**63))),
        (("prefill", "--grid", "seq_len=1", "seq_len=4"), ("seq_len", "given twice")),
        (("prefill", "--grid", "seq_len=1", "kv_bits"), ("key=value",)),
        (("prefill", "--grid", "seq_len=1", "--metric", "flops"), ("metric", "tensor_core_flops")),
        (("prefill", "--grid", "seq_len=1,1_000_000_000"), ("int64", "float64 or exact")),
        (("prefill", "--grid", "seq_len=1", "--overflow", "wrap"), ("overflow", "float64", "wrap")),
        (("prefill", "--grid", "seq_len=\x1b[31m"), ("not an integer", "x1b[31m")),
    ],
)
def test_refuses_what_is_no_sweep(run: Run, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    result = run("sweep", *arguments, "--out", tmp_path / "sweep.csv")
    assert_refused(result, *words)
    assert "\x1b" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ending(run: Run) -> None:
    assert_refused(run("sweep", *SMALL, "--out", "sweep.xlsx"), "sweep.xlsx", ".parquet or .csv")
    assert_refused(run("sweep", *SMALL, "--out", "sweep"), "sweep: ", ".parquet or .csv; found no ending")


@pytest.mark.parametrize(("name", "named"), [("new", "new/sweep.csv"), ("new.parquet", "new.parquet/sweep.parquet")])
def test_a_folder_is_no_file(run: Run, tmp_path: Path, name: str, named: str) -> None:
    (tmp_path / name).mkdir()
    result = run("sweep", *SMALL, "--out", tmp_path / name)
    assert_refused(result, f"{name}: a sweep is written to a file; found a folder; name a file in it, as ", named)
    assert list((tmp_path / name).iterdir()) == []
    assert run("sweep", *SMALL, "--out", tmp_path / "new" / "sweep.csv").code == 0 or name != "new", "the remedy works"


@pytest.mark.parametrize("missing", [("--grid", "seq_len=1"), ("--out", "sweep.csv")])
def test_grid_and_out_are_needed(run: Run, missing: tuple[str, ...]) -> None:
    result = run("sweep", "prefill", *missing)
    assert result.code == 2
    assert "Missing option" in result.err


@pytest.mark.parametrize(
    ("missing", "file", "words"),
    [("pyarrow", "x.parquet", "x.parquet: Parquet needs pyarrow"), ("numpy", "x.csv", "sweeps need NumPy")],
)
def test_what_it_needs_is_said(missing: str, file: str, words: str, tmp_path: Path) -> None:
    """Where an extra is not installed."""
    result = run_without(missing, "sweep", "prefill", "--grid", "seq_len=1", "--out", file, folder=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {words}")
    assert list(tmp_path.iterdir()) == []


def test_csv_needs_no_pyarrow(tmp_path: Path) -> None:
    result = run_without("pyarrow", "sweep", *SMALL, "--out", "sweep.csv", folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "sweep.csv: 86 points\n", "")
    with_it = run_apart("sweep", *SMALL, "--out", "-")
    assert (tmp_path / "sweep.csv").read_text() == with_it.stdout


def run_without(missing: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from llm_perf_opt.cli import main\n"
        f"sys.argv = {['modelmeter', *arguments]!r}; main()"
    )
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)


def test_a_closed_pipe_is_quiet() -> None:
    """As in ``modelmeter sweep ... --out - | head -n 1``."""
    process = subprocess.Popen([*COMMAND, *LONG, "--out", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"seq_len,batch_size,")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) in (0, 1)


def test_a_standard_output_that_is_closed() -> None:
    """As in ``modelmeter sweep ... --out - >&-``."""
    command = ["sh", "-c", '"$@" >&-', "sh", *COMMAND, *SMALL, "--out", "-"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (2, "error: -: the standard output is closed\n")


def test_a_standard_output_that_is_full() -> None:
    """No broken pipe: this is worth a line."""
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run([*COMMAND, *SMALL, "--out", "-"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 2
    assert result.stderr == b"error: -: the sweep cannot be written; found No space left on device\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_interrupt_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int, ending: str) -> None:
    """Nor does the end of a batch job."""
    process = subprocess.Popen(
        [*COMMAND, *LONG, "--out", f"sweep.{ending}"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # Tests that run in the background are started with this signal ignored, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while not any(path.stat().st_size for path in tmp_path.iterdir()):
        assert process.poll() is None, "it is still at work"
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, b"")
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_limit_on_files_leaves_nothing(tmp_path: Path, ending: str) -> None:
    """The system itself refuses to write on, in the middle of a block: one line, and the old file."""
    file = tmp_path / f"sweep.{ending}"
    write_sweep(Sweep.over("prefill", {"seq_len": [5]}), file)
    before = file.read_bytes()
    result = subprocess.run(
        [*COMMAND, *LONG, "--out", f"sweep.{ending}"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_003, 1_000_003)),
    )  # fmt: skip
    assert_refused(Result(result.returncode, result.stdout, result.stderr), f"sweep.{ending}", "File too large")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


# The usage that the system reports of a child begins with what its parent had: only the child itself knows better.
SHOW_PEAK = """
import re, sys
from llm_perf_opt.cli import main
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_points(tmp_path: Path, ending: str) -> None:
    """Eight times the points take a little more for the index of the row groups; a block's columns are 0.9 MB."""

    def measure(points: int) -> int:
        arguments = ["prefill", "--grid", f"seq_len=1:{points + 1}", "--block-size", "16384", "--out", f"s.{ending}"]
        command = [sys.executable, "-c", SHOW_PEAK, "sweep", *arguments]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
        return int(result.stderr) * 1024

    few, many = measure(2**17), measure(2**20)
    assert few > 40_000_000, "Python, NumPy and pyarrow alone take more"
    # All rows that the larger sweep has more are 7 * 2**17 rows x 7 columns x 8 bytes = 51 MB.
    assert many - few < 15_000_000
