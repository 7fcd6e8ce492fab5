"""Which modules of a model a pattern means, and in which stages they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from modelmeter.analysis.bind import BoundModule
from modelmeter.model.definition import Model
from modelmeter.support.suggestions import UnknownNameError, unknown_name


def walk_fitting(root: BoundModule, fits: Callable[[list[BoundModule]], bool]) -> Iterable[tuple[bool, BoundModule]]:
    """Yield each module that fits with those above it; and whether none above it does."""
    pending = [([root], False)]
    while pending:
        chain, is_inside = pending.pop()
        fitting = is_inside or fits(chain)
        if fitting:
            yield not is_inside, chain[-1]
        pending += [([*chain, child], fitting) for child in chain[-1].children]


def list_stages(definition: Model, module: BoundModule) -> frozenset[str]:
    """Return the stages in which a module is called, or stored."""
    return frozenset(definition.stage_of(call.run, module.node.path) for call in module.calls)


def no_module(
    kind: str, stage: str, name: str, known: Iterable[str], aliases: Iterable[str], elsewhere: Iterable[str]
) -> UnknownNameError:
    """Return the error for a pattern or a class of which a stage has no module.

    Parameters
    ----------
    kind
        What the name should have been: ``module`` or ``module class``.
    stage, name
        Where it was asked for, and what.
    known, aliases
        Names of this stage, and more that work but are not listed.
    elsewhere
        The stages whose modules have the name.
    """
    stages = list(elsewhere)
    if not stages:
        return unknown_name(f"{kind} of {stage}", name, known, aliases)
    return UnknownNameError(
        f"no {kind} of this name runs in this stage", place=stage, expected=f"a {kind} of {stage}", found=name,
        remedy=f"such modules run in {' and '.join(stages)}: ask of {' or '.join(stages)}",
    )  # fmt: skip
