"""A small model, evaluated by hand: what the generated package would say of it."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from llm_perf_opt.data import ActivationMemory
from llm_perf_opt.reporting.evaluation import Evaluation, StageEvaluation


class Cost(NamedTuple):
    """The record that the evaluators return."""

    tensor_core_flops: int
    cuda_core_flops: int
    io_bytes: int
    weight_bytes: int
    activation_bytes: int
    kv_cache_bytes: int


def _module(path: str, class_name: str, parent: str | None, count: int = 1, **params: Any) -> SimpleNamespace:
    name = path.rpartition(".")[2]
    if count > 1:
        name = ",".join(map(str, range(count)))  # the names of all that it stands for, as in the generated package
    return SimpleNamespace(
        path=path, name=name, class_name=class_name, qualified_class_name=f"tower.{class_name}",
        parent=parent, repetition="none" if count == 1 else "for", repetition_count=count, constructor_params=params,
    )  # fmt: skip


def _operator(path: str, operator: str, *numbers: int) -> SimpleNamespace:
    names = ("calls", "tensor_core_flops", "cuda_core_flops", "io_bits", "activation_bits")
    return SimpleNamespace(path=path, operator=operator, **dict(zip(names, numbers, strict=True)))


def _state(path: str, weight_bits: int, kv_cache_bits: int) -> SimpleNamespace:
    return SimpleNamespace(path=path, weight_bits=weight_bits, kv_cache_bits=kv_cache_bits)


def accept_fractions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the evaluators take fractions of bits, for the time of a test.

    They check their sizes, add and multiply, and round bytes up, but where whole bits make whole bytes anyway: with a
    check that lets fractions pass, and every byte rounded up, they are evaluators that take fractions.
    """
    import deepseek_ocr_costs as costs
    from deepseek_ocr_costs import _runtime, breakdown

    check_size = _runtime.check_size

    def check(name: str, value: object, minimum: int) -> Any:
        if name.endswith("_bits") and isinstance(value, Fraction) and value > 0:
            return value
        return check_size(name, value, minimum)

    def round_up(numbers: tuple[int | Fraction, ...]) -> costs.Cost:
        return costs.Cost(map(math.ceil, numbers))  # type: ignore[arg-type] # six of them

    stages, peaks = (
        sys.modules[function.__module__] for function in (costs.vision, costs.vision_peak_activation_bytes)
    )
    for module in (breakdown, stages, peaks):
        monkeypatch.setattr(module, "check_size", check)
    monkeypatch.setattr(stages, "Cost", round_up)


def make_evaluation() -> Evaluation:
    """A tower that looks in ``vision`` and a block, five times, that runs in ``prefill`` and ``decode``."""
    nothing = StageEvaluation(cost=Cost(0, 0, 0, 0, 0, 0), peak_activation_bytes=0, operators=(), states=())
    block: Any = (
        _operator("block.0-4", "add", 10, 0, 70, 1600, 64),
        _operator("block.0-4.fc", "Linear", 5, 14000, 0, 3200, 96),
        _operator("block.0-4.fc", "pad", 5, 0, 0, 0, 0),
    )
    step: Any = (
        _operator("block.0-4", "add", 30, 0, 30, 800, 8),
        _operator("block.0-4.fc", "Linear", 15, 7000, 0, 4800, 12),
    )
    held: Any = (_state("block.0-4.fc", 8 * 2**30, 0), _state("block.0-4", 0, 8 * 3))
    later: Any = (_state("block.0-4.fc", 8 * 2**30, 0), _state("block.0-4", 0, 8 * 11))
    look: Any = (_operator("eye", "Conv2d", 2, 700, 3, 16000, 800), _operator("unused", "Conv2d", 0, 0, 0, 0, 0))
    seen: Any = (_state("unused", 8 * 2**29, 0),)
    return Evaluation(
        sizes={"batch_size": 1, "seq_len": 513},
        architecture={},
        modules=(  # type: ignore[arg-type] # stand-ins with the same fields
            _module("", "Tower", None),
            _module("eye", "Conv2d", "", kernel_size=3),
            _module("unused", "Conv2d", ""),
            _module("block", "ModuleList", ""),
            _module("block.0-4", "Block", "block", 5),
            _module("block.0-4.fc", "Linear", "block.0-4"),
        ),
        stages={  # type: ignore[dict-item] # the same
            # 16000 bits are 2000 bytes; 800 are 100.
            "vision": StageEvaluation(
                cost=Cost(700, 3, 2000, 2**29, 100, 0), peak_activation_bytes=61, operators=look, states=seen
            ),
            "projector": nothing,
            # 1600 + 3200 bits are 600 bytes; 64 + 96 are 20.
            "prefill": StageEvaluation(
                cost=Cost(14000, 70, 600, 2**30, 20, 3), peak_activation_bytes=17, operators=block, states=held
            ),
            # 800 + 4800 bits are 700 bytes; 8 + 12 are 2.5.
            "decode": StageEvaluation(
                cost=Cost(7000, 30, 700, 2**30, 3, 11), peak_activation_bytes=2, operators=step, states=later
            ),
        },
        request=Cost(21700, 103, 3300, 2**30 + 2**29, 100, 11),  # type: ignore[arg-type] # the same
        request_peak_activation_bytes=61,
        last_logits=ActivationMemory(logits_tokens=1, activation_bytes=89, peak_activation_bytes=59),
    )
