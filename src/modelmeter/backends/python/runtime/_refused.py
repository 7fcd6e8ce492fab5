"""What a model lacks, since nothing says what a part of it costs: who asks for it is told why."""

from collections.abc import Iterable

from ._formulas import COSTS, REFUSED
from ._runtime import CostError, show


def explain_refusal(name: str) -> str:
    """Return why the model lacks what has this name; "" if it does not."""
    return next((why for stage, why in REFUSED.items() if name == stage or name.startswith(f"{stage}_")), "")


def find_refused(name: str, module: str) -> object:
    """Return a function that refuses to be called; other names raise an AttributeError."""
    why = explain_refusal(name)
    if not why:
        from sys import modules

        problem = f"module {module!r} has no attribute {name!r}"
        # So Python names what comes close.
        raise AttributeError(problem, name=name, obj=modules[module])

    def refuse(**sizes: object) -> None:
        raise CostError(why)

    refuse.__name__ = name
    return refuse


def check_stage(stage: str, known: Iterable[str] = COSTS) -> None:
    """Raise an error unless ``stage`` is ``known``."""
    if stage not in known:
        raise CostError(REFUSED.get(stage) or f"there is no stage {show(stage)}, only {', '.join(known)}")
