"""What the pages say about every formula: the metrics, the counting rules, the stages, the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import sympy
from attrs import evolve, frozen

from modelmeter.core.cost import FLOAT32_BITS, INDEX_BITS
from modelmeter.core.functions import RoutedReads
from modelmeter.core.symbols import Dimension, describe
from modelmeter.layers.base import BaseLayer
from modelmeter.model.stages import REQUEST, TRAINING_STEP


@frozen(kw_only=True)
class Convention:
    """A counting rule: its name, and its text with inline code and formulas."""

    name: str
    text: str


PEAK_MEANING: Final = (
    "The most activations that are alive together while the stage runs, without gradients and with every buffer freed "
    "after its last use"
)

CONVENTIONS: Final = (
    Convention(
        name="FLOPs",
        text="One multiply-accumulate is 2 FLOPs. Every count is an exact integer, however large.",
    ),
    Convention(
        name="Matrix products",
        text="``tensor_core_flops`` counts linear layers, convolutions, matrix products and einsum. Attention counts "
        "both of its products over all pairs of a query and a key, without a discount for the causal mask. A bias "
        "that a matrix operator adds is not counted.",
    ),
    Convention(
        name="Other arithmetic",
        text="``cuda_core_flops`` counts everything else, operator by operator, with the weights in the table of "
        "vector operators.",
    ),
    Convention(
        name="Operators",
        text="An operator is what PyTorch dispatches in the forward of the model. It reads each of its inputs and "
        "weights once and writes its output once. Views are free; copies into another layout and casts to another "
        "type are operators. A dimension that is expanded, not stored, is read once. A look-up or gather reads the "
        "rows that it takes and their indices. Attention is one operator: scores are computed but never stored, and a "
        "bias that is added to them is read.",
    ),
    Convention(
        name="Bytes",
        text="Elements have five kinds: parameters take ``weight_bits`` each, cached keys and values ``kv_bits``, "
        f"integer indices {INDEX_BITS} bits, what the model keeps in float32 whatever its activations are "
        f"{FLOAT32_BITS} bits, and every other tensor ``activation_bits``. A byte formula is an eighth "
        "of the sum of these bits: exact, and rounded up to whole bytes only at the end of an evaluation.",
    ),
    Convention(
        name="Flows and states",
        text="FLOPs and ``io_bytes`` are flows: they add up over calls, steps and stages. The other three are states: "
        "a parameter counts once however often it is used, ``activation_bytes`` is that of one forward (of a request: "
        "of its largest stage; of decode: of the last step), and ``kv_cache_bytes`` is what stands at the end.",
    ),
    Convention(
        name="Peak activations",
        text="``peak_activation_bytes`` is the largest sum, over the operators of a stage, of the activations that are "
        "alive while the operator runs, its inputs and its output among them. It is for inference without gradients, "
        "in the order of the model's forward, with experts that take even shares of the tokens. A tensor is alive from "
        "the operator that writes it to the last one that runs while the code still holds it; a view is the tensor "
        "that it shows, a copy or a cast is another one. The pixels of all images of the batch are alive while the "
        "towers run, and so are the embeddings of the prompt, into which the features are written. Indices count, "
        "parameters and the cache do not. The peak of a request is that of its largest stage; peaks do not add up, so "
        "they are no part of a cost.",
    ),
    Convention(
        name="Expert weights",
        text="A layer of experts reads the weights of the experts that are chosen. With uniform routing, $N$ tokens "
        r"that choose $k$ of $E$ experts each are expected to choose $E \left(1 - (1 - k/E)^N\right)$ distinct ones. "
        "The weights read of one matrix of the experts are that number times the size of the matrix, rounded to the "
        r"nearest whole parameter. Called with ``expert_routing='even'``, the evaluators take the upper bound "
        r"$\min(E, k N)$ instead. FLOPs do not depend on this: each of the $k N$ assignments is computed once, "
        "whoever takes it.",
    ),
    Convention(
        name="Training",
        text="A matrix product has one product in the backward for each operand that wants a gradient. Attention has "
        "four, as of the operators that it is made of; a kernel that computes the scores again has a fifth. The "
        "backward of an operator reads the gradient of its output and what the forward read, or only the indices "
        "where the derivative does not depend on the numbers (sums, copies, look-ups). It writes a gradient, in the "
        "kind of its element, of each number read that wants one. Where a tensor is used again, its gradients are "
        "added up: each sum is one FLOP, reads two and writes one.",
    ),
    Convention(
        name="Brackets",
        text=r"$\lfloor x \rfloor$ rounds down, $\lceil x \rceil$ up, and $\lfloor x \rceil$ to the nearest integer. "
        r"$[a \ne b]$ is 1 where the condition holds and 0 where not: a resize, a padding or the tiles that only some "
        "sizes need.",
    ),
)

SIZES_IN_A_LAYER: Final[Mapping[str, Dimension]] = MappingProxyType(
    {
        "batch_size": evolve(describe("batch_size"), unit="items", meaning="sequences or images side by side"),
        "hidden_size": evolve(describe("hidden_size"), meaning="width of the layer"),
        "intermediate_size": evolve(describe("intermediate_size"), meaning="width inside the MLP"),
    }
)
"""Sizes of any layer that elsewhere are the whole model's or the decoder's."""

WHOLE_MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        REQUEST: "All stages, one after the other.",
        TRAINING_STEP: "A forward of all stages but the decode over the prompt, and the backward of it, from "
        "the gradients of the logits to those of all parameters that are used. Pixels, positions and token ids get "
        "none. No layer is computed again to save memory; the loss and the optimiser are not counted. "
        "``weight_bytes`` are the parameters without their gradients. ``activation_bytes`` are all operator outputs "
        "of the forward, which are kept for the backward. ``kv_cache_bytes`` is 0: training keeps no cache.",
    }
)


def describe_checks(layer: BaseLayer, found: Sequence[str]) -> tuple[str, ...]:
    """Return how a layer class was checked: what a verification ``found``, or else what the project's tests do."""
    path = type(layer).__module__.split(".")
    file = f"layers/test_{path[-1]}" if path[1] == "layers" else f"{'/'.join(path[1:3])}/test_layers"
    checks = (
        f"``tests/{file}.py`` runs the torch module on the meta device at several sizes and counts, independently of "
        "the formulas: matrix products with ``torch.utils.flop_counter.FlopCounterMode``, other arithmetic as the ATen "
        "operators that PyTorch dispatches, weighed by the published table, and the elements that every operator reads "
        "and writes. All six metrics must equal that count with difference 0."
    )
    if sympy.sympify(layer.cost.io_bytes).has(RoutedReads):
        even = "There the experts take even shares, so the reads of their weights are compared as the upper bound."
        return (f"{VERIFIED} {even}", *found) if found else (f"{checks} {even}",)
    return (VERIFIED, *found) if found else (checks,)


