"""An axis of a sweep: a size, and the values that it takes."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from llm_perf_opt.arguments import check_name, parse_size
from modelmeter.support.errors import WorkloadError

SYNTAX: Final = "name=1,2,4 or name=start:stop[:step], with the stop excluded"


@frozen
class Axis:
    """The values of one size, in their order: ranges, one after the other.

    An axis of any length takes no more memory than its ranges do. A single value is a range of length one.
    """

    name: str
    ranges: tuple[range, ...]

    def __attrs_post_init__(self) -> None:
        """Check that every range has values, and that int64 holds them."""
        if not self.ranges or not all(self.ranges):
            raise WorkloadError("the axis or a range of it has no value", place=self.name, found=str(self))
        smallest, largest = self.bounds
        if smallest < 0 or largest >= 2**63:
            raise WorkloadError(
                "a value of the axis is no size", place=self.name, expected="0 to 2**63 - 1",
                found=smallest if smallest < 0 else largest,
            )  # fmt: skip

    @classmethod
    def of(cls, name: str, values: Iterable[int]) -> Axis:
        """Return the axis over a range, or over any other integers."""
        return cls(name, (values,) if isinstance(values, range) else tuple(_range_of(index(each)) for each in values))

    def __str__(self) -> str:
        return f"{self.name}={','.join(map(_write, self.ranges))}"

    @property
    def length(self) -> int:
        """The number of values."""
        return sum(map(_count, self.ranges))

    @property
    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest value."""
        ends = [end for values in self.ranges for end in (values[0], values[-1])]
        return min(ends), max(ends)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the values at ``indices``, each from 0 to the length of the axis less one."""
        starts, ends, lengths = np.array([(r[0], r[-1], _count(r)) for r in self.ranges], dtype=np.int64).T
        # A step of a range with one value leads nowhere, and may be of any size.
        steps = (ends - starts) // np.maximum(lengths - 1, 1)
        counts = np.cumsum(lengths)
        which = np.searchsorted(counts, indices, side="right")
        values: NDArray[np.int64] = starts[which] + (indices - (counts - lengths)[which]) * steps[which]
        return values


def parse_axis(text: str, sizes: Iterable[str] | None = None, kind: str = "size") -> Axis:
    """Return the axis that ``text`` describes.

    Parameters
    ----------
    text
        ``name=`` and values, separated by commas: integers, and ranges ``start:stop`` or ``start:stop:step``, which
        are Python's: the stop is excluded.
    sizes, kind
        The names that there are, where they are known, and what they are names of, for the error.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    WorkloadError
        If the text is not of this form, or a range has no value.
    """
    name, separator, values = text.partition("=")
    if not separator or not name:
        raise WorkloadError("this is not an axis", expected=SYNTAX, found=text)
    if sizes is not None:
        check_name(kind, name, sizes)
    return Axis(name, tuple(_parse_range(name, part) for part in values.split(",")))


def _parse_integer(name: str, text: str) -> int:
    number = parse_size(name, text)
    if not isinstance(number, int):
        raise WorkloadError("a size that varies is an integer", place=name, expected=SYNTAX, found=text)
    return number


def _parse_range(name: str, text: str) -> range:
    numbers = [_parse_integer(name, number) for number in text.split(":")]
    if len(numbers) == 1:
        return _range_of(numbers[0])
    if len(numbers) > 3 or numbers[2:] == [0]:
        raise WorkloadError("this is not a range", place=name, expected="start:stop[:step], no step of 0", found=text)
    return range(*numbers)


def _count(values: range) -> int:
    """Return the number of values; ``len`` has none beyond 2**63 - 1."""
    return (values[-1] - values[0]) // values.step + 1


def _range_of(value: int) -> range:
    return range(value, value + 1)


def _write(values: range) -> str:
    if values and values[0] == values[-1]:
        return str(values[0])
    step = f":{values.step}" if values.step != 1 else ""
    return f"{values.start}:{values.stop}{step}"
