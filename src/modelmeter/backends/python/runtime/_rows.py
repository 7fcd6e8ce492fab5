"""The records of a breakdown: of modules, and in exact integers of what they do and hold."""

from typing import NamedTuple


class Module(NamedTuple):
    """A module, or ``repetition_count`` alike siblings: in turn (``for``) or side by side (``parfor``)."""

    path: str
    name: str
    class_name: str
    qualified_class_name: str
    parent: str | None
    repetition: str
    repetition_count: int
    constructor_params: dict[str, int | bool]


class OperatorCost(NamedTuple):
    """All calls of one operator of one module, over all the siblings that the path stands for.

    The rows of a stage add up to its flows and its activations; bits become bytes, rounded up, only in the sum. Where a
    width is a fraction, so may be the bits of a row: fractions.Fraction has all that is used of integers.
    """

    path: str
    operator: str
    calls: int
    tensor_core_flops: int
    cuda_core_flops: int
    io_bits: int
    activation_bits: int


class StateCost(NamedTuple):
    """What one module holds itself, over all the siblings that the path stands for."""

    path: str
    weight_bits: int
    kv_cache_bits: int
