"""Questions about the steps of a serving engine: a chunk of a prefill, and a step of sequences of any lengths."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import deepseek_ocr_costs as costs
import modelmeter
from llm_perf_opt.cli import app
from modelmeter import scaling
from modelmeter.support.suggestions import UnknownNameError


def test_a_chunk_has_the_costs_of_the_package() -> None:
    chunk = scaling.server_step(modelmeter.load(), "chunk").io_bytes.at(cached_tokens=769, logits_tokens=0)
    answer = scaling.largest("seq_len", of=chunk, under=20 * 10**9)
    answer.check()
    assert answer.value is not None
    sizes = {"cached_tokens": 769, "logits_tokens": 0}
    assert costs.chunk(seq_len=int(answer.value), **sizes).io_bytes <= 20 * 10**9
    assert costs.chunk(seq_len=int(answer.value) + 1, **sizes).io_bytes > 20 * 10**9


def test_a_step_has_no_peak_and_other_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="no metric of step"):
        scaling.server_step(modelmeter.load(), "step").metric("peak_activation_bytes")
    with pytest.raises(UnknownNameError, match="step of a serving engine"):
        scaling.server_step(modelmeter.load(), "chunks")
    assert not hasattr(scaling.server_step(modelmeter.load(), "step"), "price")


def test_solve_knows_them_and_their_sizes() -> None:
    text = "chunk.tensor_core_flops >= prefill.tensor_core_flops"
    found = CliRunner().invoke(app, ["solve", text, "cached_tokens=769", "logits_tokens=1", "--over", "seq_len"])
    assert found.exit_code == 0, found.output
    assert "cached_tokens = 769" in found.output
    assert "at every seq_len" in found.output
    wrong = CliRunner().invoke(app, ["solve", text, "cached_token=5", "--over", "seq_len"])
    assert wrong.exit_code != 0
