"""The layers of a staircase: they stand in for those of a model, which an evaluator package has under this name."""

from ._runtime import Cost, check_again

__all__ = ["bricks"]


def bricks(*, steps: int = 7) -> Cost:
    """Return the cost of a layer of bricks."""
    if not (int is type(steps) and steps > 0) and (found := check_again(bricks, locals())) is not None:
        return found
    return Cost((0, steps, 0, 0, 0, 0))
