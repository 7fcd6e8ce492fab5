"""How pages show the formulas of a model: which parts have names, and what a stage does several times."""

from __future__ import annotations

import sympy
from attrs import frozen

_BOUND = (
    "The modules were matched by name and class with the traced torch modules, and their parameters and output shapes "
    "with theirs; ``modelmeter verify`` compares what they cost."
)

_STAGES = (
    "Every module of the stage was matched by name and class with the traced torch modules, and its parameters and "
    "output shapes with theirs. The stage is the sum of these modules; their pages say how each was checked."
)


@frozen(kw_only=True)
class Abbreviation:
    """A part of formulas that has a name on the pages.

    Parameters
    ----------
    latex
        The name.
    meaning
        What it is, as a part of a sentence.
    expression
        The part.
    """

    latex: str
    meaning: str
    expression: sympy.Expr


@frozen(kw_only=True)
class Checks:
    """How formulas were checked where no evidence says so: sentences with code in double backquotes.

    Parameters
    ----------
    layers, stages, training, peaks
        The formulas of layer classes, of stages, of the training step, and the peaks of stages.
    """

    layers: str = _BOUND
    stages: str = _STAGES
    training: str = _BOUND
    peaks: str = "Layers say in which order their operators run; that no other operator can be the peak is proved."


@frozen(kw_only=True)
class View:
    """One kind of what a stage is repeated over, such as the tiles of a page.

    Parameters
    ----------
    name
        What they are: a word in the plural.
    sizes
        What the parameters of the repetition are for it.
    condition
        A bracket that is 1 where there are any.
    """

    name: str
    sizes: tuple[sympy.Expr, ...]
    condition: sympy.Expr = sympy.S.One


@frozen(kw_only=True)
class Repetition:
    """What some stages do in the same way for two kinds of views, so that pages show one function of a kind.

    Parameters
    ----------
    parameters
        What the function is of: symbols of sizes.
    factors
        How often all of it is done: the factors of a product.
    always
        The kind that is always there; its sizes are symbols.
    sometimes
        The kind that is there where its condition holds.
    """

    parameters: tuple[sympy.Symbol, ...]
    factors: tuple[sympy.Expr, ...]
    always: View
    sometimes: View

    @property
    def condition(self) -> sympy.Expr:
        """The bracket that is 1 where there are both kinds."""
        return self.sometimes.condition

    @property
    def printed(self) -> tuple[sympy.Expr, ...]:
        """Every expression that stands around the function."""
        return (self.condition, *self.factors, *self.sometimes.sizes, *self.always.sizes, *self.parameters)

    def generalize(self, formula: sympy.Expr) -> sympy.Expr:
        """Return the function whose value for the kind that is always there is ``formula``."""
        generalized: sympy.Expr = formula.xreplace(dict(zip(self.always.sizes, self.parameters, strict=True)))
        return generalized

    def at(self, view: View, function: sympy.Expr) -> sympy.Expr:
        """Return the value of a function of the parameters for a kind of views."""
        value: sympy.Expr = function.xreplace(dict(zip(self.parameters, view.sizes, strict=True)))
        return value
