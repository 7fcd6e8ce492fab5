"""Every card at few layers: all metrics of all modules against counts of the unmodified modules, and by hand."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sympy
from few_layers import make_few_layers

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.frontend.cards.card import Tower
from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.frontend.operator_parts import list_parts
from modelmeter.frontend.records import TracedOperator
from modelmeter.model.registry import forget_model

SEEING = [card for card in CARDS.values() if card.tower is not None]


@pytest.fixture(scope="module", params=SEEING, ids=[card.name for card in SEEING])
def few(request: pytest.FixtureRequest) -> Any:
    """A compilation, which has counted every module at a point drawn by chance, in bfloat16 and float32."""
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_card

    card = make_few_layers(request.param)
    found = compile_card(card, points=1)
    yield found
    forget_model(found.compiled.definition.name)


def test_every_metric_of_every_module_is_what_was_counted(few: Any) -> None:
    assert {(each.stage, each.dtype) for each in few.checked} == {
        (stage, dtype) for stage in few.tower.stages for dtype in ("bfloat16", "float32")
    }
    assert all("peak_activation_bytes" in each.metrics for each in few.checked)


def test_the_tower_looks_at_the_images_of_all_prompts(few: Any) -> None:
    """Three prompts with two images each are six images, as is one prompt with six; all are alike, with all tiles."""
    several, one = (few.compiled.evaluate("vision", batch_size=batch, num_images=6 // batch) for batch in (3, 1))
    assert several == one
    assert several.tensor_core_flops == 6 * few.compiled.evaluate("vision").tensor_core_flops


def test_a_card_says_which_stages_are_refused_and_why(few: Any) -> None:
    assert few.traced.refused == few.tower.refused
    assert few.compiled.stages == (*few.tower.stages, *(() if few.tower.refused else ("request",)))


def test_the_tower_of_a_model_with_a_refused_stage_is_what_was_counted() -> None:
    pytest.importorskip("transformers")
    import torch

    from modelmeter.frontend.configs.config import make_config
    from modelmeter.frontend.modules import build_modules
    from modelmeter.frontend.tracing import DTYPE
    from modelmeter.frontend.vision import run_vision, trace_vision
    from modelmeter.verify.matrix_products import count_matrix_products

    for card in CARDS.values():
        if card.tower is None or not card.refused:
            continue
        few = make_few_layers(card)
        config = make_config({**few.config, "model_type": few.model_type}, "few", place="few", is_carded=True).config

        def build(dtype: torch.dtype, config: Any = config, class_name: str = few.class_name) -> torch.nn.Module:
            return build_modules(config, dtype=dtype, class_name=class_name)

        forward = trace_vision(build, card.tower, card.name, lambda step: None)
        formula = sympy.Add(*(traced.operator.tensor_core_flops for traced in forward.operators))
        chance, model = random.Random(7), build(DTYPE)
        for _ in range(3):
            sizes = {size.name: chance.randint(size.least, size.most + 2) for size in card.tower.sizes}
            sizes["batch_size"] = chance.randint(1, 3)
            seen = card.tower.add_up(sizes)
            products = count_matrix_products(model, run_vision(model, card.tower, seen)).by_path
            assert evaluate(formula, sizes) == products[""]
            assert sum_up(forward.operators, sizes) == sum_up(record(model, card.tower, seen), sizes)


def record(model: Any, tower: Tower, sizes: Mapping[str, int]) -> Sequence[TracedOperator]:
    """Return the operators of the tower at fresh sizes, as they were dispatched."""
    from modelmeter.frontend.recording import record_forward
    from modelmeter.frontend.tracing import read_recording
    from modelmeter.frontend.vision import run_vision

    return read_recording(record_forward(model, run_vision(model, tower, sizes)), {}).operators


def sum_up(operators: Sequence[TracedOperator], sizes: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Return the sum of each number of the operators of each module, without those that are 0."""
    sums: dict[tuple[str, str], int] = {}
    for traced in operators:
        for part, size in list_parts(traced.operator).items():
            value = int(evaluate(size, sizes))
            if value:
                sums[traced.path, part] = sums.get((traced.path, part), 0) + value
    return sums
