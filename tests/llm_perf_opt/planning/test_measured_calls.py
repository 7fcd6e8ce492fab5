"""Measurements as users write them: which rows are read, and where the others are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.calibrate.table import MOST_POINTS, read_measured_calls
from llm_perf_opt.planning.evaluation import ServedModel
from modelmeter.support.errors import ModelMeterError

SERVED = ServedModel()


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "measured.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_of_one_call_are_one_with_their_median(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "stage,batch_size,seq_len,context_tokens,milliseconds,peak_memory_bytes",
        "step,3,,1009,7.0,1",
        "prefill,,911,,31,",
        "",
        " step , 3 ,, 1009 ,11,2",
        "step,3,,1009,8,3",
        "vision,1,,,40.5,4",
    )
    step, prefill, vision = read_measured_calls(path, SERVED)
    assert (step.stage, step.sizes, step.seconds, step.line) == (
        "step", {"batch_size": 3, "context_tokens": 1009}, 0.008, 2,
    )  # fmt: skip
    assert (prefill.stage, prefill.sizes, prefill.seconds) == ("prefill", {"seq_len": 911}, 0.031)
    assert (vision.name, vision.seconds) == ("line 7: vision batch_size=1", 0.0405)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["stage,batch_size", "step,1"], "expected a column milliseconds; found stage, batch_size"),
        ([""], "a column is missing; expected a column stage"),
        (["stage,milliseconds,stage", "vision,1,vision"], "a column is there twice; found stage"),
        (["stage,milliseconds,batch_sise", "vision,1,1"], "line 1: .* column of this name; .* mean batch_size"),
        (["stage,milliseconds", "visoin,1"], "line 2, stage: .* found visoin; did you mean vision"),
        (["stage,milliseconds", "decode,1"], "line 2, stage: .* found decode; .*prefill, step"),
        (["stage,milliseconds,seq_len", "vision,1,7"], "line 2, seq_len: vision has no such size; expected batch_size"),
        (["stage,milliseconds", "vision,1,3"], "line 2: .* as many cells as the header; expected 2; found 3"),
        (["stage,milliseconds", "vision,1", "vision,-3"], "line 3, milliseconds: .* from 1e-06 to 1e.09; found -3"),
        (["stage,milliseconds", "vision,1e-320"], "line 2, milliseconds: this is no time; .*; found 1e-320"),
        (["stage,milliseconds", "vision,0"], "line 2, milliseconds: this is no time"),
        (["stage,milliseconds", "vision,nan"], "line 2, milliseconds: this is no time"),
        (["stage,milliseconds", "vision,"], "line 2, milliseconds: this is no time; .*; found nothing"),
        (["stage,milliseconds,batch_size", "vision,1,-2"], "line 2, batch_size: a size is not positive"),
        (["stage,milliseconds,batch_size", "vision,1,2.5"], "line 2, batch_size: the value is not an integer"),
        (["stage,milliseconds,batch_size", "step,1,2"], "line 2, context_tokens: a step has a size that is missing"),
        (['stage,milliseconds', '"vision,1'], "cannot be read as CSV"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_line_and_its_column(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(ModelMeterError, match=message) as caught:
        read_measured_calls(write(tmp_path, *lines), SERVED)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="the file cannot be read; found No such file"):
        read_measured_calls(tmp_path / "nowhere.csv", SERVED)
    path = tmp_path / "latin.csv"
    path.write_bytes("stage,milliseconds\nvision,1\xb5\n".encode("latin-1"))
    with pytest.raises(RecordError, match="the file cannot be read"):
        read_measured_calls(path, SERVED)


def test_a_byte_order_mark_before_the_first_column_is_none_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "measured.csv"
    path.write_text("stage,milliseconds,seq_len\nprefill,31,911\n", encoding="utf-8-sig")
    (call,) = read_measured_calls(path, SERVED)
    assert (call.stage, call.sizes, call.seconds) == ("prefill", {"seq_len": 911}, 0.031)


def test_more_calls_than_can_be_left_out_are_refused(tmp_path: Path) -> None:
    rows = [f"prefill,{length},1.5" for length in range(100, 101 + MOST_POINTS)]
    with pytest.raises(RecordError, match=f"too many different calls; expected at most {MOST_POINTS}; found 301"):
        read_measured_calls(write(tmp_path, "stage,seq_len,milliseconds", *rows), SERVED)
