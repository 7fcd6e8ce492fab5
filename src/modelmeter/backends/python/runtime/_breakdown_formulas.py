"""The breakdown of a staircase: it stands in for that of a model, which an evaluator package has under this name."""

from ._polynomials import Value
from ._sizes import Size

Metrics = tuple[Value, ...]

SIZES = {
    "gravel_operators": {
        "steps": Size(1, 7),
    },
    "gravel_states": {
        "steps": Size(1, 7),
    },
}

COSTS = ()
"""The functions that return the six metrics of one cost."""

ROUTED = ()
"""The functions that route tokens to experts."""

OPERATORS: dict[str, list[tuple[str, ...]]] = {
    "gravel": [
        ("path", "pour"),
        ("path.edge", "rake"),
    ],
}
"""What the operators of each stage are of: the numbers of a function come row by row."""

STATES: dict[str, list[tuple[str, ...]]] = {
    "gravel": [
        ("path",),
    ],
}
"""What the states of each stage are of: the numbers of a function come row by row."""


def gravel_operators(*, steps: Value) -> Metrics:
    """Return the calls, the two kinds of FLOPs and the bits that are moved and written, of each operator."""
    return (1, 0, steps * steps, 16 * steps, 8 * steps, steps, 0, 0, 8 * steps, 0)


def gravel_states(*, steps: Value) -> Metrics:
    """Return the bits of the weights and of the cache, of each module."""
    return (5, 3 * steps)
