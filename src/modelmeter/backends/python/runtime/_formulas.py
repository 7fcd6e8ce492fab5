"""The formulas of a staircase: they stand in for those of a model, which an evaluator package has under this name.

``bricks`` lays stairs of ``steps`` steps on every cell of a grid, ``gravel`` fills what is below the last step.
"""

from ._polynomials import Value
from ._sizes import Size
from ._symbolic import agree, at_most, ceil_div, differs, largest, routed_reads, triangular

Metrics = tuple[Value, ...]

SIZES = {
    "bricks": {
        "num_columns": Size(0, 2),
        "num_rows": Size(0, 3),
        "landings": Size(0, 6, "steps"),
        "steps": Size(1, None),
        "kept_steps": Size(1, None),
        "weight_bits": Size(1, 16, may_be_fraction=True),
    },
    "bricks_peak_activation_bytes": {
        "num_columns": Size(0, 2),
        "num_rows": Size(0, 3),
    },
    "gravel": {
        "steps": Size(1, 7),
    },
}

COSTS = (
    "bricks",
    "gravel",
)
"""The functions that return the six metrics of one cost."""

ROUTED = ("bricks",)
"""The functions that route tokens to experts."""


def bricks(
    *,
    num_columns: Value,
    num_rows: Value,
    landings: Value,
    steps: Value | None,
    kept_steps: Value | None,
    weight_bits: Value,
    expert_routing: str,
) -> Metrics:
    """Return the cost of the bricks, of which ``kept_steps`` are kept."""
    x1 = 1 + landings
    if steps is None:
        steps = x1
    agree("steps", steps, "1 + landings", x1)
    if kept_steps is None:
        kept_steps = steps
    at_most("kept_steps", kept_steps, "steps", steps)
    x2 = num_columns * num_rows
    x3 = x2 * triangular(steps)
    return (
        2 * x3,
        x3 * differs(num_columns, num_rows),
        ceil_div(weight_bits * x3, 8),
        ceil_div(weight_bits * routed_reads(11, 4, steps, 17, expert_routing), 8),
        x2 * kept_steps,
        0,
    )


def bricks_peak_activation_bytes(*, num_columns: Value, num_rows: Value) -> Metrics:
    """Return the longer side of the grid."""
    return (largest(num_columns, num_rows),)


def gravel(*, steps: Value) -> Metrics:
    """Return the cost of the gravel."""
    return (0, steps * steps, 3 * steps, 0, ceil_div(steps, 4), 0)