VERIFIED: Final = (
    "``modelmeter verify --full`` traced torch modules with symbols for sizes, and compared the formulas with what it "
    "counted there. ``evidence.json``, beside the index of these pages, has every module and the sizes of every "
    "domain."
)

_STAGE_CHECKS: Final = (
    "Every module of the stage was matched by name and class with the traced torch modules, and its parameters and "
    "output shapes with theirs. The stage is the sum of these modules; their pages say how each was checked."
)

REQUEST_CHECKS: Final = (
    "The request is made of its stages: flows are added up, parameters count once, and the largest activations and "
    "the final cache stand. The pages of the stages say how each was checked."
)


TRAINING_CHECKS: Final = (
    "``tests/models/deepseek_ocr/test_training_step.py`` runs the reference model and its backward on the meta device, "
    "for whole pages of two architectures, and counts independently of the formulas: matrix products with "
    "``torch.utils.flop_counter.FlopCounterMode``, other arithmetic as the ATen operators that autograd dispatches, "
    "weighed by the published table, and the elements that every operator and its backward read and write. All six "
    "metrics must equal that count with difference 0. ``test_layers.py`` beside it does so for every layer class. "
    "There the experts take even shares, so the reads of their weights, and the writes of their gradients, are "
    "compared as the upper bound."
)


def describe_stage_checks(found: Sequence[str], checks: str = _STAGE_CHECKS) -> tuple[str, ...]:
    """Return how a stage was checked: its own ``checks``, and what a verification ``found``."""
    return (f"{checks} {VERIFIED}", *found) if found else (checks,)


PEAK_CHECKS: Final = (
    "The peak was compared with a walk over the live storages of the reference model on the meta device, by "
    "``tests/verify/test_stage_peaks.py`` for whole stages and by ``tests/models/deepseek_ocr/test_replays.py`` for "
    "every layer class: difference 0. That no other operator can be the peak is proved by the signs of coefficients."
)
