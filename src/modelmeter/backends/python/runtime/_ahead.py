"""Computing before the sizes are known to be right: to look at many of them beforehand is to read them twice."""

from collections.abc import Callable, Mapping

from ._blocks import join_ranges, ranges_of
from ._bounds import Bounds
from ._operations import Array
from ._plan import Bound, Plan
from ._polynomials import Range
from ._tape import INT64_MAX

MANY = 1_000_000
"""Points whose sizes no longer fit into the cache, so that reading them twice costs more than running ahead."""

SAMPLE = 256
"""Elements whose values tell what all of them may look like."""

Fixed = frozenset[tuple[int, int]]
"""The unknowns that have one value only, by number."""


def run_ahead(
    plan_of: Callable[[Fixed], Plan],
    bound: Bound,
    arrays: Mapping[str, Array],
    minima: Mapping[str, int],
    engine: str,
) -> list[Array] | None:
    """Return the metrics; None where it shows that some size was not right, or where it is better to look beforehand.

    What computes looks at every size while it reads it.
    """
    # What of uint64 does not fit into int64 becomes negative in it, and no size is.
    if any(array.dtype.kind not in "iu" for array in arrays.values()):
        return None
    points = len(next(iter(arrays.values())))
    fixed: Fixed = frozenset()
    if engine != "numpy" and (engine == "fused" or plan_of(fixed).fused.pays(points)):
        found = plan_of(fixed).fused.run(arrays)
    elif points >= MANY:
        # An odd step, so that it does not meet the same values of a repeated pattern again and again.
        sample = {name: array[:: points // SAMPLE | 1] for name, array in arrays.items()}
        bounds = _bound_right(bound, {name: join_ranges(ranges_of(array)) for name, array in sample.items()}, minima)
        if bounds is None:
            return None
        fixed = bounds.fixed
        found = plan_of(fixed).run_ahead(arrays)
    else:
        return None
    bounds = found and _bound_right(bound, found.ranges, minima)
    return found.metrics if found and bounds and fixed <= bounds.fixed else None


def _bound_right(bound: Bound, ranges: Mapping[str, Range], minima: Mapping[str, int]) -> Bounds | None:
    """Return the bounds of sizes that are right; None where one is too small, or a number may leave int64."""
    if any(low < minima[name] for name, (low, _) in ranges.items()):
        return None
    bounds = bound(ranges)
    return bounds if bounds.largest <= INT64_MAX else None
