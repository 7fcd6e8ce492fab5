"""The exact work of one call of a stage or of one step, by operator: what models of time are asked about."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final, Literal

from attrs import frozen

from llm_perf_opt.data.rationals import Rational

OperatorKind = Literal["matrix product", "attention", "other"]
"""What limits an operator in the same way: each kind has its own efficiency in a model of time."""

# The sets of modelmeter.metrics.operator_table, which comes with sympy; a test compares them.
MATRIX_OPERATORS: Final = frozenset({"mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_backward"})
ATTENTION: Final = "scaled_dot_product_attention"
ATTENTION_REST: Final = "scaled_dot_product_attention_rest"
EAGER_ATTENTION: Final = "eager_attention"
UNFUSED_OPERATORS: Final = MATRIX_OPERATORS | {ATTENTION, EAGER_ATTENTION, "embedding", "index", "gather"}


def find_kind(operator: str) -> OperatorKind:
    """Return the kind of an ATen operator."""
    if operator in MATRIX_OPERATORS:
        return "matrix product"
    return "attention" if operator in (ATTENTION, EAGER_ATTENTION) else "other"


@frozen(kw_only=True)
class OperatorWork:
    """The work of all calls of one operator of one module in a call of a stage, or in a step.

    Parameters
    ----------
    kind
        What limits it.
    tensor_core_flops, cuda_core_flops
        FLOPs of matrix products, and all others.
    io_bytes
        The bytes that it moves where every operator runs alone, as in eager PyTorch: a fraction, as bits are rounded
        to bytes only in sums.
    fused_io_bytes
        The same where all operators are fused that can be; 0 for what vanishes in its neighbours.
    launches
        How often it is started; a fraction where modules are chosen at random.
    """

    kind: OperatorKind
    tensor_core_flops: Rational
    cuda_core_flops: Rational
    io_bytes: Rational
    fused_io_bytes: Rational
    launches: float


@frozen(kw_only=True)
class StageWork:
    """The exact work of one call of a stage, or of one step of a batch.

    Parameters
    ----------
    stage
        The name of the stage, as the evaluators call it.
    operators
        The work of its operators, one after the other.
    host_pages
        How many pages the host prepares for it: pages are decoded, cut and resized there. 0 but for stages that
        look at pages.
    sequences
        How many sequences it is of: those of a step, or the prompts of a prefill.
    looks_at_pages
        Whether it runs once for each page, on its views.
    sent_bytes
        What the card sends to others that share the model.
    """

    stage: str
    operators: tuple[OperatorWork, ...]
    host_pages: int = 0
    sequences: int = 1
    looks_at_pages: bool = False
    sent_bytes: Rational = 0

    @property
    def tensor_core_flops(self) -> Rational:
        """FLOPs of matrix products."""
        return sum(row.tensor_core_flops for row in self.operators)

    @property
    def cuda_core_flops(self) -> Rational:
        """All other FLOPs."""
        return sum(row.cuda_core_flops for row in self.operators)

    @property
    def io_bytes(self) -> int:
        """Bytes moved where every operator runs alone, rounded up once."""
        return _round_up(row.io_bytes for row in self.operators)

    @property
    def fused_io_bytes(self) -> int:
        """Bytes moved where all operators are fused that can be, rounded up once."""
        return _round_up(row.fused_io_bytes for row in self.operators)

    @property
    def launches(self) -> float:
        """How many operators are started, as expected."""
        return sum(row.launches for row in self.operators)


def _round_up(amounts: Iterable[Rational]) -> int:
    return -int(-Fraction(sum(amounts)) // 1)
