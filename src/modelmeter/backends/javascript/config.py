"""Which modules the JavaScript package has, and what stands in each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from attrs import frozen

from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.package import EvaluatorPackage

FOLDER: Final = "javascript"
"""The folder of all packages in this language, beside those of others."""

HELPERS: Final = (
    *("CostError", "ceilDiv", "checkAgreement", "checkBits", "checkNames", "checkRouting", "checkSize", "floorDiv"),
    *("largest", "noMultiple", "routedReads", "tooLarge", "tooSmall", "triangular"),
)
"""What modules import from the runtime, where they use it."""


@frozen(kw_only=True)
class Module:
    """A module of functions.

    Parameters
    ----------
    summary
        What it has, for its first line.
    is_flat
        Whether the package exports the functions themselves; else the module by its name.
    """

    name: str
    summary: str
    select: Callable[[EvaluatorPackage], Iterable[Evaluator]]
    template: str = "module.mjs.jinja"
    is_flat: bool = True


MODULES: Final = (
    Module(name="stages", summary="The stages", select=lambda package: (*package.stages, package.all_stages)),
    Module(
        name="metrics",
        summary="One metric of one stage",
        select=lambda package: (*package.metrics, *package.derived),
    ),
    Module(name="peaks", summary="The peak of the activations of one stage", select=lambda package: package.peaks),
    Module(
        name="traffic",
        summary="The traffic of one stage with its operators fused",
        select=lambda package: package.traffic,
    ),
    Module(
        name="training",
        summary="A training step",
        select=lambda package: (*package.training, *package.training_metrics),
    ),
    Module(
        name="server",
        summary="Steps of a serving engine",
        select=lambda package: package.server_steps,
        template="server.mjs.jinja",
    ),
    Module(
        name="layers",
        summary="One forward of each layer class, in its own sizes",
        select=lambda package: package.layers,
        is_flat=False,
    ),
    Module(
        name="general",
        summary="The stages with the architecture's sizes as arguments",
        select=lambda package: package.general,
        is_flat=False,
    ),
)
