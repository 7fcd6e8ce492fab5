"""``modelmeter report``: what it writes, prints and refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from attrs import evolve
from command_line import Run
from report_runs import run

from llm_perf_opt import cli
from llm_perf_opt.commands.report import DTYPE_HELP, HARDWARE_HELP, WORKLOAD_HELP
from llm_perf_opt.contracts import DeepSeekOCRAnalyticReportSummary
from llm_perf_opt.data import AnalyticModelReport, HardwareSpec, OCRWorkloadProfile
from llm_perf_opt.data.hardware import DTYPE_BITS
from llm_perf_opt.data.serialization import from_json, from_yaml, read_record
from llm_perf_opt.hardware import find_hardware, list_hardware
from llm_perf_opt.profiles import find_profile, list_profiles


def read_all(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_line_has_the_commands_and_turns_an_error_into_a_line() -> None:
    command = [sys.executable, "-m", "llm_perf_opt.cli", "report", "--workload", "absent"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no workload profile of this name; found absent;")
    assert {"report", "trace", "coverage"} <= {command.name for command in cli.app.registered_commands}


@pytest.mark.parametrize("name", list_profiles())
def test_every_profile_is_reported(tmp_path: Path, name: str) -> None:
    assert run("--workload", name, "--out", tmp_path / "out").exit_code == 0
    written = read_record(tmp_path / "out" / "report.json", AnalyticModelReport)
    assert written.workload.profile_id == name
    assert written == read_record(tmp_path / "out" / "report.yaml", AnalyticModelReport)
    assert {path.stem for path in (tmp_path / "out" / "layers").iterdir()} == {
        node.module_id for node in written.modules
    }


def test_it_prints_stages_modules_and_what_binds(tmp_path: Path) -> None:
    shown = run("--out", tmp_path / "out").stdout
    for words in (
        "gundam on NVIDIA H100 SXM5 80GB: ", "(bfloat16, efficiency 1)", "limit", "vision", "projector",
        "prefill", "decode", "request", "100.0 %", "decode.lm_head", "memory-bound for 100.0 % of the time",
        # 2 x 3,336,106,240 bytes of weights; a cache of 12 x 2 x 1280 x 2 x (913 + 1023); a peak of 913 x (129,280 x 6
        # + 1280 x 2 + 8), or 549,273,600 as counted on the vendor's towers and 913 x (1280 x 2 + 8): together
        # 7,501,700,744 or 7,342,778,504 bytes, of 80 x 2^30 less 2.14 x 2^30.
        "\nmemory: 77.86 GiB usable (80.00 less a reserve of 2.14), 1 page in a call of the vision towers\n"
        "logits of all 913 positions: 6.99 GiB at the peak, fits, with 70.87 GiB of headroom\n"
        "logits of the last position: 6.84 GiB at the peak, fits, with 71.02 GiB of headroom\n"
        "most pages that fit at once: 92 with logits of all 913 positions, 353 with logits of the last position\n"
        "wrote: ",
    ):  # fmt: skip
        assert words in shown


@pytest.mark.parametrize("on_terminal", [False, True])
def test_a_module_is_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_terminal: bool) -> None:
    """Also on a terminal of 80 columns: a path that is folded cannot be searched for."""
    monkeypatch.setenv("COLUMNS", "80")
    if on_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take a captured stream for a terminal
    shown = run("--out", tmp_path / "out").stdout
    assert ("\x1b" in shown) == on_terminal
    assert re.search(r"^decode\.model\.layers\.1-11\.mlp\.experts\.0-63\.gate_proj +\d.*%$", shown, re.MULTILINE)


def test_the_same_request_gives_the_same_bytes(tmp_path: Path) -> None:
    run("--out", tmp_path / "out", "--hardware", "l40s")
    first = read_all(tmp_path / "out")
    assert "unchanged: " in run("--out", tmp_path / "out", "--hardware", "l40s").stdout
    assert "wrote: " in run("--out", tmp_path / "out", "--hardware", "l40s", "--force-rebuild").stdout
    assert read_all(tmp_path / "out") == first
    assert "wrote: " in run("--out", tmp_path / "out", "--hardware", "rtx-4090").stdout
    assert read_all(tmp_path / "out") != first


def test_equal_reports_are_equal_in_any_folder(tmp_path: Path) -> None:
    """To the byte, in every file: no path is in them unless it is asked for."""
    for name in ("a", "b"):
        run("--workload", "tiny", "--out", tmp_path / name / name)
    assert read_all(tmp_path / "a" / "a") == read_all(tmp_path / "b" / "b")
    assert not any(str(tmp_path).encode() in content for content in read_all(tmp_path).values())
    run("--workload", "tiny", "--with-paths", "--out", tmp_path / "c")
    written = read_record(tmp_path / "c" / "report.json", AnalyticModelReport)
    assert written.layer_docs_dir == str(tmp_path / "c" / "layers")
    assert written.model.config_path is not None
    assert written.model.config_path.startswith("/")


def test_the_help_shows_a_workload_and_a_card_that_can_be_read(run: Run) -> None:
    """As they stand there, without what the help indents them by."""
    shown = run("report", "--help").out
    workload, card = (
        textwrap.dedent("\n".join(line for line in block.splitlines()[1:] if line.startswith("    ")))
        for block in shown.split("of your own")[-2:]
    )
    profile, gundam = from_yaml(workload, OCRWorkloadProfile), find_profile("gundam")
    assert profile.logits_tokens == gundam.seq_len  # all that there are, as without a number
    changes = {"profile_id": "gundam", "description": gundam.description, "logits_tokens": None}
    assert evolve(profile, **changes) == gundam
    hardware, like = from_yaml(card, HardwareSpec), find_hardware("h100-sxm")
    assert (hardware.tensor_peak("bfloat16"), hardware.tensor_peak("tf32")) == (989.4e12, 494.7e12)
    assert (hardware.vector_flops_per_second, hardware.memory_bytes) == (
        like.vector_flops_per_second,
        like.memory_bytes,
    )
    assert "A page of your own" in run("trace", "--help").out


def test_a_time_of_day_is_noted_only_where_asked(tmp_path: Path) -> None:
    run("--out", tmp_path / "out", "--timestamp")
    assert "Written at 20" in json.loads((tmp_path / "out" / "report.json").read_text())["notes"]


def test_it_goes_to_the_folder_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PERF_OPT_ROOT", str(tmp_path))
    run("--run-id", "run-7")
    folder = tmp_path / "tmp" / "profile-output" / "run-7" / "static_analysis" / "analytic_model"
    assert read_record(folder / "report.json", AnalyticModelReport).profile_run_id == "run-7"
    run()
    (unnamed,) = set((tmp_path / "tmp" / "profile-output").iterdir()) - {tmp_path / "tmp" / "profile-output" / "run-7"}
    written = read_record(unnamed / "static_analysis" / "analytic_model" / "report.json", AnalyticModelReport)
    assert (written.report_id, written.profile_run_id) == (unnamed.name, None)


def test_without_a_folder_it_writes_below_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nowhere else, wherever the code itself lies."""
    monkeypatch.delenv("LLM_PERF_OPT_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    shown = run("--workload", "tiny").stdout
    (report_json,) = tmp_path.rglob("report.json")
    assert report_json.relative_to(tmp_path).parts[:2] == ("tmp", "profile-output")
    assert shown.endswith(f"wrote: {report_json.parent}\n")


@pytest.mark.parametrize("path", ["report.json", "report.yaml", "summary.md", "layers/decode.lm_head.md"])
def test_files_of_others_are_refused_before_anything_is_written(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("mine")
    for options in ((), ("--force-rebuild",)):
        result = run("--workload", "tiny", "--out", tmp_path, *options)
        assert result.stdout == ""
        assert str(result.exception).endswith(
            f"{tmp_path}: the folder holds files that modelmeter did not write, or that were changed since; "
            f"found {path}; move them away, or name another folder"
        )
    assert read_all(tmp_path) == {path: b"mine"}


def test_files_of_others_among_ours_stay(tmp_path: Path) -> None:
    assert run("--workload", "tiny", "--out", tmp_path).exit_code == 0
    for path in ("thesis.txt", "layers/mine.md"):
        (tmp_path / path).write_text("mine")
    for hardware in ("l40s", "rtx-4090"):
        assert "wrote: " in run("--workload", "tiny", "--out", tmp_path, "--hardware", hardware).stdout
    assert [(tmp_path / path).read_text() for path in ("thesis.txt", "layers/mine.md")] == ["mine", "mine"]
    assert "RTX 4090" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_the_help_names_what_is_shipped() -> None:
    for words, names in ((WORKLOAD_HELP, list_profiles()), (HARDWARE_HELP, list_hardware())):
        assert words.split(": ")[1].split(", ") == [*names, "or a YAML file of your own."]
    assert all(name in DTYPE_HELP for name in DTYPE_BITS)


def test_the_summary_is_printed_as_json(tmp_path: Path) -> None:
    result = run("--json", "--out", tmp_path / "out", "--measured-ms", "300")
    summary = from_json(result.stdout, DeepSeekOCRAnalyticReportSummary)
    assert summary.measured_total_time_ms == 300
    assert len(summary.top_modules) == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ("--workload", "absent"), ("--workload", "absent.yaml"), ("--hardware", "absent"), ("--efficiency", "0"),
        ("--run-id", "../up"), ("--measured-ms", "0"), ("--dtype", "bfloat17"),
        ("--dtype", "float8_e4m3fn", "--hardware", "a100-sxm-80gb"),
        ("--vision-batch-size", "2"), ("--num-pages", "6", "--vision-batch-size", "4"), ("--logits-tokens", "914"),
        ("--float32-matmul-precision", "medium"), ("--reserve", "-1"), ("--reserve", "nan"), ("--weight-bits", "0"),
        ("--kv-bits", "fp8"), ("--activation-bits", "1e3"), ("--weight-bits", "11/0"), ("--weight-bits", "-4"),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LLM_PERF_OPT_ROOT", str(tmp_path))
    result = run(*arguments)
    assert type(result.exception).__name__ in ("RecordError", "UnknownNameError", "PathError", "WorkloadError")
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []
