"""The causes of differences, on calls whose sizes are worked out by hand."""

from __future__ import annotations

import pytest

from modelmeter.verify.other_counters.calls import FunctionCall, ModuleCall, StageCalls
from modelmeter.verify.other_counters.causes import CAUSES
from modelmeter.verify.other_counters.counters import COUNTERS


def call(name: str, module: str, output: tuple[int, ...], *inputs: tuple[int, ...]) -> FunctionCall:
    return FunctionCall(name=name, module=module, inputs=inputs, output=output)


CALLS = StageCalls(
    functions=(
        call("linear", "Linear", (3, 5, 11), (3, 5, 7), (11, 7), (11,)),
        call("linear", "MoEGate", (13, 17), (13, 7), (17, 7)),
        call("conv2d", "Conv2d", (3, 5, 4, 6), (3, 2, 8, 12), (5, 2, 2, 2), (5,)),
        # The product of all its dimensions is 3 x 15 x 15 x 15 x 5 = 50625.
        call("einsum", "Attention", (3, 15, 15, 15), (3, 15, 15, 5), (15, 15, 5)),
        call("matmul", "LlamaRotaryEmbedding", (1, 2, 19), (1, 2, 1), (1, 1, 19)),
        call("scaled_dot_product_attention", "NoTPAttention", (1, 2, 7, 3), (1, 2, 7, 3), (1, 2, 5, 3), (1, 2, 5, 3)),
        call("gelu", "GELU", (23,), (23,)),
        call("silu", "SiLU", (29,), (29,)),
        call("layer_norm", "LayerNorm", (31,), (31,), (31,), (31,)),
        call("interpolate", "ImageEncoderViT", (1, 9, 2, 3), (1, 9, 4, 4)),
    ),
    modules=(
        ModuleCall(class_name="Linear", weights=77, others=11, output=(3, 5, 11)),
        ModuleCall(class_name="Linear", weights=77, others=0, output=(13, 11)),
        ModuleCall(class_name="MoEGate", weights=119, others=0, output=(13, 2)),
        ModuleCall(class_name="Conv2d", weights=40, others=5, output=(3, 5, 4, 6)),
        ModuleCall(class_name="Embedding", weights=1000, others=0, output=(3, 5, 7)),
        ModuleCall(class_name="LayerNorm", weights=7, others=7, output=(3, 5, 7)),
    ),
)
ATTENTION = 2 * 2 * 2 * 7 * 5 * 3
BIASED = 3 * 5 * 11 + 3 * 5 * 4 * 6
EXPECTED = {
    "torchinfo": [
        -2 * 77 * (3 * 5 - 3),  # of 15 rows it keeps 3; in a list of 13 rows, all
        -ATTENTION,
        -2 * 50625 - 2 * 2 * 19,
        # The bias of Linear for 3 rows, the bias of Conv2d for 3 x 4 x 6 positions, the table and the norm for 3 rows.
        2 * (3 * 11 + 3 * 4 * 6 * 5 + 3 * 1000 + 3 * 14),
    ],
    # numpy prints 101251 as 1.013e+05, half of which is 50650.
    "fvcore": [-ATTENTION, 2 * 5 * 31, 2 * 50650 - 101250],
    "calflops": [-ATTENTION, -2 * 2 * 19, 101300 - 101250, 3 * 5 * 4 * 6, 23 + 29 + 5 * 31 + 2 * 3],
    "ptflops": [
        -ATTENTION, -2 * 50625 - 2 * 2 * 19, -2 * 13 * 7 * 17, 2 * BIASED, 2 * (29 + 31 + 9 * 2 * 3 + 2 * 23)
    ],
    "ptflops (aten)": [-ATTENTION, 2 * BIASED],
    "FlopCounterMode on the CPU": [-ATTENTION],
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTERS)
def test_each_cause_adds_what_it_says(name: str) -> None:
    assert [cause.flops(CALLS) for cause in CAUSES[name]] == EXPECTED[name]


def test_every_counter_has_causes_in_one_line() -> None:
    assert CAUSES.keys() == COUNTERS.keys()
    texts = [cause.text for causes in CAUSES.values() for cause in causes]
    assert all(text.isprintable() and "|" not in text for text in texts), "they are cells of a table"
