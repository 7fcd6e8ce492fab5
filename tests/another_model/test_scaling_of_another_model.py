"""Questions are asked of a model from outside of the source tree as of any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelmeter import scaling

if TYPE_CHECKING:
    from modelmeter.compiled_model import CompiledModel

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def speech(distribution: list[str]) -> CompiledModel:
    from modelmeter.compiled_model import CompiledModel
    from modelmeter.model.registry import find_model

    definition = find_model("tiny-speech")
    return CompiledModel.open(definition, definition.trace(definition.make_architecture()))


def test_a_size_goes_in_the_steps_that_its_rules_allow(speech: CompiledModel) -> None:
    audio = scaling.stage(speech, "audio")
    answer = scaling.order(audio.tensor_core_flops, "num_frames")
    answer.check()
    assert answer.domain.ranges["num_frames"].multiple_of == 5, "frames are stacked by fives"
    # Five frames of 23 bands become a position of 67 channels, two layers deep.
    assert answer.coefficient is not None
    assert answer.coefficient * 6000 == speech.evaluate("audio").tensor_core_flops


def test_writing_overtakes_listening(speech: CompiledModel) -> None:
    audio, text = scaling.stage(speech, "audio"), scaling.stage(speech, "text")
    answer = scaling.crossover(text.tensor_core_flops, audio.tensor_core_flops, over="max_words")
    answer.check()
    assert answer.value is not None
    words = int(answer.value)
    listening = speech.evaluate("audio").tensor_core_flops
    assert speech.evaluate("text", max_words=words).tensor_core_flops >= listening
    assert speech.evaluate("text", max_words=words - 1).tensor_core_flops < listening


def test_every_cost_grows_with_every_size_of_the_workload(speech: CompiledModel) -> None:
    request = scaling.stage(speech, "request")
    for name in ("tensor_core_flops", "io_bytes", "peak_activation_bytes"):
        for size in ("batch_size", "num_frames", "max_words"):
            answer = scaling.monotone(request.metric(name), size)
            answer.check()
            assert (answer.direction, answer.known) == (1, "proved")
