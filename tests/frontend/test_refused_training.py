"""A training step that a model was refused: whoever asks for it is told why, and not to compile it once more."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from llm_perf_opt.commands.training_modules import draw_training_modules
from llm_perf_opt.evaluators import find_functions
from modelmeter.api import load
from modelmeter.frontend.compiled_folder import open_folder
from modelmeter.frontend.training.step import describe_training, find_refusal
from modelmeter.model import registry
from modelmeter.support.suggestions import UnknownNameError

REASON = "mlp.experts: a loop over experts whose backward nothing counts"


def test_the_reason_is_read_as_it_was_written() -> None:
    assert find_refusal(describe_training(False, REASON)) == REASON
    assert find_refusal(describe_training(False, "")) == "", "nobody asked for it"
    assert find_refusal(describe_training(True, "")) == ""


def test_what_was_refused_is_not_to_be_asked_for_again(experts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = open_folder(experts)
    with pytest.raises(UnknownNameError, match="`modelmeter compile SOURCE --training` traces that"):
        find_functions("training_step", name)
    compiled = load(str(experts))
    with pytest.raises(UnknownNameError, match="compile a text decoder with --training"):
        draw_training_modules(compiled, "training_step", None, is_latex=False)
    definition = registry.find_model(name)
    refused = evolve(definition, conventions=definition.conventions | describe_training(False, REASON))
    monkeypatch.setattr(registry, "find_model", lambda name: refused)
    with pytest.raises(UnknownNameError, match=rf"--training cannot give it one; found {REASON}") as caught:
        find_functions("training_step", name)
    assert "compile" not in str(caught.value)
    with pytest.raises(UnknownNameError, match=f"no training step; found {REASON}$"):
        draw_training_modules(evolve(compiled, definition=refused), "training_step", None, is_latex=False)
