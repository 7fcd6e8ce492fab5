"""Stages: the parts of a request that are costed apart, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import field, frozen

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer

REQUEST: Final = "request"
"""All stages, chained."""

TRAINING_STEP: Final = "training_step"
"""A forward without a cache, and the backward of it."""

TRAINING_CONVENTION: Final = "Training step"
ARCHITECTURE_CONVENTION: Final = "Architecture"
"""The conventions of a model that say why it has no training step, and no sizes of its architecture."""


@frozen(kw_only=True)
class Stage:
    """A part of a request.

    Parameters
    ----------
    name
        Its name in evaluators, on pages and in commands.
    words
        What runs in it, as a part of a sentence: the cost of ...
    meaning
        The same as sentences, with code in double backquotes.
    shares_parameters
        Whether all its modules are those of stages before it, whose parameters a request holds once.
    """

    name: str
    words: str
    meaning: str
    shares_parameters: bool = False


@frozen(kw_only=True)
class TrainingStep:
    """A forward of a run without a cache, and the backward of it.

    Parameters
    ----------
    run
        The run whose layers it goes through.
    words, meaning
        What runs in it, as those of a stage.
    notes
        What its evaluator has to say, as plain sentences.
    build_layers
        Returns the layers at sizes that say what their backward does, where those of the run do not.
    """

    run: str
    words: str
    meaning: str
    notes: str
    build_layers: Callable[[Mapping[str, Size]], BaseLayer] | None = field(default=None, eq=False)
