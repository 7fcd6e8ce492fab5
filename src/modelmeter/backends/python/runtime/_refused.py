"""What a model lacks, since nothing says what a part of it costs: who calls it is told why."""

from ._formulas import REFUSED
from ._runtime import CostError


def find_refused(name: str, module: str) -> object:
    """Return a function that refuses to be called; other names raise an AttributeError."""
    why = next((why for stage, why in REFUSED.items() if name == stage or name.startswith(f"{stage}_")), "")
    if not why:
        from sys import modules

        problem = f"module {module!r} has no attribute {name!r}"
        # So Python names what comes close.
        raise AttributeError(problem, name=name, obj=modules[module])

    def refuse(**sizes: object) -> None:
        raise CostError(why)

    refuse.__name__ = name
    return refuse
