"""Steps on lines, and what layers cache: what is planned with where windows of attention fill."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from llm_perf_opt.data.rationals import Rational

WORK: Final = ("tensor_core_flops", "cuda_core_flops", "io_bits")
"""What a row of a breakdown says of the work of its calls."""

COUNTED: Final = ("calls", *WORK)
"""What a row of a breakdown has that adds up over steps."""


@frozen(kw_only=True)
class StepLine:
    """Steps one after the other, each of which takes and caches as much more than the one before as any other of them.

    Parameters
    ----------
    prompt, step
        The first of them: the step of this number, the first one being 1, after a prompt of so many positions.
    is_shared
        Whether they hang on the positions before them alone, of whichever prompt these are.
    """

    prompt: int
    step: int = 1
    is_shared: bool = False

    def find_step(self, place: int) -> tuple[int, int]:
        """Return a prompt, and the number of a step after it, for the step that has so many of the line before it."""
        return (self.prompt + place, self.step) if self.is_shared else (self.prompt, self.step + place)


@frozen(kw_only=True)
class LineSum:
    """Steps on a line, of which no more than this has to be known for what they take together.

    Parameters
    ----------
    line
        The line.
    count
        How many steps there are.
    places
        The sum, over them, of how many steps of the line are before each.
    """

    line: StepLine
    count: int
    places: Rational


@frozen(kw_only=True)
class LineRun:
    """Steps of a sequence that are on one line.

    Parameters
    ----------
    line
        The line.
    first, last
        How many steps of the line are before the first of these, and before the last.
    """

    line: StepLine
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many steps there are."""
        return self.last - self.first + 1

    def cut(self, count: int) -> LineRun | None:
        """Return the first ones, as many as there are up to a count; None if that is not above 0."""
        last = self.first + min(count, self.count) - 1
        return LineRun(line=self.line, first=self.first, last=last) if count > 0 else None

    @property
    def places(self) -> int:
        """The sum, over them, of how many steps of the line are before each."""
        return (self.first + self.last) * self.count // 2

    @property
    def sum(self) -> LineSum:
        """The steps together."""
        return LineSum(line=self.line, count=self.count, places=self.places)


@frozen(kw_only=True)
class CachePart:
    """What some layers cache of a sequence.

    Parameters
    ----------
    tokens
        The positions that they keep.
    token_bytes
        What eight sequences keep of each in all of these layers.
    dropped
        The positions that they had before and keep no longer, as their window is full.
    """

    tokens: int
    token_bytes: Rational
    dropped: int
