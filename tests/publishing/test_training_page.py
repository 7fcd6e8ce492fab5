"""The page of a training step: its modules add up to it, and it says what is counted."""

from __future__ import annotations

from math import ceil

import pytest

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.metrics.metric import METRICS
from modelmeter.publishing.page_input import PageInput
from modelmeter.publishing.page_spec import StagePage
from modelmeter.publishing.training_page import build_training_page


@pytest.fixture(scope="module")
def page(other: CompiledModel) -> StagePage:
    return build_training_page(
        PageInput(
            definition=other.definition,
            model=other.model,
            totals=other.totals,
            peaks=other.peaks,
            catalogue=other.catalogue,
            defaults=other.defaults,
        ),
        other.definition.training,
    )


def test_its_formulas_are_those_of_the_training_step(page: StagePage, other: CompiledModel) -> None:
    values = [ceil(evaluate(other.training_step[metric], other.defaults)) for metric in METRICS]
    assert [block.value for block in page.section.metrics] == values
    assert [block.metric for block in page.section.metrics] == list(METRICS), "fused_io_bytes is of an inference"


def test_its_modules_add_up_to_it(page: StagePage, other: CompiledModel) -> None:
    """All of the model takes part; it joins features and adds their gradients, and copies the logits to float32."""
    assert [row.title for row in page.modules] == [
        "model.embed_tokens", "model.layers", "model.norm", "model.sam_model", "model.vision_model",
        "model.projector", "model (its own operators)", "lm_head", "(the model's own operators)",
    ]  # fmt: skip
    for place, metric in enumerate(METRICS):
        whole = evaluate(other.training_step[metric], other.defaults)
        assert sum(row.shares[place].value for row in page.modules) == whole
        assert {row.shares[place].total for row in page.modules} == {whole}


def test_it_says_what_a_step_is(page: StagePage) -> None:
    for words in ("the loss and the optimiser are not counted", "keeps no cache", "No layer is computed again"):
        assert words in page.description
    assert [row.meaning for row in page.chained] == [
        "image tokens of the global view and of the tiles, and the text", "every position gets logits",
    ]  # fmt: skip
