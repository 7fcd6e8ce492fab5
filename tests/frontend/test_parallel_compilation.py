"""A compilation with forked processes says what one without them says, and refuses what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from modelmeter.frontend import checks
from modelmeter.frontend.compile import TracedCompilation, compile_config, open_compilation
from modelmeter.model.registry import forget_model, list_models
from modelmeter.support.errors import CountError

NAME = "Tiny-Beside"

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 39, "intermediate_size": 59, "num_hidden_layers": 3,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 14, "vocab_size": 101,
}  # fmt: skip

POSITIONS: dict[str, Any] = {
    "model_type": "gpt_neo", "hidden_size": 48, "num_heads": 3, "num_layers": 2, "intermediate_size": 59,
    "attention_types": [[["global", "local"], 1]], "vocab_size": 101, "max_position_embeddings": 211, "window_size": 67,
}  # fmt: skip
"""Guards of its traces say that it has no more positions, which points that are chosen before do not know."""


def compile_both(config: dict[str, Any]) -> tuple[TracedCompilation, TracedCompilation]:
    found = []
    for parallel in (False, True):
        with open_compilation(config, name=NAME, parallel=parallel) as compilation:
            found.append(compilation)
        forget_model(NAME.lower())
    alone, beside = found
    return alone, beside


def test_formulas_and_evidence_are_the_same() -> None:
    alone, beside = compile_both(LLAMA)
    assert alone.traced.runs == beside.traced.runs
    assert alone.to_record() == beside.to_record()
    # Two points of a prefill and a decode of few layers; at the third they compute in float32, and all layers run, too.
    assert [(each.layers, each.dtype) for each in beside.checked] == [
        *4 * [(2, "bfloat16")], *2 * [(2, "float32")], *2 * [(3, "bfloat16")]
    ]  # fmt: skip


def test_points_that_a_trace_moves_are_counted_after_it() -> None:
    alone, beside = compile_both(POSITIONS)
    assert alone.traced.runs == beside.traced.runs
    assert alone.to_record() == beside.to_record()
    assert max(each.sizes["seq_len"] + each.sizes["decode_steps"] for each in beside.checked) <= 211


@pytest.mark.parametrize("parallel", [False, True])
def test_a_count_that_differs_refuses_the_model(monkeypatch: pytest.MonkeyPatch, parallel: bool) -> None:
    count = checks.count_stage

    def miscount(*args: Any, **options: Any) -> Any:
        counted = count(*args, **options)
        return evolve(counted, alive=counted.alive + 1) if counted.stage == "decode" and counted.is_whole else counted

    monkeypatch.setattr(checks, "count_stage", miscount)
    emitted = []
    with (
        pytest.raises(CountError, match=r"^decode: peak_activation_bytes of the traced formula is not"),
        open_compilation(LLAMA, name=NAME, parallel=parallel) as compilation,
    ):
        emitted.append(compilation)  # and nobody asks whether it was equal
    assert emitted
    assert NAME.lower() not in list_models()


def test_a_model_that_is_not_counted_is_only_traced() -> None:
    with open_compilation(LLAMA, name=NAME, points=0, parallel=True) as compilation:
        assert compilation.checked == ()
    assert compilation.compiled.evaluate("prefill") == compile_config(LLAMA, name=NAME).compiled.evaluate("prefill")
    forget_model(NAME.lower())
