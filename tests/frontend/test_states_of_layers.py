"""Layers that keep states of one size beside keys and values of each position, and prompts that are cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sympy

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.functions import CeilDiv
from modelmeter.frontend.chunks import Chunks, list_filled, trace_in_chunks
from modelmeter.frontend.windows import TracedRegion
from modelmeter.metrics.cost import Cost, Elements, Precision, Work
from modelmeter.model.registry import forget_model
from modelmeter.support.errors import CountError, ModelMeterError
from modelmeter.verify.guards import GuardError, is_padded

LFM2: dict[str, Any] = {
    "model_type": "lfm2", "hidden_size": 48, "intermediate_size": 59, "num_hidden_layers": 3, "vocab_size": 101,
    "num_attention_heads": 3, "num_key_value_heads": 1, "conv_L_cache": 5, "block_auto_adjust_ff_dim": False,
    "layer_types": ["conv", "full_attention", "conv"],
}  # fmt: skip

NEMOTRON_H: dict[str, Any] = {
    "model_type": "nemotron_h", "hidden_size": 48, "intermediate_size": 59, "vocab_size": 101, "num_hidden_layers": 4,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 10, "mamba_num_heads": 6, "mamba_head_dim": 7,
    "ssm_state_size": 11, "n_groups": 2, "conv_kernel": 5, "chunk_size": 16,
    "layers_block_type": ["linear_attention", "mlp", "full_attention", "mlp"],
}  # fmt: skip


prompt = sympy.Symbol("seq_len", integer=True, positive=True)


@contextmanager
def compile_beside(fields: dict[str, Any], name: str) -> Iterator[tuple[CompiledModel, int, Any]]:
    """Compile a model, and run the modules of transformers for three prompts of 29 tokens: their FLOPs and cache."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from modelmeter.frontend.compile import compile_config

    compiled = compile_config(fields, name=name, points=1).compiled
    try:
        with torch.device("meta"), torch.no_grad():
            config = transformers.CONFIG_MAPPING[fields["model_type"]].from_dict(fields)
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                tokens = torch.empty(3, 29, dtype=torch.int64)
                cache = model(input_ids=tokens, use_cache=True, logits_to_keep=1).past_key_values
        yield compiled, counter.get_total_flops(), cache
    finally:
        forget_model(compiled.definition.name)


def test_a_convolution_keeps_a_state_that_does_not_grow() -> None:
    with compile_beside(LFM2, "Tiny-LFM2") as (compiled, flops, _):
        cost = compiled.evaluate("prefill", batch_size=3, seq_len=29)
        assert cost.tensor_core_flops == flops > 0
        # Keys and values of one head of 16 channels at 29 positions, and two states of 48 channels and 5 positions.
        assert cost.kv_cache_bytes == 2 * 3 * (2 * 16 * 29 + 2 * 48 * 5)
        with pytest.raises(ModelMeterError, match="seq_len: a size is not a whole number in range"):
            compiled.evaluate("prefill", seq_len=4)  # a state of 5 positions would be padded


def test_a_layer_without_a_cache_keeps_nothing() -> None:
    with compile_beside(NEMOTRON_H, "Tiny-Nemotron") as (compiled, flops, cache):
        cost = compiled.evaluate("prefill", batch_size=3, seq_len=29)
        assert cost.tensor_core_flops == flops > 0
        scan, first_mlp, attention, last_mlp = cache.layers
        kept = [attention.keys, attention.values, *scan.conv_states.values(), *scan.recurrent_states.values()]
        assert cost.kv_cache_bytes == sum(tensor.nbytes for tensor in kept)
        # Keys and values of one head of 10 channels; a convolution over 6 x 7 + 2 x 2 x 11; a float32 state.
        assert cost.kv_cache_bytes == 3 * (2 * 2 * 10 * 29 + 2 * 86 * 5 + 4 * 6 * 7 * 11)
        assert first_mlp.keys is last_mlp.keys is None


def test_states_in_float32_are_cached_and_no_activations() -> None:
    # 7 elements of 4 bytes in the cache, whatever its bits are; the work writes them, and 3 activations of 2 bytes.
    work = Work(writes=Elements(activation=3, state=7))
    precision = Precision(weight_bits=16, activation_bits=16, kv_bits=8)
    cost = Cost.of(work=work, parameters=0, kv_elements=11, precision=precision, state_elements=7)
    assert (cost.kv_cache_bytes, cost.activation_bytes, cost.io_bytes) == (11 + 28, 6, 6 + 28)


def test_chunks_are_those_that_guards_name() -> None:
    chunks = CeilDiv(prompt, sympy.Integer(64))
    seen = []

    def trace(chosen: Chunks) -> int:
        seen.append(chosen)
        if not chosen.borders:
            raise GuardError("border", condition=sympy.Gt(64 * chunks, 64), others=[is_padded(chunks)])
        return 7

    assert trace_in_chunks(trace) == (Chunks(borders=(64,), padded=(64,)), 7)
    assert len(seen) == 2

    def fail(chosen: Chunks) -> int:
        raise GuardError("another guard", condition=sympy.Gt(prompt, 100))

    with pytest.raises(CountError, match="another guard"):
        trace_in_chunks(fail)


@pytest.mark.parametrize(
    ("assumed", "expected"),
    [
        ((), [64, 64 * sympy.Symbol("chunks", integer=True, positive=True)]),
        ((sympy.Le(prompt, 64),), [64]),  # of one chunk, a prompt of 64 fills it
        ((sympy.Ge(prompt, 65),), [64 * sympy.Symbol("chunks", integer=True, positive=True)]),
        ((sympy.Ge(prompt, 65), sympy.Le(prompt, 127)), []),
    ],
)
def test_prompts_that_fill_their_chunks_are_multiples_in_the_region(
    assumed: tuple[sympy.Basic, ...], expected: list[sympy.Expr]
) -> None:
    found = list(list_filled(TracedRegion(assumed=assumed), prompt, [64]))
    assert [each.size for each in found] == expected
