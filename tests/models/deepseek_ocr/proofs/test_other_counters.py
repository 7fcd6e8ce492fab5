"""Other counters: what they miss, on modules small enough to count by hand, and the same without data as with it."""

from __future__ import annotations

import sys

import pytest
import torch
from other_counter_sizes import PAGE
from tiny import TINY
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from modelmeter.models.deepseek_ocr.proofs.other_counters.comparison import count_stages
from modelmeter.models.deepseek_ocr.proofs.other_counters.stages import build_stages
from modelmeter.support.errors import CountError
from modelmeter.verify.other_counters.counters import COUNTERS, EXACT, Count
from modelmeter.verify.other_counters.stage import CountedStage


class Attend(nn.Module):
    """Nothing but attention."""

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query, keys, keys)


def make_attention(device: str) -> CountedStage:
    query, keys = torch.zeros(3, 5, 7, 8, device=device), torch.zeros(3, 5, 11, 8, device=device)
    return CountedStage(name="attention", module=Attend(), inputs={"query": query, "keys": keys})


class Seen(TorchDispatchMode):
    """Lists the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: list[object] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # as torch's
        self.operators.append(func._overloadpacket)
        return func(*args, **(kwargs or {}))


def test_flop_counter_mode_counts_attention_on_the_meta_device_only() -> None:
    """Two products: 2 x 2 x batch x heads x queries x keys x head size. The CPU has an operator without a rule."""
    assert EXACT.count(make_attention("meta")) == Count(flops=2 * 2 * 3 * 5 * 7 * 11 * 8)
    assert COUNTERS["FlopCounterMode on the CPU"].count(make_attention("cpu")) == Count(flops=0)
    with Seen() as seen:
        make_attention("cpu").run()
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    assert fused in seen.operators
    assert fused not in flop_registry


def test_torchinfo_keeps_the_first_dimension_of_a_linear_layer_only() -> None:
    """3 rows of 5 positions: 3 x 7 x 11 multiply-adds, where there are 3 x 5 x 7 x 11, and 3 x 11 for the bias."""
    linear = CountedStage(name="linear", module=nn.Linear(7, 11), inputs={"input": torch.zeros(3, 5, 7)})
    assert COUNTERS["torchinfo"].count(linear) == Count(flops=2 * (3 * 7 * 11 + 3 * 11))


def test_fvcore_says_what_it_does_not_support() -> None:
    pytest.importorskip("fvcore")
    assert COUNTERS["fvcore"].count(make_attention("meta")) == Count(
        flops=0, unsupported=("scaled_dot_product_attention",)
    )


@pytest.mark.parametrize("name", COUNTERS)
def test_every_stage_counts_without_data_as_it_does_with_data(name: str) -> None:
    counter = COUNTERS[name]
    pytest.importorskip(counter.package)
    with_data = build_stages(TINY, PAGE, device="cpu")
    counts = {stage: counter.count(with_data[stage]) for stage in with_data}
    assert count_stages(counter, TINY, PAGE) == counts


@pytest.mark.parametrize("name", ["calflops", "fvcore", "ptflops", "torchinfo"])
def test_a_counter_that_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CountError, match=rf"{name}[.\w]*: a counter is not installed; .*pip install --group others"):
        COUNTERS[name].count(make_attention("meta"))


def test_a_failure_that_ptflops_only_prints_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ptflops")

    class Broken(nn.Module):
        def forward(self, query: Tensor) -> Tensor:
            raise ValueError("of all things")

    for backend in ("ptflops", "ptflops (aten)"):
        with pytest.raises(CountError, match=r"broken: ptflops has failed; found .*ValueError.*of all things"):
            COUNTERS[backend].count(CountedStage(name="broken", module=Broken(), inputs={"query": torch.zeros(3)}))
    assert capsys.readouterr().out == ""
