"""The errors of the application, on top of those of the library."""

from __future__ import annotations

from modelmeter.support.errors import ModelMeterError


class RecordError(ModelMeterError):
    """A record, or the file that it is read from, is missing, damaged or contradictory.

    ``place`` is the path of the field (``modules[3].parent_id``), after the name of the file where there is one.
    """


class PathError(ModelMeterError):
    """A run id or a root cannot be part of a path."""
