"""The measuring script: on a processor, with the smallest model, into what the calibration reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from command_line import OTHER_CONFIG
from typer.testing import CliRunner

from llm_perf_opt.planning.calibrate.table import read_measured_calls
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.runners import measure_stages
from llm_perf_opt.runners.measure_stages import Timing, WantedCall, list_usual_calls, parse_call, render_rows
from modelmeter.model.serving import find_serving
from modelmeter.support.errors import ModelMeterError

torch = pytest.importorskip("torch")

from modelmeter.models.deepseek_ocr.measuring import StageCalls  # noqa: E402 - it needs torch
from modelmeter.models.deepseek_ocr.model import MODEL  # noqa: E402 - as the line before

CALLS = (
    "step batch_size=3 context_tokens=51", "prefill batch_size=2 seq_len=19 logits_tokens=1",
    "vision batch_size=1 base_size=80 image_size=48 num_width_tiles=2 num_height_tiles=1",
)  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(OTHER_CONFIG), encoding="utf-8")
    return path


@pytest.fixture
def stages(config: Path) -> StageCalls:
    assert MODEL.read_config is not None
    return StageCalls(MODEL.read_config(config).architecture, "cpu", torch.float32)


def test_it_writes_what_the_calibration_reads(tmp_path: Path, config: Path) -> None:
    out = tmp_path / "measured.csv"
    words = ["--device", "cpu", "--dtype", "float32", "--repeat", "3", "--warm-up", "1", "--out", str(out)]
    for each in CALLS:
        words += ["--call", each]
    result = CliRunner().invoke(measure_stages.app, [*words, "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert f"{out}: 9 runs of 3 calls on cpu" in result.output
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 9
    assert {row["device"] for row in rows} == {"cpu"}
    step, prefill, vision = read_measured_calls(out, ServedModel())
    assert (step.stage, step.sizes) == ("step", {"batch_size": 3, "context_tokens": 51})
    assert (prefill.stage, prefill.sizes) == ("prefill", {"batch_size": 2, "seq_len": 19, "logits_tokens": 1})
    assert vision.stage == "vision"
    assert all(0 < call.seconds < 60 for call in (step, prefill, vision))
    # It replaces what it wrote, and nothing else.
    assert CliRunner().invoke(measure_stages.app, [*words, "--config", str(config)]).exit_code == 0
    out.write_text("mine\n", encoding="utf-8")
    refused = CliRunner().invoke(measure_stages.app, words)
    assert "would replace something else" in str(refused.exception)


def test_a_step_does_the_same_work_each_time(stages: StageCalls) -> None:
    """A token for each of 3 sequences behind 17 cached positions; the cache does not grow from call to call."""
    call = stages.prepare("step", {"batch_size": 3, "context_tokens": 51})
    first, second = call(), call()
    assert first.shape == (3, 1, 101)  # of the vocabulary of the config
    assert torch.equal(first, second)


def test_a_prompt_has_the_logits_that_are_asked_for(stages: StageCalls) -> None:
    assert stages.prepare("prefill", {"batch_size": 2, "seq_len": 19, "logits_tokens": 5})().shape == (2, 5, 101)
    assert stages.prepare("prefill", {"seq_len": 19})().shape == (1, 19, 101)


def test_a_page_is_looked_at_by_both_towers(stages: StageCalls) -> None:
    """A view of 80 pixels has 5 x 5 patches of 16, and 2 x 2 after two halvings that round up: 4 tokens and a class."""
    call = stages.prepare(
        "vision", {"batch_size": 1, "base_size": 80, "image_size": 48, "num_width_tiles": 2, "num_height_tiles": 1}
    )
    assert call().shape == (1, 5, 85)


@pytest.mark.parametrize(
    ("stage", "sizes", "message"),
    [
        ("decode", {}, "decode: no such call can be timed; expected vision, prefill, step"),
        ("step", {"seq_len": 3}, "step: the call has no such size; expected batch_size, context_tokens; found seq_len"),
        ("step", {"batch_size": 0}, "batch_size: a size is not positive"),
        ("step", {"batch_size": 2, "context_tokens": 7}, "share the cached positions evenly; expected a multiple of 2"),
        ("prefill", {"seq_len": 3, "logits_tokens": 4}, "more positions get logits than there are"),
        ("vision", {"batch_size": 3, "vision_batch_size": 2}, "the pages do not fill their calls"),
    ],
)
def test_calls_that_cannot_be_made(stages: StageCalls, stage: str, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ModelMeterError, match=message):
        stages.prepare(stage, sizes)


def test_calls_are_typed_and_written() -> None:
    wanted = parse_call("step batch_size=4 context_tokens=3_780")
    assert wanted == WantedCall(stage="step", sizes={"batch_size": 4, "context_tokens": 3780})
    rows = [
        (wanted, Timing(milliseconds=9.8225, peak_memory_bytes=7_000_000_000)),
        (WantedCall(stage="prefill", sizes={"seq_len": 913}), Timing(milliseconds=1234.5678, peak_memory_bytes=None)),
    ]
    assert render_rows(rows, "A card", "bfloat16").splitlines() == [
        "stage,batch_size,context_tokens,seq_len,milliseconds,peak_memory_bytes,device,dtype",
        "step,4,3780,,9.8225,7000000000,A card,bfloat16",
        "prefill,,,913,1234.57,,A card,bfloat16",
    ]
    for text in ("step batch_size", "step =3", "step batch_size=3 batch_size=5"):
        with pytest.raises(ModelMeterError, match="--call: this is no call"):
            parse_call(text)


def test_the_usual_calls_tell_all_coefficients() -> None:
    """Steps of several numbers of sequences, several prompts, and pages; and the evaluators take all of them."""
    served = ServedModel()
    calls = list_usual_calls(find_serving("deepseek-ocr"))
    assert [call.stage for call in calls] == ["step"] * 7 + ["prefill"] * 4 + ["vision"]
    for call in calls:
        if call.stage == "step":
            assert served.list_step_work(**call.sizes).sequences == call.sizes["batch_size"]
        else:
            assert served.list_stage_work(call.stage, **call.sizes).launches > 0


def test_a_device_that_is_not_there(tmp_path: Path, config: Path) -> None:
    words = ["--out", str(tmp_path / "m.csv"), "--config", str(config), "--device", "warp", "--call", CALLS[0]]
    result = CliRunner().invoke(measure_stages.app, words)
    assert isinstance(result.exception, ModelMeterError)
    assert "--device warp: the model cannot be put on this device" in str(result.exception)
    words[-3] = "cpu"
    result = CliRunner().invoke(measure_stages.app, [*words, "--dtype", "int8"])
    assert "--dtype: no such type to compute in" in str(result.exception)
