"""What transformers and torch say of a config on the way, and what costs nothing, is not said."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back warnings on old keys, on tokens beside a vocabulary and on modules without elements; errors stay."""
    logger = logging.getLogger("transformers")
    former = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
            yield
    finally:
        logger.setLevel(former)
