"""Traffic of a compiled model where windows are full: that of a kernel that knows them, and what is left beside it.

What is expected is arithmetic: 2 layers, 15 heads of 14 channels that share 5 of keys and values, windows of 23.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from compiled_llama import open_compiled

from llm_perf_opt.evaluators import load_costs
from llm_perf_opt.planning.evaluation import ServedModel

NAME, PACKAGE = "full-windows", "full_windows_costs"
CONFIG: dict[str, Any] = {
    "model_type": "mistral", "hidden_size": 60, "intermediate_size": 92, "num_hidden_layers": 2, "vocab_size": 97,
    "num_attention_heads": 15, "num_key_value_heads": 5, "head_dim": 14, "sliding_window": 23,
}  # fmt: skip

SEQUENCES = 3


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    pytest.importorskip("transformers")
    with open_compiled(CONFIG, NAME, PACKAGE, tmp_path_factory.mktemp("full")):
        yield ServedModel(model=NAME, bits={"weight_bits": 16, "activation_bits": 16, "kv_bits": 8})


@pytest.mark.parametrize(
    ("stage", "sizes", "queries", "keys", "rest", "copied"),
    [
        # Below the window nothing is left.
        ("prefill", {"seq_len": 19}, 19, 19, 0, 0),
        # From it on, in each of 2 layers, a mask of 41 * 41 bytes, and keys and values of 15 heads, in 16 bits. These
        # are written by two operators.
        ("prefill", {"seq_len": 41}, 41, 41, 2 * 41 * 41, 2 * 2 * 2 * SEQUENCES * 41 * 15 * 14),
        ("decode", {"seq_len": 17, "decode_steps": 1}, 1, 18, 0, 0),
        # A step has one row of a mask, and keys and values that are not copied: the window is all that it sees.
        ("decode", {"seq_len": 41, "decode_steps": 1}, 1, 23, 2 * 23, 0),
    ],
)
def test_a_kernel_reads_keys_once_and_no_mask(
    served: ServedModel, stage: str, sizes: dict[str, int], queries: int, keys: int, rest: int, copied: int
) -> None:
    work = served.list_stage_work(stage, batch_size=SEQUENCES, **sizes)
    kernels = [row for row in work.operators if row.kind == "attention"]
    # In each of 2 layers: queries and the output of 15 heads of 14, in 16 bits; keys and values of 5 heads, in 8.
    expected = 2 * SEQUENCES * (2 * 2 * 15 * 14 * queries + 2 * 5 * 14 * keys)
    assert sum(row.fused_io_bytes for row in kernels) == expected
    # PyTorch's operator is one, and reads all that it is given.
    assert sum(row.launches for row in kernels) == 2
    assert sum(row.io_bytes for row in kernels) == expected + rest + copied
    fused = served.evaluate(f"{stage}_fused_io_bytes", batch_size=SEQUENCES, **sizes)
    assert work.fused_io_bytes == fused
    rows = load_costs(NAME).breakdown.operators(stage, batch_size=SEQUENCES, kv_bits=8, **sizes)
    left = [row for row in rows if row.operator == "scaled_dot_product_attention_rest"]
    assert sum(row.io_bits for row in left) == 8 * (rest + copied)
    assert work.io_bytes == served.evaluate(stage, batch_size=SEQUENCES, **sizes).io_bytes
    assert {(row.tensor_core_flops, row.cuda_core_flops) for row in left} == {(0, 0)}
    # Products of queries and keys, and with values; a scale, and the five of a softmax.
    pairs = SEQUENCES * 15 * queries * keys
    assert sum(row.tensor_core_flops for row in kernels) == 2 * 2 * 2 * pairs * 14


def test_a_window_leaves_the_traffic_of_whole_attention_as_it_is(served: ServedModel) -> None:
    """The bounds of a prompt grow with its length alone: no square of it is in what must be moved."""
    moved = [
        served.evaluate("prefill_fused_io_bytes", batch_size=SEQUENCES, seq_len=seq_len) for seq_len in (41, 141, 241)
    ]
    assert moved[2] - moved[1] == moved[1] - moved[0]
