"""The breakdown of a staircase: it stands in for that of a model, which an evaluator package has under this name."""

from ._rows import OperatorCost, StateCost, make_operators, make_states
from ._runtime import check_again

OPERATORS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "gravel": (("path", ("pour",)), ("path.edge", ("rake",))),
}
"""The modules that do something in each stage, and their operators: the rows of a table, in this order."""

STATES: dict[str, tuple[str, ...]] = {"gravel": ("path",)}
"""The modules that hold something in each stage: the rows of a table, in this order."""


def fill_operators(stage: str, values: tuple[int, ...]) -> tuple[OperatorCost, ...]:
    """Return the rows of a stage."""
    return make_operators(OPERATORS[stage], values)


def fill_states(stage: str, values: tuple[int, ...]) -> tuple[StateCost, ...]:
    """Return the rows of a stage."""
    return make_states(STATES[stage], values)


def gravel_operators(*, steps: int = 7) -> tuple[OperatorCost, ...]:
    """Return the calls, the two kinds of FLOPs and the bits that are moved and written, of each operator."""
    if not (int is type(steps) and steps > 0) and (found := check_again(gravel_operators, locals())) is not None:
        return found
    x1 = 8 * steps
    return fill_operators("gravel", (1, 0, steps * steps, 16 * steps, x1, steps, 0, 0, x1, 0))


def gravel_states(*, steps: int = 7) -> tuple[StateCost, ...]:
    """Return the bits of the weights and of the cache, of each module."""
    if not (int is type(steps) and steps > 0) and (found := check_again(gravel_states, locals())) is not None:
        return found
    return fill_states("gravel", (5, 3 * steps))
