"""What a model lacks, since nothing says what a part of it costs: who calls it is told why."""

from ._formulas import REFUSED
from ._runtime import CostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def explain(name: str) -> str:
    """Return why there is no function of this name; nothing where it is of no stage that is refused."""
    return next((why for stage, why in REFUSED.items() if name == stage or name.startswith(f"{stage}_")), "")


def find_refused(name: str, module: str) -> "Callable[..., NoReturn]":
    """Return a function that refuses to be called, in the place of one that the model lacks.

    Raises
    ------
    AttributeError
        If the name is of no stage that is refused.
    """
    why = explain(name)
    if not why:
        from sys import modules

        # With the module, Python names what comes close.
        problem = f"module {module!r} has no attribute {name!r}"
        raise AttributeError(problem, name=name, obj=modules[module])

    def refuse(*args: object, **sizes: object) -> "NoReturn":
        raise CostError(why)

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"Refuse: {why}."
    return refuse
