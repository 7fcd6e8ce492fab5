"""What the pages say beside the formulas: what a peak and a request are, and how formulas were checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import sympy

from modelmeter.dimensions.functions import RoutedReads
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.metric import METRICS
from modelmeter.model.definition import Model

PEAK_MEANING: Final = (
    "The most activations that are alive together while the stage runs, without gradients and with every buffer freed "
    "after its last use"
)

REQUEST_MEANING: Final = "All stages, one after the other."


def describe_checks(layer: BaseLayer, model: Model, found: Sequence[str]) -> tuple[str, ...]:
    """Return how a layer class was checked: what a verification ``found``, or else what tests do."""
    path = type(layer).__module__.split(".")
    is_general = path[:2] == ["modelmeter", "layers"]
    checks = _COUNTED.format(file=f"tests/layers/test_{path[-1]}.py") if is_general else model.checks.layers
    if sympy.sympify(layer.cost.io_bytes).has(RoutedReads):
        even = "There the experts take even shares, so the reads of their weights are compared as the upper bound."
        return (f"{VERIFIED} {even}", *found) if found else (f"{checks} {even}",)
    return (VERIFIED, *found) if found else (checks,)


_COUNTED: Final = (
    "``{file}`` runs the torch module on the meta device at several sizes and counts, independently of "
    "the formulas: matrix products with ``torch.utils.flop_counter.FlopCounterMode``, other arithmetic as the ATen "
    "operators that PyTorch dispatches, weighed by the published table, and the elements that every operator reads "
    "and writes. All six metrics must equal that count with difference 0."
)
"""How the test of a layer in ``file`` checks it."""

VERIFIED: Final = (
    "``modelmeter verify --full`` traced torch modules with symbols for sizes, and compared the formulas with what it "
    "counted there. ``evidence.json``, beside the index of these pages, has every module and the sizes of every "
    "domain."
)

REQUEST_CHECKS: Final = (
    "The request is made of its stages: flows are added up, parameters count once, and the largest activations and "
    "the final cache stand. The pages of the stages say how each was checked."
)


def describe_stage_checks(found: Sequence[str], checks: str) -> tuple[str, ...]:
    """Return how a stage was checked: its own ``checks``, and what a verification ``found``."""
    return (f"{checks} {VERIFIED}", *found) if found else (checks,)


_STRENGTHS: Final = ("Proved symbolically", "Polynomial identity test", "Exact at")
"""How sentences about checks begin, the strongest first."""


def find_strongest(checks: Sequence[str], metric: str) -> str:
    """Return the sentence with the strongest check of a metric, as the record of the checks has it; or nothing."""
    sentences = [sentence for line in checks for sentence in re.split(r"(?<=\.) ", line)]
    found = [
        (sentence, strength) for sentence in sentences if (strength := _find_strength(sentence, metric)) is not None
    ]
    return min(found, key=lambda each: each[1])[0] if found else ""


def _find_strength(sentence: str, metric: str) -> int | None:
    """Return the place of a sentence among the strengths; None if it is about other metrics, or no check."""
    for strength, begin in enumerate(_STRENGTHS):
        if sentence.startswith(begin):
            about = sentence.partition(";")[0]
            names = re.findall(r"``(\w+)``", about)
            # A sentence that names none is about all that its model has, the peak as well.
            meant = {*names, *METRICS} if "all metrics" in about else {*names, *([] if names else [metric])}
            return strength if metric in meant else None
    return None
