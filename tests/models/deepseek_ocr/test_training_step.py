"""A training step of the whole model equals what is counted on the meta device, with difference 0."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from model_inputs import Page
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import deepseek_ocr_costs
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import bounded_routed_reads
from modelmeter.graph.dtypes import default_dtype
from modelmeter.metrics.cost import Work
from modelmeter.metrics.metric import FLOWS, METRICS, MetricName
from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.models.deepseek_ocr.reference_cache import WithoutCache
from modelmeter.verify.counting import count_forward
from modelmeter.verify.training import count_training_step

# Pairwise different and odd: no kind of element can stand for another. Training keeps no cache: its bits are not used.
BITS = {"weight_bits": 7, "activation_bits": 13, "kv_bits": 3}
BITS_OF_FLOAT32 = {"weight_bits": 32, "activation_bits": 32, "kv_bits": 3}


@pytest.mark.parametrize(
    ("architecture", "page", "logits_tokens", "dtype"),
    [
        # An A4 page in gundam mode, with logits for all of its prompt.
        ("published", Page(1024, 640, 2, 3), 913, torch.bfloat16),
        # This model was trained on 19 patches a side, and has 5 positions for CLIP: each is resized, or is not.
        *(
            ("other", page, logits_tokens, dtype)
            for dtype in (torch.bfloat16, torch.float32)
            for page, logits_tokens in (
                (Page(16 * 19, 16 * 18 + 3, 2, 3, batch_size=3), 11),
                (Page(16 * 37, 16 * 27, 1, 3), 5),
                (Page(600, 600, batch_size=6, vision_batch_size=2, images_per_prompt=3), 7),
                # One token of the smallest view: nothing is broadcast.
                (Page(16 + 7, 16, 0, 0), 1),
            )
        ),
    ],
    ids=str,
)
def test_all_six_metrics_equal_the_counters(
    architecture: str,
    page: Page,
    logits_tokens: int,
    dtype: torch.dtype,
    request: pytest.FixtureRequest,
    expected_metrics: Callable[..., dict[MetricName, Fraction]],
) -> None:
    """With even routing, which the counted forward has; cast, and with nothing to cast."""
    bits = BITS_OF_FLOAT32 if dtype == torch.float32 else BITS
    compiled: CompiledModel = request.getfixturevalue(architecture)
    model = build_reference(compiled.architecture, expert_routing="even", dtype=dtype)
    images = page.draw(dtype)
    seq_len = page.count_tokens() + 10
    ids = torch.zeros(page.batch_size, seq_len, dtype=torch.int64, device="meta")

    def forward() -> Tensor:
        return model(ids, WithoutCache(), **images.given, logits_tokens=logits_tokens)

    with default_dtype(dtype):
        ahead, step = count_forward(model, forward), count_training_step(model, forward)
    assert Work.of(step.operators).reads == ahead.work.reads, "the same forward"

    parameters = sum(tensor.numel() for tensor in model.parameters())
    expected = expected_metrics(ahead.work + step.backward, parameters, 0, bits)
    expected |= {
        metric: value
        for metric, value in expected_metrics(ahead.work, parameters, 0, bits).items()
        if metric not in FLOWS
    }
    prompt = {"seq_len": seq_len, "logits_tokens": logits_tokens}
    sizes = {**compiled.defaults, **bits, **page.sizes, **prompt}
    cost = compiled.training_step
    ours = {metric: evaluate(cost[metric], sizes, routed_reads=bounded_routed_reads) for metric in METRICS}
    assert ours == expected
    if architecture == "published":
        named = (*page.sizes, *prompt, "weight_bits", "activation_bits")
        given = {name: sizes[name] for name in named}
        evaluated = deepseek_ocr_costs.training_step(**given, expert_routing="even")
        assert evaluated == tuple(-(-value.numerator // value.denominator) for value in expected.values())


def test_the_matrix_products_are_those_that_torch_counts_in_a_plain_training_step(other: CompiledModel) -> None:
    """Without any of our counters: a forward and ``backward()`` under FlopCounterMode."""
    model = build_reference(other.architecture, expert_routing="even")
    ids = torch.zeros(3, 31, dtype=torch.int64, device="meta")
    page = Page(16 * 7, 16, batch_size=3)
    with FlopCounterMode(display=False) as counter:
        model(ids, WithoutCache(), **page.draw().given, logits_tokens=7).sum().backward()
    sizes = {**other.defaults, **page.sizes, "seq_len": 31, "logits_tokens": 7}
    assert evaluate(other.training_step.tensor_core_flops, sizes) == counter.get_total_flops()


def test_the_backward_of_the_matrix_products_is_twice_the_forward_but_for_pixels_and_angles(
    published: CompiledModel,
) -> None:
    """Neither wants a gradient."""
    sizes = {**published.defaults, "num_width_tiles": 2, "num_height_tiles": 3}
    stages, classes = published.totals.by_stage, published.totals.by_class

    def value(size: object) -> int:
        return int(evaluate(size, sizes))

    forward = sum(value(stages[stage].tensor_core_flops) for stage in ("vision", "projector", "prefill"))
    angles = value(classes["LlamaRotaryEmbedding"]["prefill"].tensor_core_flops)
    patches = value(classes["PatchEmbed"]["vision"].tensor_core_flops)
    assert value(published.training_step.tensor_core_flops) == 3 * forward - 2 * angles - patches


def test_nothing_is_cached_and_no_size_of_the_cache_matters(published: CompiledModel) -> None:
    cost = published.training_step
    assert cost.kv_cache_bytes == 0
    symbols = {str(symbol) for metric in METRICS for symbol in getattr(cost[metric], "free_symbols", ())}
    assert not symbols & {"kv_bits", "decode_steps", "decode_step"}
