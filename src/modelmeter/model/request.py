"""The request: what it has of each metric of its stages. This is the one fold; formulas, programs and pages read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import sympy
from attrs import frozen

from modelmeter.dimensions.functions import Size
from modelmeter.metrics.metric import METRIC_RECORDS
from modelmeter.model.stages import Stage


@frozen(kw_only=True)
class Fold:
    """How a metric of a request is made of those of stages.

    Parameters
    ----------
    function
        The sum of the stages, or the largest of them.
    stages
        The names of the stages that count.
    """

    function: Literal["sum", "largest"]
    stages: tuple[str, ...]

    def apply(self, values: Iterable[Size]) -> Size:
        """Return the metric of a request from those of the stages that count."""
        listed = list(values)
        if self.function == "sum":
            return sum(listed)
        return listed[0] if len(listed) == 1 else sympy.Max(*listed, evaluate=False)


def fold_metric(metric: str, stages: Sequence[Stage]) -> Fold:
    """Return how a metric of a request is made of those of its stages, in the order in which they run.

    Flows add up. Parameters count once: a stage that runs modules of earlier ones holds none of its own. The largest
    activations stand, and of the cache what the last stage leaves.
    """
    names = tuple(stage.name for stage in stages)
    match METRIC_RECORDS[metric].over_stages:
        case "sum":
            return Fold(function="sum", stages=names)
        case "once":
            return Fold(function="sum", stages=tuple(stage.name for stage in stages if not stage.shares_parameters))
        case "largest":
            return Fold(function="largest", stages=names)
        case "last":
            return Fold(function="sum", stages=names[-1:])
