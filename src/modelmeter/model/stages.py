"""Stages: the parts of a request that are costed apart, and what is made of them."""

from __future__ import annotations

from typing import Final

from attrs import frozen

REQUEST: Final = "request"
"""All stages, chained."""

TRAINING_STEP: Final = "training_step"
"""A forward without a cache, through all stages but the decode, and the backward of it."""


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
    is_looped
        Whether one run of it is step ``decode_step`` of ``decode_steps``.
    """

    name: str
    words: str
    meaning: str
    is_looped: bool = False
