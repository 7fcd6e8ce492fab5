"""The totals of every stage equal what torch counts on the meta device, with difference 0.

``FlopCounterMode`` counts the matrix products of the reference model and of the independent implementation in
transformers; the counters of ``modelmeter.verify`` count all six metrics of the reference model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
import torch
from model_inputs import Page, build_cache, ids_on_meta
from oracle import build_oracle
from torch.utils.flop_counter import FlopCounterMode
from transformers import UnlimitedOcrForConditionalGeneration

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import bounded_routed_reads
from modelmeter.graph.dtypes import default_dtype
from modelmeter.metrics.cost import Cost, Work
from modelmeter.metrics.metric import FLOWS, METRICS, MetricName
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.image_preprocessing import MODES
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM, build_reference
from modelmeter.verify.counting import ForwardCount, count_forward

# Odd, and other than those of float32 and of indices. The cache takes keys and values as they are, so it is as wide.
BITS = {"weight_bits": 7, "activation_bits": 13, "kv_bits": 13}
BITS_OF_FLOAT32 = {"weight_bits": 32, "activation_bits": 32, "kv_bits": 32}


def in_mode(name: str, *grid: int, **counts: int) -> Page:
    return Page(MODES[name].base_size, MODES[name].image_size, *grid, **counts)


@cache
def build_models(
    architecture: DeepSeekOCRArchitecture, dtype: torch.dtype = torch.bfloat16
) -> tuple[DeepseekOCRForCausalLM, UnlimitedOcrForConditionalGeneration]:
    # Of the ways that transformers runs experts, grouped_mm counts as 0, and eager needs data.
    oracle = build_oracle(
        architecture, image_token_id=0, experts_implementation="batched_mm", device="meta", dtype=dtype
    )
    return build_reference(architecture, expert_routing="even", dtype=dtype), oracle


@pytest.fixture
def model(request: pytest.FixtureRequest) -> CompiledModel:
    """The compiled model that the parameter names."""
    compiled: CompiledModel = request.getfixturevalue(request.param)
    return compiled


def count_flops(forward: Callable[[], Any]) -> tuple[Counter[str], Any]:
    """Return the matrix FLOPs of each class that ``forward`` calls directly, and what it returns."""
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        result = forward()
    return Counter({path: sum(counts.values()) for path, counts in flops.get_flop_counts().items()}), result


def matrix_flops(model: CompiledModel, stage: str, sizes: dict[str, int]) -> int | Fraction:
    return evaluate(model.totals.by_stage[stage].tensor_core_flops, {**model.defaults, **sizes})


# --- vision and projector ----------------------------------------------------------------------------------

PUBLISHED_PAGES = [
    in_mode("tiny"),
    in_mode("small", 0, 0, batch_size=3),
    in_mode("base", images_per_prompt=3),
    in_mode("large", batch_size=5, vision_batch_size=5),
    in_mode("gundam"),  # a page that is small enough gets no tiles
    in_mode("gundam", 2, 1, batch_size=6, vision_batch_size=3, images_per_prompt=2),
    in_mode("gundam", 3, 3),
    in_mode("gundam", 1, 9),
    in_mode("gundam-m", 3, 1, batch_size=3, vision_batch_size=3),
]
# Grids of 37, 62, 15 and 1 patches are multiples of neither a window of 14 nor the stride of 4; 14 and 42 fill windows.
# Sides of 600, 1000, 31 and 677 pixels leave some over.
FREE_PAGES = [
    Page(16 * 37, 600, 2, 1),
    Page(1000, 16 * 15, 1, 3, 3),
    Page(16 * 14, 16),
    Page(31, 16 * 42 + 5, 5, 1),
]
# The other model has windows of 9, and was trained on 19 patches a side, and 5 for CLIP.
OTHER_PAGES = [
    *FREE_PAGES,
    Page(16 * 19, 16 * 18 + 3, 2, 3, 3),
    Page(16 * 27, 16 * 19, 3, 1, 5, vision_batch_size=5, images_per_prompt=3),
]


@pytest.mark.parametrize(
    ("model", "page"),
    [
        *(("published", page) for page in PUBLISHED_PAGES + FREE_PAGES),
        *(("other", page) for page in OTHER_PAGES),
    ],
    indirect=["model"],
    ids=str,
)
def test_vision_and_projector_equal_both_implementations(model: CompiledModel, page: Page) -> None:
    reference, oracle = build_models(model.architecture)
    images = page.draw()
    vision, projector = (matrix_flops(model, stage, page.sizes) for stage in ("vision", "projector"))

    views = iter(images.calls)
    seen, _ = count_flops(
        lambda: [reference.model.encode_pages(views, images.given["tile_grid"]) for _ in range(page.calls)]
    )
    assert next(views, None) is None, "every page had its turn"
    assert seen["ImageEncoderViT"] + seen["VitModel"] == vision
    assert seen["MlpProjector"] == projector

    seen, _ = count_flops(lambda: oracle.get_image_features(**images.for_oracle))
    assert seen["UnlimitedOcrVisionModel"] == vision
    assert seen["Linear"] == projector


@pytest.mark.parametrize(("side", "anchor"), [(640, 388_149_837_824), (1024, 1_139_967_033_344)])
def test_one_view_costs_what_was_measured_elsewhere(published: CompiledModel, side: int, anchor: int) -> None:
    """As a global view, and as the difference that seven tiles make."""

    def both_stages(page: Page) -> int | Fraction:
        return sum(matrix_flops(published, stage, page.sizes) for stage in ("vision", "projector"))

    assert both_stages(Page(side, side)) == anchor
    assert both_stages(Page(512, side, 7, 1)) - both_stages(Page(512, side)) == 7 * anchor


# --- prefill and decode ------------------------------------------------------------------------------------

# Sequences, prompt, positions with logits, decode steps.
PROMPTS = [(1, 913, 913, 1), (3, 257, 101, 5), (5, 31, 7, 0), (1, 1, 1, 3)]


@pytest.mark.parametrize("model", ["published", "other"], indirect=True)
@pytest.mark.parametrize("prompt", PROMPTS, ids=str)
def test_prefill_and_decode_equal_both_implementations(model: CompiledModel, prompt: tuple[int, ...]) -> None:
    """Every decode step is run; the closed form equals their sum.

    Transformers multiplies positions and frequencies elementwise, once for all layers; the reference model, as the
    vendor's, has a matrix product of them in each layer. Nothing else may differ.
    """
    reference, oracle = build_models(model.architecture)
    batch_size, seq_len, logits_tokens, steps = prompt
    sizes = {"batch_size": batch_size, "seq_len": seq_len, "logits_tokens": logits_tokens, "decode_steps": steps}
    rotary = model.totals.by_class["LlamaRotaryEmbedding"]
    memory, past = build_cache(model.architecture, batch_size, seq_len + steps + 1), None
    counted: dict[str, list[int]] = {"prefill": [0, 0], "decode": [0, 0]}
    for index in range(1 + steps):
        ids, logits = ids_on_meta(batch_size, 1 if index else seq_len), 1 if index else logits_tokens
        ours, _ = count_flops(lambda ids=ids, logits=logits: reference(ids, memory, logits_tokens=logits))
        if not index:
            memory.make_room()
        theirs, output = count_flops(
            lambda ids=ids, logits=logits, past=past: oracle(input_ids=ids, past_key_values=past, logits_to_keep=logits)
        )
        past = output.past_key_values
        for side, seen in enumerate((ours, theirs)):
            counted["decode" if index else "prefill"][side] += seen["Global"]
    for stage, (ours_total, theirs_total) in counted.items():
        total = matrix_flops(model, stage, sizes)
        assert total == ours_total
        assert total - evaluate(rotary[stage].tensor_core_flops, {**model.defaults, **sizes}) == theirs_total


@pytest.mark.parametrize("model", ["published", "other"], indirect=True)
def test_without_a_decode_step_nothing_flows_and_the_cache_is_that_of_the_prefill(model: CompiledModel) -> None:
    sizes = {**model.defaults, "decode_steps": 0}
    stages = model.totals.by_stage
    decode = {metric: evaluate(stages["decode"][metric], sizes) for metric in METRICS}
    assert all(decode[metric] == 0 for metric in (*FLOWS, "activation_bytes"))
    assert decode["kv_cache_bytes"] == evaluate(stages["prefill"].kv_cache_bytes, sizes) > 0


# --- all six metrics ---------------------------------------------------------------------------------------

STAGE_OF_PARAMETER = re.compile(
    r"(?P<vision>model\.(sam_model|vision_model)\.)|(?P<projector>model\.(projector\.|image_newline|view_seperator))"
)


def count_parameters(reference: DeepseekOCRForCausalLM) -> Counter[str]:
    """Return the elements of the parameters by the stage that uses them; decode uses those of prefill."""
    counts: Counter[str] = Counter()
    for name, parameter in reference.named_parameters():
        match = STAGE_OF_PARAMETER.match(name)
        counts[(match.lastgroup or "") if match else "prefill"] += parameter.numel()
    counts["decode"] = counts["prefill"]
    return counts


def split_stages(seen: ForwardCount) -> dict[str, Work]:
    """Return the counted work of the prefill run by stage. What the model itself does makes image tokens."""
    stages = {
        "vision": lambda path: path.startswith(("model.sam_model", "model.vision_model")),
        "projector": lambda path: path == "model" or path.startswith("model.projector"),
    }
    works = {
        stage: Work.of(operator for operator in seen.operators if holds(operator.path))
        for stage, holds in stages.items()
    }
    rest = (operator for operator in seen.operators if not any(holds(operator.path) for holds in stages.values()))
    return works | {"prefill": Work.of(rest)}


@pytest.mark.parametrize(
    ("model", "page", "logits_tokens", "dtype"),
    [
        ("published", in_mode("gundam", 2, 3), 913, torch.bfloat16),
        ("published", Page(600, 600, batch_size=3), 7, torch.bfloat16),
        ("published", Page(600, 600), 1, torch.float32),
        *(
            ("other", page, logits_tokens, dtype)
            for dtype in (torch.bfloat16, torch.float32)
            for page, logits_tokens in (
                (Page(16 * 19, 16 * 18 + 3, 2, 3, 6, vision_batch_size=3, images_per_prompt=2), 11),
                (Page(16 * 37, 16 * 27, 1, 3), 5),
                (Page(16 * 19, 16), 1),
            )
        ),
    ],
    indirect=["model"],
    ids=str,
)
def test_all_six_metrics_of_every_stage_equal_the_counters(
    model: CompiledModel,
    page: Page,
    logits_tokens: int,
    dtype: torch.dtype,
    expected_metrics: Callable[..., dict[MetricName, Fraction]],
) -> None:
    """With even routing, which the counted forward has, and two decode steps; cast, and with nothing to cast."""
    bits = BITS_OF_FLOAT32 if dtype == torch.float32 else BITS
    reference, _ = build_models(model.architecture, dtype)
    images = page.draw(dtype)
    seq_len, steps = page.count_tokens() + 10, 2
    memory = build_cache(model.architecture, page.batch_size, seq_len + steps, dtype=dtype)
    ids = ids_on_meta(page.batch_size, seq_len)
    with default_dtype(dtype):
        prefill = count_forward(
            reference,
            lambda: reference(ids, memory, **images.given, logits_tokens=logits_tokens),
            cache=memory.tensors,
        )
        memory.make_room()
        decode = [
            count_forward(reference, lambda: reference(ids[:, :1], memory), cache=memory.tensors) for _ in range(steps)
        ]

    parameters = count_parameters(reference)
    expected = {
        stage: expected_metrics(work, parameters[stage], prefill.kv_elements if stage == "prefill" else 0, bits)
        for stage, work in split_stages(prefill).items()
    }
    each_step = [expected_metrics(step.work, parameters["decode"], step.kv_elements, bits) for step in decode]
    # Flows of both steps; the cache and the activations of the last.
    expected["decode"] = each_step[-1] | {metric: sum(step[metric] for step in each_step) for metric in FLOWS}

    prompt = {"seq_len": seq_len, "logits_tokens": logits_tokens, "decode_steps": steps}
    sizes = {**model.defaults, **bits, **page.sizes, **prompt}

    def values(cost: Cost) -> dict[MetricName, int | Fraction]:
        return {metric: evaluate(cost[metric], sizes, routed_reads=bounded_routed_reads) for metric in METRICS}

    assert {stage: values(cost) for stage, cost in model.totals.by_stage.items()} == expected
    assert values(model.totals.total) == {
        **{metric: sum(expected[stage][metric] for stage in expected) for metric in FLOWS},
        # The parameters once, the largest activations, and the cache that is left at the end.
        "weight_bytes": Fraction(sum(tensor.numel() for tensor in reference.parameters()) * bits["weight_bits"], 8),
        "activation_bytes": max(expected[stage]["activation_bytes"] for stage in expected),
        "kv_cache_bytes": expected["decode"]["kv_cache_bytes"],
    }
