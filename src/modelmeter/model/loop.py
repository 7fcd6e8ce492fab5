"""A stage that runs in steps, such as a decode of one token each: its index and its count."""

from __future__ import annotations

import sympy
from attrs import frozen


@frozen(kw_only=True)
class Loop:
    """A stage whose run is one step of several; its cost is that of all steps.

    Parameters
    ----------
    stage
        The name of the stage, and of the run that is one step of it.
    index
        The symbol of a step, from 1 to ``count``.
    count
        The symbol of the number of steps; it may be 0.
    """

    stage: str
    index: sympy.Symbol
    count: sympy.Symbol
