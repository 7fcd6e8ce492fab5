"""Plans of a model from outside of the source tree: recordings in, words out, no prompt, no cache, no pages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from test_another_model import LISTENER, NAME, WRITER, list_foreign_words, run

from llm_perf_opt.comparison.compare import ComparisonRequest, compare_models
from llm_perf_opt.evaluators import load_costs
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.parallel import Degrees
from llm_perf_opt.planning.plan import Plan
from llm_perf_opt.planning.request import PlanRequest, plan_request
from modelmeter.model.registry import find_model, forget_model, register_model
from modelmeter.model.serving import find_serving
from modelmeter.support.errors import ModelMeterError, WorkloadError

pytest.importorskip("torch")

BITS = {"weight_bits": 16, "activation_bits": 16, "kv_bits": 16}
RECORDINGS = ((35, 3, 2), (505, 101, 1), (6000, 151, 7))
"""Frames, words, and how many: of the first one, words 1, 2 and 3."""


@pytest.fixture(scope="module")
def costs(distribution: list[str]) -> Any:
    """The compiled evaluators."""
    run(distribution, "compile", "--model", NAME, "--out", distribution[-1])
    return load_costs(NAME)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    path = tmp_path / "recordings.csv"
    rows = ["num_frames,num_words,count", *(",".join(map(str, row)) for row in RECORDINGS)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def make_plan(recordings: Path, **changes: Any) -> Plan:
    request = PlanRequest(model=NAME, pages=recordings, cards=("l4",), pages_per_second=31.0)
    return plan_request(evolve(request, **changes))


def test_a_plan_adds_up_the_recordings(costs: Any, recordings: Path) -> None:
    mix = make_plan(recordings).chosen.setup.mix
    alone = [
        (count, costs.request(num_frames=frames, num_words=words)) for frames, words, count in RECORDINGS
    ]  # fmt: skip
    for name in ("tensor_core_flops", "cuda_core_flops", "io_bytes"):
        assert mix.totals[name] == sum(count * getattr(cost, name) for count, cost in alone)
    assert mix.num_steps == 2 * 3 + 101 + 7 * 151
    amounts = mix.list_amounts()
    assert "prompt_tokens" not in amounts
    assert (amounts["num_positions"]["p50"], amounts["num_positions"]["max"]) == (6000 // 5, 6000 // 5)
    assert amounts["output_tokens"]["mean"] * 10 == 2 * 3 + 101 + 7 * 151


def test_a_step_reads_the_words_before_it_by_hand(costs: Any) -> None:
    """Word 5 of 3 recordings reads 5 words of each: two products, and a sum of 67 channels."""
    work = ServedModel(model=NAME, bits=BITS).list_step_work(3, 3 * 4)
    assert work.tensor_core_flops == 2 * 3 * 5 * (67 * 67 + 67 * 131)
    assert work.cuda_core_flops == 3 * 5 * 67
    assert work.launches == 4, "the table, the mix, the sum and the scores"
    # The mean step of two that read 5 and 6 words is the mean of their work.
    between = ServedModel(model=NAME, bits=BITS).list_step_work(3, 3 * 5)
    assert 2 * between.tensor_core_flops == work.tensor_core_flops + 2 * 3 * 7 * (67 * 67 + 67 * 131)


def test_memory_is_weights_and_the_peak_of_the_last_word(costs: Any, recordings: Path) -> None:
    plan = make_plan(recordings)
    memory = plan.chosen.setup.memory
    assert memory.weight_bytes == 2 * (LISTENER + WRITER)
    assert memory.token_bytes == memory.block_bytes == memory.page_blocks == 0
    # Alive beside the scores of 151 words: the ids, what was read, the mix, the sum, and the scores.
    assert memory.measure_peak(997) == 997 * 151 * (8 + 2 * (3 * 67 + 131))
    most = memory.largest_batch
    assert memory.measure(most) <= memory.usable_bytes < memory.measure(most + 1)
    assert not any("cache" in term.words for term in plan.fit.terms)
    assert plan.fit.free_bytes >= 0


def test_throughput_and_latency_are_those_of_its_calls(costs: Any, recordings: Path) -> None:
    """A recording costs the listener once, and its part of the steps; the first word is from a step too."""
    plan = make_plan(recordings)
    state = plan.chosen.setup.steady_state.solve(7)
    timing, model = plan.chosen.setup.timing, plan.chosen.setup.mix.model
    listening = sum(
        count * timing.time(model.list_stage_work("audio", num_frames=frames)).seconds
        for frames, _, count in RECORDINGS
    )
    assert state.page.seconds == pytest.approx(listening / 10, rel=1e-12)
    assert state.seconds_per_page == pytest.approx(listening / 10 + (1164 / 10) * state.step.seconds / 7, rel=1e-12)
    latency, _ = plan.chosen.setup.steady_state.list_latencies(1)
    longest = timing.time(model.list_stage_work("audio", num_frames=6000)).seconds
    assert latency["max"] == pytest.approx(longest + 151 * plan.chosen.setup.steady_state.time_step(1).seconds)


def test_what_the_command_prints_is_in_the_words_of_the_model(
    distribution: list[str], costs: Any, recordings: Path, tmp_path: Path
) -> None:
    pytest.importorskip("simpy")
    chosen = ("plan", "--model", NAME, "--pages", str(recordings), "--pages-per-second", "31", "--card", "l4")
    printed = run(distribution, *chosen, "--burstiness", "1")
    assert list_foreign_words(printed) == []
    assert re.findall(r"\bpages?\b", printed) == []
    assert re.search(r"^tiny-speech: 10 recordings\. 1 x NVIDIA L4 24GB, [0-9,]+ recordings in flight", printed), (
        "it has one mode"
    )
    assert "vllm" not in printed, "engines do not run it"
    document = json.loads(run(distribution, *chosen, "--json"))
    assert list_foreign_words(json.dumps(document, indent=1)) == []
    assert document["pages"]["num_pages"]["value"] == 10
    assert document["settings"] == {}
    if pytest.importorskip("matplotlib"):
        run(distribution, *chosen, "--out", str(tmp_path / "plan"))
        page = (tmp_path / "plan" / "plan.md").read_text(encoding="utf-8")
        assert "## Recordings in flight" in page
        assert list_foreign_words(page) == re.findall(r"\bpages?\b", page) == []
    # Without a file: one recording of a minute.
    assert "1 recording. " in run(distribution, "plan", "--model", NAME, "--card", "l4")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"page": (601, 803), "pages": None}, r"--page: this model does not look at pages; expected --pages FILE\.csv"),
        ({"logits": "all"}, "--logits: this model does not look at pages"),
        ({"prompt_tokens": 7}, "--prompt-tokens: this model does not look at pages"),
        ({"modes": ("half",)}, "half"),
        ({"tensor_parallel": 2}, "this model does not say how it is divided among cards"),
    ],
)
def test_what_it_has_not_is_refused(costs: Any, recordings: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelMeterError, match=message):
        make_plan(recordings, **changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_frames\n5\n", "row 1: the column num_words is missing; expected columns num_frames, num_words and, if"),
        ("width,height,output_tokens\n5,5,5\n", "row 1: a column has a name that means nothing here"),
        ("num_frames,num_words\n5,0\n", "row 2: the value of num_words is wrong"),
        ("num_frames,num_words\n5\n", "row 2: a row has other columns than the first"),
        ("num_frames,num_words\n", "there are no recordings"),
        ("", "there is no row that names the columns"),
        ("num_frames,num_words\n36,1\n", "num_frames must be a multiple of stack_size"),
        ("num_frames,num_words\n35,8\n", "num_words must be at most num_positions"),
    ],
)
def test_recordings_that_cannot_be_are_refused(costs: Any, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelMeterError, match=message):
        make_plan(path)


def test_what_is_not_divided_is_refused(costs: Any) -> None:
    with pytest.raises(WorkloadError, match=r"divided among cards; expected rules in its SERVING\.shards"):
        _ = ServedModel(model=NAME, bits=BITS, degrees=Degrees(tensor=2)).partition
    assert find_hardware("l4").link_bytes_per_second is not None, "the card is not why"


def test_a_model_that_does_not_say_how_it_is_served_is_refused(distribution: list[str], tmp_path: Path) -> None:
    """In Python and on the command line, in one line that says what to do."""
    register_model(evolve(find_model(NAME), name="mute-speech"))
    with pytest.raises(WorkloadError, match="mute-speech: this model does not say how it is served; give it a module"):
        find_serving("mute-speech")
    forget_model("mute-speech")
    described = tmp_path / "silent_speech-1.0.dist-info"
    (tmp_path / "silent_model").mkdir()
    described.mkdir()
    for name, text in (
        ("METADATA", "Metadata-Version: 2.1\nName: silent-speech\nVersion: 1.0\n"),
        ("entry_points.txt", "[modelmeter.models]\nsilent-speech = silent_model.model:MODEL\n"),
    ):
        (described / name).write_text(text, encoding="utf-8")
    (tmp_path / "silent_model" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "silent_model" / "model.py").write_text(
        "from attrs import evolve\nfrom speech_model import model\nMODEL = evolve(model.MODEL, name='silent-speech')\n",
        encoding="utf-8",
    )
    path = os.pathsep.join([str(tmp_path), *distribution, *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "llm_perf_opt.cli", "plan", "--model", "silent-speech"], capture_output=True, text=True,
        timeout=120, env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.splitlines() == [
        "error: silent-speech: this model does not say how it is served; give it a module serving with SERVING"
    ]
    assert done.stdout == ""


def test_a_model_without_pages_is_not_compared_on_pages(costs: Any) -> None:
    plan = PlanRequest(cards=("l4",))
    request = ComparisonRequest(models=("deepseek-ocr@tiny", NAME), pages=((601, 803),), output_tokens=7, plan=plan)
    with pytest.raises(WorkloadError, match=f"^{NAME}: this model does not look at pages, and only pages are compared"):
        compare_models(request)
