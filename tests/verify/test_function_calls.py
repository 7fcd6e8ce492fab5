"""Calls by their shapes: products worked out by hand, and the sum of a whole stage."""

from __future__ import annotations

import pytest
import torch
from other_counter_sizes import PAGE
from tiny import TINY
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.models.deepseek_ocr.proofs.other_counters.stages import build_stages
from modelmeter.verify.other_counters.calls import FunctionCall, ModuleCall, record_calls
from modelmeter.verify.other_counters.stage import CountedStage


class Mixed(nn.Module):
    """A module and functions of all kinds that have products."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(7, 12)
        self.conv = nn.Conv2d(3, 5, kernel_size=2, bias=False)
        self.norm = nn.LayerNorm(12)

    def forward(self, rows: Tensor, pixels: Tensor) -> Tensor:
        self.conv(pixels)
        states = self.norm(self.linear(rows)).view(11, 13, 2, 6).transpose(1, 2)
        functional.linear(rows, self.linear.weight)
        torch.einsum("bhlc,hkc->bhlk", states, torch.zeros(2, 17, 6, device="meta"))
        # 19 keys of 6, and values of 23.
        keys, values = torch.zeros(11, 2, 19, 6, device="meta"), torch.zeros(11, 2, 19, 23, device="meta")
        functional.scaled_dot_product_attention(states, keys, values)
        return states @ keys.transpose(2, 3)


@pytest.fixture(scope="module")
def mixed() -> CountedStage:
    with torch.device("meta"):
        inputs = {"rows": torch.zeros(11, 13, 7), "pixels": torch.zeros(29, 3, 31, 37)}
        return CountedStage(name="mixed", module=Mixed(), inputs=inputs)


def test_products_are_two_flops_for_each_multiply_add(mixed: CountedStage) -> None:
    calls = record_calls(mixed)
    products = [call for call in calls.functions if call.tensor_core_flops]
    assert [(call.name, call.module, call.has_bias, call.tensor_core_flops) for call in products] == [
        ("conv2d", "Conv2d", False, 2 * 29 * 30 * 36 * 5 * 3 * 4),
        ("linear", "Linear", True, 2 * 11 * 13 * 7 * 12),
        ("linear", "Mixed", False, 2 * 11 * 13 * 7 * 12),
        ("einsum", "Mixed", False, 2 * 11 * 2 * 13 * 17 * 6),
        ("scaled_dot_product_attention", "Mixed", False, 2 * 11 * 2 * 13 * 19 * (6 + 23)),
        ("matmul", "Mixed", False, 2 * 11 * 2 * 13 * 19 * 6),
    ]  # fmt: skip
    with FlopCounterMode(display=False) as counter:
        mixed.run()
    assert calls.tensor_core_flops == counter.get_total_flops()


def test_modules_without_modules_inside_are_recorded(mixed: CountedStage) -> None:
    assert record_calls(mixed).modules == (
        ModuleCall(class_name="Conv2d", weights=5 * 3 * 4, others=0, output=(29, 5, 30, 36)),
        ModuleCall(class_name="Linear", weights=7 * 12, others=12, output=(11, 13, 12)),
        ModuleCall(class_name="LayerNorm", weights=12, others=12, output=(11, 13, 12)),
    )


def test_vector_functions_have_no_product() -> None:
    call = FunctionCall(name="gelu", module="GELU", inputs=((3, 5),), output=(3, 5))
    assert (call.tensor_core_flops, call.has_bias) == (0, False)


@pytest.mark.parametrize("name", ["vision", "projector", "prefill", "decode"])
def test_the_calls_of_a_stage_have_all_its_products(name: str) -> None:
    stage = build_stages(TINY, PAGE, device="meta")[name]
    with FlopCounterMode(display=False) as counter:
        stage.run()
    assert record_calls(stage).tensor_core_flops == counter.get_total_flops()
