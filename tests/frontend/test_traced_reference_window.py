"""A decoder that keeps all of a prompt, and a window of what it generates after it: on both sides of the full window.

What is expected is arithmetic, and what FlopCounterMode and the cache of transformers say of unmodified modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelmeter.core.evaluate import evaluate
from modelmeter.frontend.cards.card import Card
from modelmeter.model.registry import forget_model
from modelmeter.support.errors import CountError, WorkloadError

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


def test_plans_refuse_steps_that_fill_the_window(compilation: Any, tmp_path: Path) -> None:
    from llm_perf_opt.planning.evaluation import ServedModel
    from modelmeter.compiler import emit_files
    from modelmeter.support.generated_files import write_files

    write_files(emit_files(compilation.compiled), tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        steps = ServedModel(model="tiny-reference").linear_steps
        steps.check_run(500, WINDOW - 1)
        for count in (WINDOW, 300):
            with pytest.raises(WorkloadError, match=rf"a window of attention is full.*at most {WINDOW - 1} steps"):
                steps.check_run(47, count)


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
