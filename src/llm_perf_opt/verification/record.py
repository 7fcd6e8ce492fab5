"""What came out of a run of proofs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:  # it needs torch, which a command that only looks at its options does without
    from modelmeter.analysis.evidence import Evidence
    from modelmeter.verify.results import Row

ROWS_KEYS: Final = ("comparisons", "differences", "gaps", "rows", "operators")
"""The keys of the JSON that has every row."""

Operators = Mapping[str, Mapping[str, Counter[str]]]


@frozen(kw_only=True)
class Verification:
    """What a run found.

    Parameters
    ----------
    rows
        Those of the layer or stage that was asked for, or all.
    count
        How many comparisons there were, and how many of them found a difference.
    differences
    gaps
        Layers and stages with a metric that nothing was compared with; those that were asked for.
    operators
        The ATen operators that ran, by implementation and by what they were counted as.
    evidence
        The record of a full run of everything without differences and gaps.
    """

    rows: tuple[Row, ...]
    count: int
    differences: int
    gaps: tuple[str, ...]
    operators: Operators
    evidence: Evidence | None

    @property
    def is_proved(self) -> bool:
        """Whether there is no difference, and no gap."""
        return not self.differences and not self.gaps

    def summary(self) -> Iterator[str]:
        """Yield what a reader has to know, a line each."""
        for implementation, by_use in self.operators.items():
            uses = (f"{use}: {', '.join(sorted(calls))}" for use, calls in by_use.items())
            yield f"operators of the {implementation} model: {'; '.join(uses)}"
        for row in self.rows:
            if not row.is_equal:
                yield f"DIFFERENCE in {row.scope} {row.name}, {row.metric}, at {', '.join(row.modules)}"
        for gap in self.gaps:
            yield f"NOT COMPARED: {gap}"
        yield f"{self.count} comparisons, {self.differences} with a difference"

    def to_json(self) -> str:
        """Return all of it as JSON."""
        rows = [
            {
                "scope": row.scope, "name": row.name, "metric": row.metric, "implementation": row.implementation,
                "kind": row.kind, "modules": row.modules, "domains": row.domains, "dimensions": row.dimensions,
                "derived": str(row.derived), "measured": str(row.measured), "difference": str(row.difference),
                "seconds": round(row.seconds, 3), "note": row.note,
            }
            for row in self.rows
        ]  # fmt: skip
        values = (self.count, self.differences, self.gaps, rows, self.operators)
        return json.dumps(dict(zip(ROWS_KEYS, values, strict=True)), indent=1) + "\n"
