"""Models that the compiler describes, one folder each; ``modelmeter.models()`` lists the registered ones."""

from __future__ import annotations

import sys
from types import ModuleType


class _Models(ModuleType):
    """A package whose name is also that of the function that lists the models."""

    def __call__(self) -> tuple[str, ...]:
        from modelmeter.api import models

        return models()


sys.modules[__name__].__class__ = _Models
