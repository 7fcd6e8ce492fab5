"""Cards as studies see them: exact peak rates, and the memory that is there for a model."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from attrs import frozen

from modelmeter.scaling.terms import Number, simplest


@frozen(kw_only=True)
class Card:
    """A card.

    Parameters
    ----------
    id, name
        In ids of statements, and for people.
    tensor_flops_per_second
        Dense peak of matrix products at the precision of the activations.
    vector_flops_per_second
        Peak of all other arithmetic.
    memory_bytes_per_second
        Bandwidth of the memory.
    memory_bytes
        What of the memory a model can have.
    """

    id: str
    name: str
    tensor_flops_per_second: Number
    vector_flops_per_second: Number
    memory_bytes_per_second: Number
    memory_bytes: int

    @property
    def flops_per_byte(self) -> Number:
        """The ratio r of the roofline: FLOPs of matrix products in the time that a byte takes."""
        return simplest(Fraction(self.tensor_flops_per_second) / self.memory_bytes_per_second)


def name_cards(chosen: Sequence[str], every: Sequence[str]) -> str:
    """Return cards by name; where most of several are meant, those that are not."""
    if len(chosen) == len(every) > 1:
        return f"each of the {len(every)} cards"
    others = [card for card in every if card not in chosen]
    if 0 < len(others) < len(chosen):
        return f"{len(chosen)} of the {len(every)} cards (all but {'; '.join(others)})"
    return "; ".join(chosen)
