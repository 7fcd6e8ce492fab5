"""Every vendor class: the buffers that its replay keeps alive, against a walk over the live storages of the module.

The cases are those of the other metrics, in a type with casts and in float32. The peak of every module path has to be
the same, not only the largest, and for narrow as for wide activations: then other operators are the largest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

import pytest
import torch
from attrs import evolve
from layer_case import GROUPED, LAYERS, UNGROUPED, Case, meta
from layer_cases import CASES, DTYPES, NO_TORCH_MODULES
from torch import Tensor

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.graph.dtypes import default_dtype
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Precision
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.layers.decoder.deepseek_v2_moe import DeepseekV2MoE
from modelmeter.models.deepseek_ocr.reference_decoder import DeepseekV2MoE as TorchMoE
from modelmeter.verify.live_storages import WatchedOperator, watch_storages

CAST = [
    # No width is that of float32, and none that of indices; what is cached is as wide as an activation.
    Precision(weight_bits=7, activation_bits=13, kv_bits=13),
    Precision(weight_bits=7, activation_bits=1, kv_bits=1),
    Precision(weight_bits=7, activation_bits=211, kv_bits=211),
]
NOT_CAST = [Precision(weight_bits=32, activation_bits=32, kv_bits=32)]


def list_widths(case: Case) -> list[Precision]:
    return NOT_CAST if case.dtype == torch.float32 else CAST


def share_path(path: str) -> str:
    """Return the path without the numbers of alike siblings; all that experts do is one."""
    return re.sub(r"\b(blocks|layers)\.\d+", r"\1", re.sub(r"\bexperts\b.*", "experts", path))


def largest_by_path(alive: Iterable[tuple[str, int]]) -> Counter[str]:
    """Return the most bits of each path."""
    peaks: Counter[str] = Counter()
    for path, bits in alive:
        peaks[share_path(path)] = max(peaks[share_path(path)], bits)
    return +peaks  # without what does not run


def to_buffer(tensor: Tensor) -> Buffer:
    elements = tensor.untyped_storage().nbytes() // tensor.element_size()
    return Buffer(Elements(activation=elements) if tensor.is_floating_point() else Elements(index=elements))


def replay(case: Case) -> list[Counter[str]]:
    """Return the peaks of the case's layer at each of the widths."""
    tape = Tape(casts=case.dtype != torch.float32)
    inputs = [to_buffer(tensor) for tensor in case.inputs]
    held = [*inputs, *map(to_buffer, case.held)]
    tape.reserve(*held)
    outputs = case.layer.replay(tape, *inputs)
    tape.keep(*held, *outputs)
    live = list(tape.list_operators(share_path))
    peaks = []
    for widths in list_widths(case):
        sizes = {**case.sizes, "weight_bits": widths.weight_bits, "activation_bits": widths.activation_bits}
        peaks.append(
            largest_by_path(
                (operator.path, int(evaluate(operator.factor * operator.alive.to_bits(widths), sizes)))
                for operator in live
            )
        )
    return peaks


def watch(case: Case) -> list[Counter[str]]:
    """Return the peaks of the case's forward at each of the widths."""
    found = list(watch_operators(case))
    return [
        largest_by_path((operator.path, int(operator.alive.to_bits(widths))) for operator in found)
        for widths in list_widths(case)
    ]


def watch_operators(case: Case) -> Iterator[WatchedOperator]:
    with default_dtype(case.dtype):
        yield from watch_storages(case.module, case.forward, cache=case.cache, inputs=(*case.inputs, *case.held))


def check_replay(case: Case) -> None:
    """Check every path at every width.

    Where a module's only operator is a copy that is none at these sizes, what is alive there is still on the tape. It
    must not be more than what is alive beside an operator that does run.
    """
    for replayed, watched in zip(replay(case), watch(case), strict=True):
        idle = Counter({path: replayed.pop(path) for path in replayed.keys() - watched.keys()})
        assert replayed == watched
        assert max(idle.values(), default=0) <= max(watched.values())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_replay_keeps_alive_what_the_forward_does(case: Case) -> None:
    check_replay(case)


def test_every_class_is_replayed() -> None:
    assert {type(case.layer).__name__ for case in CASES} == LAYERS.keys() - NO_TORCH_MODULES


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
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
def test_experts_take_every_kind_of_even_shares(architecture: DeepSeekOCRArchitecture, dtype: torch.dtype) -> None:
    """From one token on: some experts without a token, shares that differ by one, equal shares."""
    width = architecture.hidden_size
    with default_dtype(dtype), torch.device("meta"):
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
        with default_dtype(dtype):
            rows = meta(tokens, width).detach()
        case = Case(
            label="", dtype=dtype, layer=layer, sizes={}, module=module, forward=partial(module, rows), inputs=(rows,)
        )
        check_replay(case)
