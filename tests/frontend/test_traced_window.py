"""A decoder with windows of attention: its formulas on both sides of where a window is full, and on the border.

What is expected is arithmetic, and what FlopCounterMode and the cache of transformers say of unmodified modules.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from modelmeter.model.registry import forget_model
from modelmeter.support.errors import CountError

WINDOW = 131
CONFIG: dict[str, Any] = {
    "model_type": "mistral", "hidden_size": 42, "intermediate_size": 58, "num_hidden_layers": 2,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 14, "vocab_size": 97, "sliding_window": WINDOW,
}  # fmt: skip

# The matrices of a layer: queries, keys, values, output, and three of the MLP.
MATRICES = 42 * 42 + 2 * 42 * 14 + 42 * 42 + 3 * 42 * 58

POINTS = [(7, 3), (129, 1), (130, 1), (131, 1), (132, 2), (100, 67), (401, 29)]
"""Prompts and steps: below the window, beside its border, across it, and beyond."""


@pytest.fixture(scope="module")
def compilation() -> Iterator[Any]:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    yield compile_config(CONFIG, name="Tiny-Window", points=1)
    forget_model("tiny-window")


@pytest.fixture(scope="module")
def costs(compilation: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from modelmeter.compiler import emit_files
    from modelmeter.support.generated_files import write_files

    folder: Path = tmp_path_factory.mktemp("window")
    write_files(emit_files(compilation.compiled), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("tiny_window_costs")


@pytest.mark.parametrize(("prompt", "steps"), POINTS)
def test_a_step_sees_no_more_than_the_window(costs: Any, prompt: int, steps: int) -> None:
    # Of each step: the matrices of one position and logits; keys and values of 42 channels of queries.
    seen = [min(prompt + step, WINDOW) for step in range(1, steps + 1)]
    expected = sum(2 * (2 * MATRICES + 4 * keys * 42) + 2 * 42 * 97 for keys in seen)
    assert costs.decode(seq_len=prompt, decode_steps=steps).tensor_core_flops == expected
    # A prompt is multiplied as a whole rectangle, with a mask.
    rectangle = 2 * (2 * prompt * MATRICES + 4 * prompt**2 * 42) + 2 * 42 * 97
    assert costs.prefill(seq_len=prompt).tensor_core_flops == rectangle


@pytest.mark.parametrize(("prompt", "steps"), POINTS)
def test_what_is_kept_and_multiplied_is_what_transformers_keeps_and_multiplies(
    costs: Any, prompt: int, steps: int
) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM, DynamicCache, MistralConfig

    fields = {key: value for key, value in CONFIG.items() if key != "model_type"}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(MistralConfig(**fields)).eval()
    cache = DynamicCache(config=model.config)

    def run(tokens: int) -> tuple[int, int]:
        """Return the FLOPs of a forward with the cache of transformers, and what that holds then."""
        ids = torch.empty(3, tokens, dtype=torch.int64, device="meta")
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return counter.get_total_flops(), sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)

    flops, kept = run(prompt)
    prefill = costs.prefill(batch_size=3, seq_len=prompt)
    assert (prefill.tensor_core_flops, prefill.kv_cache_bytes) == (flops, 2 * kept)
    each = [run(1) for _ in range(steps)]
    decode = costs.decode(batch_size=3, seq_len=prompt, decode_steps=steps)
    assert (decode.tensor_core_flops, decode.kv_cache_bytes) == (sum(flops for flops, _ in each), 2 * each[-1][1])
    request = costs.request(batch_size=3, seq_len=prompt, decode_steps=steps)
    assert request.kv_cache_bytes == decode.kv_cache_bytes
    assert request.tensor_core_flops == prefill.tensor_core_flops + decode.tensor_core_flops


def test_every_metric_of_a_request_adds_up_step_by_step(costs: Any) -> None:
    # A prompt with one step more is a prompt one longer, as far as its steps go: the flows of one step each.
    for metric in ("tensor_core_flops", "cuda_core_flops", "io_bytes"):
        alone = [getattr(costs.decode(seq_len=seq_len, decode_steps=1), metric) for seq_len in range(120, 145)]
        whole = getattr(costs.decode(seq_len=120, decode_steps=25), metric)
        assert whole == sum(alone)
        assert len(set(alone)) > 1


def test_all_metrics_are_counted_on_both_sides_and_on_the_border(compilation: Any) -> None:
    prompts = {each.sizes["seq_len"] for each in compilation.checked if each.stage == "prefill"}
    assert min(prompts) < WINDOW - 1 < WINDOW < max(prompts)
    assert WINDOW - 1 in prompts
    regions = {each.region.least for each in compilation.traced.runs["decode"].forwards}
    assert regions == {None, WINDOW}


@pytest.mark.parametrize(("prompt", "steps"), POINTS)
def test_steps_before_and_after_a_window_is_full_add_up_to_all_of_them(costs: Any, prompt: int, steps: int) -> None:
    from llm_perf_opt.planning.evaluation import ServedModel
    from llm_perf_opt.planning.step_work import list_mean_work

    served = ServedModel(model="tiny-window")
    runs = served.step_lines.find(prompt, steps)
    # A step after 129 positions is the last before the window: the layer keeps one position less than it.
    before = max(0, min(steps, 130 - prompt))
    assert [run.count for run in runs] == [count for count in (before, steps - before) if count]
    exact = costs.decode(batch_size=3, seq_len=prompt, decode_steps=steps)
    for metric in ("tensor_core_flops", "cuda_core_flops", "io_bytes"):
        means = [(run.count, list_mean_work(served, 3, [run.sum])) for run in runs]
        seen = sum(count * sum(getattr(row, metric) for row in work.operators) for count, work in means)
        assert seen == getattr(exact, metric)


def test_where_every_layer_has_a_window_none_keeps_more(costs: Any) -> None:
    from llm_perf_opt.planning.evaluation import ServedModel

    lines = ServedModel(model="tiny-window").step_lines
    # Eight sequences, two layers, keys and values of one head of 14 channels, in 16 bits.
    token_bytes = 8 * 2 * 2 * 14 * 2
    for prompt, steps, tokens in ((7, 3, 10), (100, 67, 130), (129, 1, 130), (401, 29, 130), (401, 0, 130)):
        (part,) = lines.list_cache(prompt, steps)
        assert (part.tokens, part.token_bytes, part.dropped) == (tokens, token_bytes, prompt + steps - tokens)


def test_a_window_that_is_too_short_for_symbols_is_refused() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_config

    with pytest.raises(CountError, match="a window of attention is too short; expected at least 16; found 5"):
        compile_config({**CONFIG, "sliding_window": 5}, name="Short-Window", points=0)


def test_two_flops_a_token_are_compared_on_both_sides_of_the_window(compilation: Any) -> None:
    from modelmeter.dimensions.evaluate import evaluate
    from modelmeter.scaling.studies.records import ClosedForm, Subject
    from modelmeter.scaling.studies.rules_of_thumb import STUDY

    found = [each for each in STUDY.find(Subject(model=compilation.compiled)) if isinstance(each, ClosedForm)]
    (ratio,) = [each.formula for each in found if "decoding" in each.words]
    for prompt in (7, 130, 131, 132, 401):
        seen = [min(prompt + step, WINDOW) for step in range(1, 1024)]  # the default of its steps
        exact = sum(2 * (2 * MATRICES + 4 * keys * 42) + 2 * 42 * 97 for keys in seen)
        active = 2 * MATRICES + 42 * 97
        assert evaluate(ratio, {"seq_len": prompt}) == Fraction(exact, 2 * active * 1023)


def test_a_short_window_that_no_layer_has_is_no_window() -> None:
    """Both layers are below ``max_window_layers``; before the step 50 positions are cached."""
    from modelmeter.frontend.compile import compile_config

    fields = {**CONFIG, "model_type": "qwen2", "sliding_window": 5, "use_sliding_window": True, "max_window_layers": 2}
    del fields["head_dim"]  # 42 channels of 3 heads
    found = compile_config(fields, name="No-Window", points=1)
    assert found.traced.windows.sizes == ()
    step = found.compiled.evaluate("decode", seq_len=50, max_new_tokens=2)
    assert step.tensor_core_flops == 2 * (2 * MATRICES + 4 * 51 * 42) + 2 * 42 * 97
    forget_model("no-window")
    with pytest.raises(CountError, match="a window of attention is too short"):
        compile_config({**fields, "max_window_layers": 1}, name="No-Window", points=1)
