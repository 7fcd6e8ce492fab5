"""The stages without data: the same operators as with data, and nothing that a counter replaces is called inside."""

from __future__ import annotations

from unittest.mock import Mock, patch

import pytest
import torch
from other_counter_sizes import PAGE
from tiny import TINY
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from modelmeter.models.deepseek_ocr.proofs.other_counters.stages import build_stages, stages_without_data
from modelmeter.verify.other_counters.stage import CountedStage

STAGES = ["vision", "projector", "prefill", "decode"]


def count_by_operator(stage: CountedStage) -> dict[str, int]:
    with FlopCounterMode(display=False) as counter:
        stage.run()
    return {str(operator): flops for operator, flops in counter.get_flop_counts()["Global"].items()}


@pytest.mark.parametrize("name", STAGES)
def test_without_data_torch_runs_the_operators_that_it_runs_with_data(name: str) -> None:
    with_data = count_by_operator(build_stages(TINY, PAGE, device="cpu")[name])
    with stages_without_data(TINY, PAGE) as stages:
        assert count_by_operator(stages[name]) == with_data


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_may_run_again(name: str) -> None:
    """Also a decode step: its cache is as long as before."""
    stage = build_stages(TINY, PAGE, device="meta")[name]
    assert count_by_operator(stage) == count_by_operator(stage)


def test_the_cache_of_a_decode_step_holds_the_prompt() -> None:
    """One query, and a key more than the prompt has: 2 x 2 x heads x 1 x (seq_len + 1) x head size, in two layers."""
    with FlopCounterMode(display=False) as counter:
        build_stages(TINY, PAGE, device="meta")["decode"].run()
    products = counter.get_flop_counts()["Global"][torch.ops.aten.bmm]
    attention = 2 * 2 * 6 * (PAGE.seq_len + 1) * 4
    rotary = 2 * 2  # half a head, one position
    assert products == 2 * (attention + rotary)


def test_a_replaced_function_is_not_called_inside_of_an_operator() -> None:
    """Torch's Python code for ``addmm`` without data calls ``torch.mm``, which ptflops replaces."""
    replacement = Mock(side_effect=torch.mm)
    FakeTensorMode.cache_clear()  # of results by shape, for which no code runs
    with stages_without_data(TINY, PAGE) as stages, patch.object(torch, "mm", replacement):
        inside = stages["projector"].module.module
        assert isinstance(inside, nn.Module)
        inside(**stages["projector"].inputs)
        assert replacement.called, "otherwise nothing is shown"
        replacement.reset_mock()
        FakeTensorMode.cache_clear()
        stages["projector"].run()
        assert not replacement.called
        assert torch.mm is replacement, "it is back in its place"


def test_a_stage_without_data_stays_where_it_is() -> None:
    with stages_without_data(TINY, PAGE) as stages:
        module = stages["projector"].module
        assert module.to("cpu") is module
