"""The counting rules that hold for every formula of a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from modelmeter.metrics.cost import FLOAT32_BITS, INDEX_BITS
from modelmeter.model.definition import Model


@frozen(kw_only=True)
class Convention:
    """A counting rule: its name, and its text with inline code and formulas."""

    name: str
    text: str


_OPERATORS: Final = (
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
)

_EXPERTS: Final = Convention(
    name="Expert weights",
    text="A layer of experts reads the weights of the experts that are chosen. With uniform routing, $N$ tokens "
    r"that choose $k$ of $E$ experts each are expected to choose $E \left(1 - (1 - k/E)^N\right)$ distinct ones. "
    "The weights read of one matrix of the experts are that number times the size of the matrix, rounded to the "
    r"nearest whole parameter. Called with ``expert_routing='even'``, the evaluators take the upper bound "
    r"$\min(E, k N)$ instead. FLOPs do not depend on this: each of the $k N$ assignments is computed once, "
    "whoever takes it.",
)


_TRAINING: Final = Convention(
    name="Training",
    text="A matrix product has one product in the backward for each operand that wants a gradient. Attention has "
    "four, as of the operators that it is made of; a kernel that computes the scores again has a fifth. The "
    "backward of an operator reads the gradient of its output and what the forward read, or only the indices "
    "where the derivative does not depend on the numbers (sums, copies, look-ups). It writes a gradient, in the "
    "kind of its element, of each number read that wants one. Where a tensor is used again, its gradients are "
    "added up: each sum is one FLOP, reads two and writes one.",
)


BRACKETS: Final = Convention(
    name="Brackets",
    text=r"$\lfloor x \rfloor$ rounds down, $\lceil x \rceil$ up, and $\lfloor x \rceil$ to the nearest integer. "
    r"$[a \ne b]$ is 1 where the condition holds and 0 where not: a resize, a padding or whatever else only "
    "some sizes need.",
)
"""The notation of the pages."""


def list_conventions(model: Model, *, routes_experts: bool) -> Iterator[Convention]:
    """Yield the rules for a model: those on experts only where tokens choose among them, and so on."""
    yield from _OPERATORS
    yield _describe_states(model)
    yield _describe_peaks(model, routes_experts=routes_experts)
    if routes_experts:
        yield _EXPERTS
    if model.training is not None:
        yield _TRAINING
    yield from (Convention(name=name, text=text) for name, text in model.conventions.items())
    yield BRACKETS


def _describe_states(model: Model) -> Convention:
    of_loop = "" if model.loop is None else f"; of {model.loop.stage}: of the last step"
    return Convention(
        name="Flows and states",
        text="FLOPs and ``io_bytes`` are flows: they add up over calls, steps and stages. The other three are states: "
        "a parameter counts once however often it is used, ``activation_bytes`` is that of one forward (of a request: "
        f"of its largest stage{of_loop}), and ``kv_cache_bytes`` is what stands at the end.",
    )


def _describe_peaks(model: Model, *, routes_experts: bool) -> Convention:
    even = ", with experts that take even shares of the tokens" if routes_experts else ""
    alive = f"{model.alive_beside} " if model.alive_beside else ""
    return Convention(
        name="Peak activations",
        text="``peak_activation_bytes`` is the largest sum, over the operators of a stage, of the activations that are "
        "alive while the operator runs, its inputs and its output among them. It is for inference without gradients, "
        f"in the order of the model's forward{even}. A tensor is alive from the operator that writes it to the last "
        "one that runs while the code still holds it; a view is the tensor that it shows, a copy or a cast is another "
        f"one. {alive}Indices count, parameters and the cache do not. The peak of a request is that of its largest "
        "stage; peaks do not add up, so they are no part of a cost.",
    )
