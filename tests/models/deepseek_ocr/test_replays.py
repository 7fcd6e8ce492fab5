"""Every vendor class: the buffers that its replay keeps alive, against a walk over the live storages of the module.

The cases are those of the other metrics. The peak of every module path has to be the same, not only the largest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pytest
import torch
from attrs import evolve
from layer_case import GROUPED, LAYERS, UNGROUPED, Case, meta
from layer_cases import CASES, NO_TORCH_MODULES

from modelmeter.evaluate import evaluate
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_moe import DeepseekV2MoE
from modelmeter.models.deepseek_ocr.reference_decoder import DeepseekV2MoE as TorchMoE
from modelmeter.verify.live_storages import watch_storages


def largest_by_path(alive: Iterable[tuple[str, int]]) -> Counter[str]:
    """Return the largest of each path; alike siblings are one, and so is all that experts do."""
    peaks: Counter[str] = Counter()
    for path, elements in alive:
        shared = re.sub(r"\b(blocks|layers)\.\d+", r"\1", re.sub(r"\bexperts\b.*", "experts", path))
        peaks[shared] = max(peaks[shared], elements)
    return +peaks  # without what does not run


def replay(case: Case) -> Counter[str]:
    tape = Tape()
    case.layer.replay(tape, *(Buffer(tensor.numel()) for tensor in case.inputs))
    return largest_by_path((live.path, int(evaluate(live.elements, case.sizes))) for live in tape.list_operators())


def watch(case: Case) -> Counter[str]:
    found = watch_storages(case.module, case.forward, cache=case.cache)
    return largest_by_path((live.path, live.elements) for live in found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{type(case.layer).__name__}({case.label})")
def test_a_replay_keeps_alive_what_the_forward_does(case: Case) -> None:
    assert replay(case) == watch(case)


def test_every_class_is_replayed() -> None:
    assert {type(case.layer).__name__ for case in CASES} == LAYERS.keys() - NO_TORCH_MODULES


@pytest.mark.parametrize(
    "architecture",
    [
        GROUPED,
        UNGROUPED,
        evolve(UNGROUPED, n_routed_experts=1, num_experts_per_tok=1),
        # Wide experts, and ones that are narrower than a third of the tokens: other operators are the largest.
        evolve(GROUPED, n_routed_experts=3, num_experts_per_tok=1, moe_intermediate_size=61),
        evolve(UNGROUPED, n_routed_experts=4, num_experts_per_tok=3, moe_intermediate_size=7),
        evolve(UNGROUPED, n_routed_experts=17, num_experts_per_tok=3, moe_intermediate_size=29),
    ],
    ids=lambda each: f"{each.num_experts_per_tok} of {each.n_routed_experts}, width {each.moe_intermediate_size}",
)
def test_experts_take_every_kind_of_even_shares(architecture: DeepSeekOCRArchitecture) -> None:
    """From one token on: some experts without a token, shares that differ by one, equal shares."""
    width = architecture.hidden_size
    with torch.device("meta"):
        module = TorchMoE(architecture, "even")
    for tokens in range(1, 2 * architecture.n_routed_experts + 3):
        layer = DeepseekV2MoE(
            leading_shape=(tokens,),
            hidden_size=width,
            moe_intermediate_size=architecture.moe_intermediate_size,
            n_routed_experts=architecture.n_routed_experts,
            n_shared_experts=architecture.n_shared_experts,
            num_experts_per_tok=architecture.num_experts_per_tok,
        )
        rows = meta(tokens, width)
        case = Case(label="", layer=layer, sizes={}, module=module, forward=lambda: module(rows), inputs=(rows,))  # noqa: B023  # called at once
        assert replay(case) == watch(case), tokens
