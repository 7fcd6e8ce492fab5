"""``modelmeter calibrate``: from a file of measurements to a calibration that reports and plans take."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from command_line import Run, assert_refused, run_apart

from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.calibrate.judge import find_worst_residual
from llm_perf_opt.planning.calibrate.table import read_measured_calls
from llm_perf_opt.planning.calibrate.user import serve_in
from llm_perf_opt.planning.time import estimate_seconds, load_calibration
from llm_perf_opt.planning.time.records import COEFFICIENTS

CARD = "rtx-pro-6000"
STEPS = ((1, 1009), (3, 2003), (7, 9001), (17, 20011), (37, 50021), (101, 90001))
PROMPTS = (113, 509, 1511)


@pytest.fixture
def measurements(tmp_path: Path) -> Path:
    """What a card would show on which the shipped calibration of graphs were exactly right."""
    calibration, card, served = (
        load_calibration("graphs-gddr"),
        find_hardware(CARD),
        serve_in("deepseek-ocr", "bfloat16"),
    )
    rows = ["stage,batch_size,context_tokens,seq_len,milliseconds"]
    for batch_size, tokens in STEPS:
        time = estimate_seconds(calibration, card, served.list_step_work(batch_size, tokens)).seconds
        rows.append(f"step,{batch_size},{tokens},,{1000 * time!r}")
    for seq_len in PROMPTS:
        time = estimate_seconds(
            calibration, card, served.list_stage_work("prefill", batch_size=1, seq_len=seq_len)
        ).seconds
        rows.append(f"prefill,1,,{seq_len},{1000 * time!r}")
    path = tmp_path / "measured.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_it_finds_the_coefficients_that_made_the_times(run: Run, tmp_path: Path, measurements: Path) -> None:
    out = tmp_path / "mine.yaml"
    result = run("calibrate", measurements, "--card", CARD, "--engine", "graphs", "--out", out)
    assert result.code == 0, result.err
    made, truth = load_calibration(str(out)), load_calibration("graphs-gddr")
    for name in COEFFICIENTS:
        assert getattr(made.coefficients, name) == pytest.approx(getattr(truth.coefficients, name), rel=0.01), name
    assert (made.name, made.engine, made.memory_class, made.cards) == ("mine", "graphs", "GDDR", (CARD,))
    assert made.undetermined == ()
    assert len(made.points) == len(STEPS) + len(PROMPTS)
    assert made.worst_error is not None
    assert made.worst_error < 0.01
    assert made.origins["page_host_seconds"] == "taken over from graphs-gddr"
    assert "error 0 % at the median and 0 % at most over 9 measurements left out in turn" in result.out
    assert "line 2: step batch_size=1 context_tokens=1009" in result.out


def test_the_picture_and_the_json(run: Run, tmp_path: Path, measurements: Path) -> None:
    pytest.importorskip("matplotlib")
    out, picture = tmp_path / "mine.yaml", tmp_path / "residuals.svg"
    words = ("calibrate", measurements, "--card", CARD, "--engine", "graphs", "--out", out, "--picture", picture)
    result = run(*words, "--json", "--name", "card-7")
    assert json.loads(result.out)["name"] == load_calibration(str(out)).name == "card-7"
    drawn = picture.read_bytes()
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    # It replaces what it wrote, with the same bytes.
    written = out.read_bytes()
    assert run(*words, "--name", "card-7").code == 0
    assert (out.read_bytes(), picture.read_bytes()) == (written, drawn)


def test_the_sample_in_the_help_is_read(run: Run, tmp_path: Path) -> None:
    lines = [line.strip() for line in run("calibrate", "--help").out.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith("stage,"))
    path = tmp_path / "sample.csv"
    end = lines.index("", start)
    path.write_text("\n".join(lines[start:end]) + "\n", encoding="utf-8")
    calls = read_measured_calls(path, serve_in("deepseek-ocr", "bfloat16"))
    assert [call.stage for call in calls] == ["step"] * 4 + ["prefill"] * 3 + ["vision"]
    assert calls[0].seconds == 0.0099
    # It fits, on the card and engine that it is said to be of.
    result = run("calibrate", path, "--card", "rtx-5090", "--engine", "eager", "--out", tmp_path / "mine.yaml")
    assert result.code == 0, result.err
    made = load_calibration(str(tmp_path / "mine.yaml"))
    assert find_worst_residual(made) < 0.1
    assert made.worst_error is not None
    assert made.worst_error < 0.25
    assert "the fit is off by" in result.out
    assert "THE FIT IS BAD" not in result.out


def test_a_bad_fit_says_so_and_names_the_engine_that_fits_better(run: Run, tmp_path: Path, measurements: Path) -> None:
    """Steps of graphs, of a few hundred microseconds, fitted as if the host started every kernel."""
    result = run("calibrate", measurements, "--card", CARD, "--engine", "eager", "--out", tmp_path / "mine.yaml")
    assert result.code == 0, result.err
    made = load_calibration(str(tmp_path / "mine.yaml"))
    worst = max(abs(point.predicted_seconds / point.measured_seconds - 1) for point in made.points)
    assert worst > 0.25
    shown = " ".join(result.out.split())
    assert f"{100 * worst:.0f} % at most on the 9 measurements" in shown
    assert "THE FIT IS BAD" in shown
    assert "--engine graphs fits them better: off by 0 % at most." in shown


def test_too_few_measurements_are_refused(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "few.csv", tmp_path / "mine.yaml"
    path.write_text("stage,seq_len,milliseconds\nprefill,113,1\nprefill,113,2\nprefill,509,3\n", encoding="utf-8")
    result = run("calibrate", path, "--card", CARD, "--out", out)
    assert_refused(result, "too few measurements", "at least 3 calls of different sizes or stages", "found 2")
    assert not out.exists()


def test_what_the_measurements_do_not_tell_is_said(run: Run, tmp_path: Path) -> None:
    """Of calls that the host takes longest for, nothing is known of the card."""
    path, out = tmp_path / "host.csv", tmp_path / "mine.yaml"
    served = serve_in("deepseek-ocr", "bfloat16")
    rows = ["stage,batch_size,context_tokens,milliseconds"]
    for batch_size in (1, 2, 3, 5, 7):
        launches = served.list_step_work(batch_size, 64 * batch_size).launches
        rows.append(f"step,{batch_size},{64 * batch_size},{0.05 * launches!r}")  # 50 microseconds each
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    result = run("calibrate", path, "--card", CARD, "--out", out)
    assert result.code == 0, result.err
    made = load_calibration(str(out))
    assert made.coefficients.launch_host_seconds == pytest.approx(5e-5, rel=0.01)
    assert "matrix_product_efficiency" in made.undetermined
    assert "not determined: matrix_product_efficiency" in result.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--card", "rtx-pro-600"), ("rtx-pro-6000",)),
        (("--engine", "compiled"), ("--engine", "eager, graphs")),
        (("--dtype", "bf16"), ("--dtype", "bfloat16")),
        (("--picture", "residuals.jpg"), ("residuals.jpg", ".svg, .png, .pdf")),
        (("--name", "a/b"), ("--name", "letters, digits")),
        (("--model", "deepseek-ocr-3"), ("deepseek-ocr",)),
    ],
)  # fmt: skip
def test_what_is_wrong_ends_in_one_line(
    run: Run, tmp_path: Path, measurements: Path, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    out = tmp_path / "mine.yaml"
    assert_refused(run("calibrate", measurements, "--card", CARD, "--out", out, *words), *said)
    assert not out.exists()


def test_files_of_others_stay(run: Run, tmp_path: Path, measurements: Path) -> None:
    out = tmp_path / "mine.yaml"
    out.write_text("a: 1\n", encoding="utf-8")
    assert_refused(run("calibrate", measurements, "--card", CARD, "--out", out), "did not write", str(out))
    assert out.read_text(encoding="utf-8") == "a: 1\n"
    assert_refused(
        run("calibrate", measurements, "--card", CARD, "--out", tmp_path), "--out: a calibration is a YAML file"
    )


def test_without_scipy_it_says_what_to_install(
    run: Run, tmp_path: Path, measurements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    out = tmp_path / "mine.yaml"
    result = run("calibrate", measurements, "--card", CARD, "--out", out)
    assert_refused(result, "fitting needs scipy", "pip install 'modelmeter[calibrate]'")
    assert not out.exists()


def test_it_imports_neither_torch_nor_sympy(tmp_path: Path, measurements: Path) -> None:
    ended = run_apart(
        "calibrate", measurements, "--card", CARD, "--out", tmp_path / "mine.yaml", forbidden=("torch", "sympy")
    )
    assert (ended.returncode, ended.stderr) == (0, "")
