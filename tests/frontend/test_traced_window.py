"""A decoder with windows of attention: formulas hold while no window leaves a position out, and more is refused.

Of the 130 positions that a window of 131 holds with one to spare, half may be the prompt.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelmeter.model.registry import forget_model

CONFIG: dict[str, Any] = {
    "model_type": "mistral", "hidden_size": 42, "intermediate_size": 58, "num_hidden_layers": 2,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 14, "vocab_size": 97, "sliding_window": 131,
}  # fmt: skip


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("transformers")
    from modelmeter.compiler import emit_files
    from modelmeter.frontend.compile import compile_config
    from modelmeter.support.generated_files import write_files

    compilation = compile_config(CONFIG, name="Tiny-Window", points=1)
    folder: Path = tmp_path_factory.mktemp("window")
    write_files(emit_files(compilation.compiled), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("tiny_window_costs")
    forget_model("tiny-window")


def test_what_fits_in_the_window_is_as_without_one(costs: Any) -> None:
    # 2 layers: two products over 65 x 65 for 42 channels; the matrices; and logits of one position.
    matrices = 42 * 42 + 2 * 42 * 14 + 42 * 42 + 3 * 42 * 58
    expected = 2 * (2 * 65 * matrices + 4 * 65**2 * 42) + 2 * 42 * 97
    assert costs.prefill(seq_len=65).tensor_core_flops == expected


@pytest.mark.parametrize(
    ("stage", "sizes"),
    [
        ("prefill", {"seq_len": 66}),
        ("decode", {"seq_len": 65, "decode_steps": 66}),
        ("request", {"seq_len": 66, "max_new_tokens": 2}),
    ],
)
def test_more_is_refused(costs: Any, stage: str, sizes: dict[str, int]) -> None:
    with pytest.raises(costs.CostError, match="at most longest_"):
        getattr(costs, stage)(**sizes)
    assert costs.decode(seq_len=65, decode_steps=65).kv_cache_bytes == 2 * 130 * 2 * 14 * 2
