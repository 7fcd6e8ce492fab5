"""A card: its peak rates, its memory, and what of the memory is not for a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final, Literal, get_args

from attrs import field, frozen
from attrs.converters import optional

from llm_perf_opt.data import rules
from llm_perf_opt.errors import RecordError

DTYPE_BITS: Mapping[str, int] = {"float32": 32, "bfloat16": 16, "float16": 16, "float8_e4m3fn": 8, "int8": 8}
"""The bits of an element, by PyTorch's name of its type."""

TF32: Final = "tf32"
"""Beside the types: how tensor cores multiply float32 where less precision is allowed, with 10 bits of mantissa."""

Float32MatmulPrecision = Literal["highest", "high"]
"""As in ``torch.set_float32_matmul_precision``: float32 as it is, or rounded to TF32. PyTorch starts with the first."""

MemoryClass = Literal["HBM", "GDDR", "LPDDR"]
"""What the memory of a card is made of: measurements of one class say little of another."""

Unit = Literal["tensor_cores", "cuda_cores"]
"""What multiplies matrices."""

RATE = rules.FieldRule(
    expected="a finite number above 0",
    accepts=lambda value: type(value) is float and 0 < value < math.inf,
    schema={"type": "number", "exclusiveMinimum": 0, "description": "per second"},
)


def _as_rates(rates: Mapping[str, float]) -> Mapping[str, float]:
    """Return a copy with whole rates as floats; the rule of the field refuses what is no mapping."""
    return {key: rules.as_float(rate) for key, rate in rates.items()} if isinstance(rates, Mapping) else rates


def exact_rate(rate: float) -> Fraction:
    """Return the decimal that a rate is written as: ``989.4e12`` is that, and not the nearest float."""
    return Fraction(repr(rate))


@frozen(kw_only=True)
class HardwareSource:
    """A public document of the vendor, and which numbers are from it.

    Parameters
    ----------
    title, year
        Of the document.
    states
        What was taken from it, and how.
    """

    title: str = field(validator=rules.IDENTIFIER)
    year: int = field(validator=rules.whole_number(1))
    states: str = field(validator=rules.IDENTIFIER)


@frozen(kw_only=True)
class MemoryReserve:
    """What of a card's memory is for other things than weights, cache and activations.

    Parameters
    ----------
    reserve_gib
        How much, in units of 2^30 bytes.
    reason
        What for, and where the number is from.
    """

    reserve_gib: float = field(converter=rules.as_float, validator=rules.GIBIBYTES)
    reason: str = field(validator=rules.IDENTIFIER)

    @property
    def reserve_bytes(self) -> int:
        """The reserve in bytes, rounded up."""
        return math.ceil(self.reserve_gib * 2**30)


COMMON_RESERVE: Final = MemoryReserve(
    reserve_gib=1.25,
    reason="the CUDA context, kernels and workspaces: what vLLM kept beside the weights and the cache of DeepSeek-OCR "
    "on cards of 24, 48 and 80 GB; what CUDA does not show of this card is not known",
)
"""Of a card that states none."""


@frozen(kw_only=True)
class HardwareSpec:
    """The peak rates and the memory of one card.

    Parameters
    ----------
    hardware_id, name
        The id that users type, and the vendor's name.
    tensor_flops_per_second
        Dense peak of the tensor cores by type, without sparsity; one multiply-accumulate is two FLOPs. ``tf32`` is that
        of float32 rounded to TF32; ``float32`` only where a card multiplies float32 as it is on such cores.
    vector_flops_per_second
        FP32 peak outside the tensor cores.
    memory_bytes_per_second, memory_bytes
        Bandwidth and size of the card's memory.
    sources
        Where the numbers are from.
    reserve
        What of the memory is not for a model; if the card does not say, :data:`COMMON_RESERVE`.
    memory_class
        What the memory is made of.
    visible_gib
        What programs see of the memory, in units of 2^30 bytes; engines take a part of that.
    link_bytes_per_second
        How fast a card sends to others of its server, in one direction.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    hardware_id: str = field(validator=rules.IDENTIFIER)
    name: str = field(validator=rules.IDENTIFIER)
    tensor_flops_per_second: Mapping[str, float] = field(
        converter=_as_rates, validator=rules.mapping_of(rules.choice(*DTYPE_BITS, TF32), RATE)
    )
    vector_flops_per_second: float = field(converter=rules.as_float, validator=RATE)
    memory_bytes_per_second: float = field(converter=rules.as_float, validator=RATE)
    memory_bytes: int = field(validator=rules.whole_number(1))
    sources: tuple[HardwareSource, ...] = field(
        default=(), converter=rules.as_tuple, validator=rules.sequence(rules.record(HardwareSource))
    )
    reserve: MemoryReserve | None = field(default=None, validator=rules.or_none(rules.record(MemoryReserve)))
    memory_class: MemoryClass | None = field(
        default=None, validator=rules.or_none(rules.choice(*get_args(MemoryClass)))
    )
    visible_gib: float | None = field(
        default=None,
        converter=optional(rules.as_float),
        validator=rules.or_none(rules.GIBIBYTES),
    )
    link_bytes_per_second: float | None = field(
        default=None, converter=optional(rules.as_float), validator=rules.or_none(RATE)
    )

    @property
    def memory_reserve(self) -> MemoryReserve:
        """The reserve that the card states, or the common one."""
        return self.reserve or COMMON_RESERVE

    @property
    def usable_bytes(self) -> int:
        """The memory less the reserve; 0 where that is more than all of it."""
        return max(0, self.memory_bytes - self.memory_reserve.reserve_bytes)

    @property
    def visible_bytes(self) -> int:
        """What programs see of the memory, rounded down; all of it where the card does not say."""
        return self.memory_bytes if self.visible_gib is None else int(Fraction(repr(self.visible_gib)) * 2**30)

    def tensor_peak(self, dtype: str) -> float:
        """Return the dense FLOP/s of the tensor cores for a type, or for ``tf32``.

        Raises
        ------
        RecordError
            If the card has no peak for it.
        """
        if dtype not in self.tensor_flops_per_second:
            raise RecordError(
                "the card states no rate of its tensor cores for this type",
                place=f"{self.hardware_id}: tensor_flops_per_second",
                expected=", ".join(self.tensor_flops_per_second),
                found=dtype,
                remedy="take one of these types, or add the rate to a card file of your own",
            )
        return self.tensor_flops_per_second[dtype]

    def matrix_peak(self, dtype: str, precision: Float32MatmulPrecision = "highest") -> tuple[float, Unit]:
        """Return the dense FLOP/s of matrix products of a type, and what does them.

        Tensor cores do, but for float32 as it is: the card's FP32 cores do, unless it states a rate for ``float32``.

        Raises
        ------
        RecordError
            If the card has no rate for it; the message names the one that is missing.
        """
        if dtype == "float32" and precision == "high":
            return self.tensor_peak(TF32), "tensor_cores"
        if dtype == "float32" and dtype not in self.tensor_flops_per_second:
            return self.vector_flops_per_second, "cuda_cores"
        return self.tensor_peak(dtype), "tensor_cores"


PRECISION = rules.choice(*get_args(Float32MatmulPrecision))
