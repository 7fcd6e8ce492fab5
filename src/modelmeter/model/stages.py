"""Stages: the parts of a request that are costed apart, and what is made of them."""

from __future__ import annotations

from typing import Final

TRAINING_STEP: Final = "training_step"
"""A forward without a cache, through all stages but the decode, and the backward of it."""
