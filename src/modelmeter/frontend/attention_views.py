"""How a view lies in its memory, told by formulas: to compare symbolic sizes themselves would leave sizes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from attrs import frozen
from torch import Tensor

from modelmeter.verify.known_results import name_size


@frozen(kw_only=True)
class Layout:
    """The shape, the strides and the offset of a view, and the elements of its memory, as formulas."""

    shape: tuple[Any, ...]
    strides: tuple[Any, ...]
    offset: Any
    stored: Any

    @classmethod
    def of(cls, view: Tensor) -> Layout:
        """Return that of a view."""
        return cls(
            shape=tuple(map(name_size, view.shape)),
            strides=tuple(map(name_size, view.stride())),
            offset=name_size(view.storage_offset()),
            stored=sympy.sympify(name_size(view.untyped_storage().nbytes())) / view.element_size(),
        )

    @property
    def elements(self) -> Any:
        """How many elements it shows."""
        return sympy.Mul(*self.shape)

    def count_stored(self) -> Any:
        """Return how many of them are stored: an expanded dimension is one."""
        return sympy.Mul(*(size for size, stride in zip(self.shape, self.strides, strict=True) if stride != 0))

    def is_rows(self, width: Any, of_width: Any) -> bool:
        """Tell whether it shows the first ``width`` elements of each row of ``of_width``, row by row."""
        if not self.shape or not is_same(self.shape[-1], width) or not is_same(self.offset, 0):
            return False
        whole = (*self.shape[:-1], of_width)
        return is_same(sympy.Mul(*whole), self.stored) and all(
            is_same(size, 1) or is_same(stride, expected)
            for size, stride, expected in zip(self.shape, self.strides, list_strides(whole), strict=True)
        )

    def shows_all(self) -> bool:
        """Tell whether it shows each element of its memory once, in any order of its dimensions."""
        if not is_same(self.offset, 0) or not is_same(self.elements, self.stored):
            return False
        left = [pair for pair in zip(self.shape, self.strides, strict=True) if not is_same(pair[0], 1)]
        expected: Any = sympy.Integer(1)
        while left:
            found = next((pair for pair in left if is_same(pair[1], expected)), None)
            if found is None:
                return False
            left.remove(found)
            expected = expected * found[0]
        return True


def list_strides(shape: Sequence[Any]) -> list[Any]:
    """Return the strides of a tensor that is stored row by row."""
    return [sympy.Mul(*shape[place + 1 :]) for place in range(len(shape))]


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two formulas are the same polynomial."""
    return bool(one == other or sympy.expand(one - other) == 0)
