"""Cards as studies see them: exact peak rates, and the memory that is there for a model."""

from __future__ import annotations

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
