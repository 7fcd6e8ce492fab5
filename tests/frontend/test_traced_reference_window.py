"""A decoder that keeps all of a prompt, and a window of what it generates after it: on both sides of the full window.

What is expected is arithmetic, and what FlopCounterMode and the cache of transformers say of unmodified modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.frontend.cards.card import Card
from modelmeter.model.registry import forget_model
from modelmeter.support.errors import CountError

WINDOW = 29
TEXT: dict[str, Any] = {
    "hidden_size": 42, "intermediate_size": 58, "num_hidden_layers": 2, "num_attention_heads": 3,
    "num_key_value_heads": 3, "vocab_size": 97, "sliding_window": WINDOW, "mlp_layer_types": ["dense", "dense"],
}  # fmt: skip
CARD = Card(
    name="tiny-reference", title="Tiny-Reference", model_type="unlimited_ocr",
    class_name="UnlimitedOcrForConditionalGeneration", config={"text_config": TEXT},
)  # fmt: skip

# The matrices of a layer: queries, keys, values, output, and three of the MLP; and the keys and values of a position.
MATRICES = 4 * 42 * 42 + 3 * 42 * 58
KEPT = 2 * 2 * 42


@pytest.fixture(scope="module")
def compilation() -> Iterator[Any]:
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_card

    yield compile_card(CARD, points=2)
    forget_model("tiny-reference")


@pytest.mark.parametrize("steps", [1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 77])
def test_a_step_sees_the_prompt_and_a_window(compilation: Any, steps: int) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import DynamicCache

    from modelmeter.frontend.modules import build_modules

    prompt = 47
    sizes = {"batch_size": 3, "seq_len": prompt, "decode_steps": steps, "kv_bits": 16}

    def derive(stage: str, metric: str) -> Any:
        return evaluate(compilation.compiled.formula(stage, metric), sizes)

    seen = [prompt + min(step, WINDOW) for step in range(1, steps + 1)]
    expected = sum(2 * (2 * MATRICES + 4 * keys * 42) + 2 * 42 * 97 for keys in seen)
    assert derive("decode", "tensor_core_flops") == 3 * expected
    # After step t, prompt + min(t, window - 1) positions are kept, in 2 layers of 42 channels, by 3 sequences.
    assert derive("decode", "kv_cache_bytes") == 3 * KEPT * (prompt + min(steps, WINDOW - 1)) * 2

    model = build_modules(_make_config(), class_name=CARD.class_name)
    cache = DynamicCache(config=model.config)
    counted = []
    for tokens in (prompt, *[1] * steps):
        ids = torch.empty(3, tokens, dtype=torch.int64, device="meta")
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        counted.append(counter.get_total_flops())
    assert derive("prefill", "tensor_core_flops") == counted[0]
    assert derive("decode", "tensor_core_flops") == sum(counted[1:])
    kept = sum(
        part.numel()
        for layer in cache.layers
        for part in (layer.prefill_keys, layer.prefill_values, layer.keys, layer.values)
    )
    assert derive("decode", "kv_cache_bytes") == kept * 2


def _make_config() -> Any:
    from modelmeter.frontend.configs.config import make_config

    fields = {**CARD.config, "model_type": CARD.model_type}
    return make_config(fields, CARD.title, place=CARD.name, is_carded=True).config


@pytest.fixture(scope="module")
def costs(compilation: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from llm_perf_opt.evaluators import load_costs
    from modelmeter.compiler import emit_files
    from modelmeter.support.generated_files import write_files

    folder: Path = tmp_path_factory.mktemp("reference")
    write_files(emit_files(compilation.compiled), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield load_costs("tiny-reference")


@pytest.mark.parametrize(("prompt", "steps"), [(500, WINDOW - 1), (47, WINDOW), (47, WINDOW + 1), (311, 103), (5, 2)])
def test_plans_have_the_lines_of_steps_before_and_after_the_window(costs: Any, prompt: int, steps: int) -> None:
    from llm_perf_opt.planning.evaluation import ServedModel
    from llm_perf_opt.planning.step_work import list_mean_work

    served = ServedModel(model="tiny-reference")
    runs = served.step_lines.find(prompt, steps)
    # Step 29 is the first that sees a full window, and the cache is full after step 28.
    assert [run.count for run in runs] == [count for count in (min(steps, 28), steps - 28) if count > 0]

    def decode(metric: str, count: int) -> int:
        return getattr(costs.decode(batch_size=3, seq_len=prompt, decode_steps=count), metric) if count else 0

    done = 0
    for run in runs:
        work = list_mean_work(served, 3, [run.sum])
        for metric in ("tensor_core_flops", "cuda_core_flops", "io_bytes"):
            # The steps of a line, each as what it adds to those before it.
            alone = [decode(metric, step) - decode(metric, step - 1) for step in range(done + 1, done + run.count + 1)]
            assert run.count * sum(getattr(row, metric) for row in work.operators) == sum(alone)
        done += run.count


def test_a_full_window_keeps_the_prompt_and_one_position_less(costs: Any) -> None:
    from llm_perf_opt.planning.evaluation import ServedModel

    lines = ServedModel(model="tiny-reference").step_lines
    for prompt, steps, tokens in ((47, 0, 47), (47, 28, 75), (47, 29, 75), (311, 103, 339)):
        (part,) = lines.list_cache(prompt, steps)
        assert (part.tokens, part.token_bytes, part.dropped) == (tokens, 8 * KEPT * 2, prompt + steps - tokens)


def test_a_mix_adds_up_prompts_that_have_lines_of_their_own(costs: Any) -> None:
    from llm_perf_opt.planning.evaluation import ServedModel
    from llm_perf_opt.planning.mix import PageMix
    from llm_perf_opt.planning.page_classes import PageClass

    bits = {"weight_bits": 16, "activation_bits": 16, "kv_bits": 16}
    requests = {(47, 90): 3, (47, 12): 2, (311, 31): 5, (500, 7): 1}
    classes = tuple(
        PageClass(views=(), image_tokens=0, seq_len=prompt, logits_tokens=1, output_tokens=1 + steps, count=count)
        for (prompt, steps), count in requests.items()
    )
    mix = PageMix(model=ServedModel(model="tiny-reference", bits=bits), classes=classes)
    num_steps = sum(steps * count for (_, steps), count in requests.items())
    for metric in ("tensor_core_flops", "cuda_core_flops", "io_bytes"):
        whole = sum(
            count * getattr(costs.decode(batch_size=3, seq_len=prompt, decode_steps=steps), metric)
            for (prompt, steps), count in requests.items()
        )
        mean = sum(getattr(row, metric) for row in mix.list_step_work(3).operators)
        assert num_steps * mean == whole
    # The most is not in the cache of the longest output: 500 and 7, against 311 and 28, and 47 and 28.
    assert [sum(part.tokens for part in parts) for parts in mix.steps.largest_caches] == [507]


def test_all_metrics_are_counted_on_both_sides_and_on_the_border(compilation: Any) -> None:
    steps = {each.sizes["decode_steps"] for each in compilation.checked if each.stage == "decode"}
    assert {WINDOW, WINDOW - 1} <= steps
    assert max(steps) > WINDOW
    regions = {each.region.least for each in compilation.traced.runs["decode"].forwards}
    assert regions == {None, WINDOW}


def test_layers_with_windows_of_several_kinds_are_refused() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.windows import find_windows

    config = _make_config()
    config.get_text_config().layer_types = ["reference_sliding_attention", "sliding_attention"]
    with pytest.raises(CountError, match="layers have windows of several kinds"):
        find_windows(config)
