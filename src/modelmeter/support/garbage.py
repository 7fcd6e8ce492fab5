"""The garbage collector, and how it is kept from work that frees nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep the garbage collector from walking through millions of terms that all stay alive."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():  # what a caller has frozen would not stay so
                gc.freeze()
                gc.unfreeze()  # all that is new counts as old now, and is not walked through at once
            gc.enable()
