"""What a benchmark returns, and how runs are measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from attrs import asdict, frozen

RUNS = 7
"""Runs that a median is taken over."""


@frozen(kw_only=True)
class Table:
    """A titled table with a note on how to read it."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [f"## {self.title}", "", self.note, "", f"| {' | '.join(self.columns)} |"]
        lines.append(f"| --- |{' --: |' * (len(self.columns) - 1)}")
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        return "\n".join([*lines, ""])

    def to_data(self) -> dict[str, object]:
        """Return the table as plain data."""
        return asdict(self)


def time_interleaved(
    candidates: Mapping[str, Callable[[], object]], *, runs: int = RUNS, calls: int = 1
) -> dict[str, float]:
    """Return the median seconds of one call of each candidate, all timed in turn in every run."""
    for call in candidates.values():
        call()  # imports, caches
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(runs):
        for name, call in candidates.items():
            start = time.perf_counter()
            for _ in range(calls):
                call()
            seconds[name].append((time.perf_counter() - start) / calls)
    return {name: statistics.median(values) for name, values in seconds.items()}
