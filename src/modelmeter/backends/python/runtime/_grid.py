"""Every combination of some sizes."""

from typing import Any

import numpy as np

from ._array_runtime import Cost, SizeLike, as_size, evaluate
from ._facts import PAIRS
from ._operations import Array
from ._plan import Overflow
from ._program import check_names, describe_routing, sizes_of
from ._refused import check_stage
from ._runtime import CostError


def grid(stage: str, *, expert_routing: str = "uniform", overflow: Overflow = "error", **sizes: SizeLike) -> Cost:
    """Return the cost of a stage for every combination of some sizes.

    What depends on some of the sizes only is computed once for them, not at every point.

    Parameters
    ----------
    stage
        A stage, or ``"request"``.
    expert_routing, overflow
        As in the functions of the stages.
    **sizes
        Sizes of the stage. One that is an array, a column or a list is an axis. A name that stands for two sizes is
        an axis of pairs of them; the module ``arrays`` says which there are. Other sizes have their defaults.

    Returns
    -------
    Cost
        Arrays with an axis for each size that is one, in the order of the arguments.

    Raises
    ------
    TypeError
        If a size is not an integer, or not a size of the stage.
    CostError
        If a size is out of range, or sizes contradict each other, or there is no such stage.
    OverflowError
        If a number may not fit into int64, and there is no other choice.
    """
    check_stage(stage)
    known = sizes_of(stage)
    axes: list[dict[str, Array]] = []
    given: dict[str, Any] = {}
    for name, value in sizes.items():
        columns = _split_pairs(name, value) if name in PAIRS else {name: value}
        check_names(stage, columns, known, describe_routing(stage))
        for column in columns:
            if column in given:
                raise CostError(f"{column} is given twice")
        given |= {column: as_size(column, values, known[column]) for column, values in columns.items()}
        if isinstance(given[next(iter(columns))], np.ndarray):
            axes.append({column: given[column] for column in columns})
    for number, axis in enumerate(axes):
        for column, values in axis.items():
            if values.ndim != 1:
                raise CostError(f"{column} must be one number or one axis, not an array of shape {values.shape}")
            given[column] = values.reshape((-1,) + (1,) * (len(axes) - 1 - number))
    defaults = {name: size.implied for name, size in known.items()}
    return Cost(*evaluate(stage, defaults | given, overflow, "numpy", expert_routing))


def _split_pairs(name: str, pairs: Any) -> dict[str, Any]:
    """Return the columns of one pair of sizes, or of a list or an array of them."""
    one, other = PAIRS[name]
    # To iterate over a data frame is to see the names of its columns; an array of it has its rows.
    rows = pairs if isinstance(pairs, list | tuple | np.ndarray) else np.asarray(pairs)
    is_one = getattr(rows, "ndim", 1) == 0
    if not is_one and len(rows) == 2 and not any(isinstance(side, list | tuple | np.ndarray) for side in rows):
        return {one: rows[0], other: rows[1]}
    if is_one or any(not isinstance(row, list | tuple | np.ndarray) or len(row) != 2 for row in rows):
        raise CostError(f"{name} must be pairs of {one} and {other}")
    return {one: [row[0] for row in rows], other: [row[1] for row in rows]}
