"""The shipped cards as studies see them: rates as the exact decimals that their files state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from llm_perf_opt.data import HardwareSpec
from llm_perf_opt.data.hardware import exact_rate
from llm_perf_opt.hardware import find_hardware, list_hardware
from modelmeter.scaling.studies import Card

DTYPE: Final = "bfloat16"
"""The type whose peak counts: studies are at the 16 bits of the default workload."""


def list_cards(names: Iterable[str] = ()) -> tuple[Card, ...]:
    """Return cards by name or file; without any, all that are shipped.

    Raises
    ------
    UnknownNameError
        If no card of a name is shipped.
    RecordError
        If a file holds no card, or the card has no rate for 16 bits.
    """
    return tuple(make_card(find_hardware(name)) for name in tuple(names) or list_hardware())


def make_card(hardware: HardwareSpec) -> Card:
    """Return a card with the memory that its reserve leaves."""
    return Card(
        id=hardware.hardware_id.lower(), name=f"the {hardware.name}",
        tensor_flops_per_second=exact_rate(hardware.tensor_peak(DTYPE)),
        vector_flops_per_second=exact_rate(hardware.vector_flops_per_second),
        memory_bytes_per_second=exact_rate(hardware.memory_bytes_per_second), memory_bytes=hardware.usable_bytes,
    )  # fmt: skip
