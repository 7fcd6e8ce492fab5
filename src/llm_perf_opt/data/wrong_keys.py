"""The error of a record that lacks keys, or has some that it does not know: all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from llm_perf_opt.errors import RecordError


def wrong_keys(record_type: type, unknown: Sequence[str], missing: Sequence[str], path: str) -> RecordError:
    """Return the error of a record with keys that it does not have, or without some that it must have.

    Where a key is written wrongly, both are so, and the reader sees what it should have been.

    Parameters
    ----------
    record_type
        The class of the record.
    unknown, missing
        The keys; at least one.
    path
        Where the record is.
    """
    name = record_type.__name__
    fields = attrs.fields_dict(record_type)
    keys = ", ".join(key for key in fields if fields[key].default is attrs.NOTHING)
    others = ", ".join(key for key in fields if fields[key].default is not attrs.NOTHING)
    parts = [f"{name} has no such key{'s' * (len(unknown) > 1)}"] if unknown else []
    parts += [f"missing {'are' if len(missing) > 1 else 'is'} {', '.join(missing)}"] if missing and unknown else []
    parts = parts or ["the key is missing" if len(missing) == 1 else "these keys are missing"]
    places = ", ".join(f"{path}.{key}".lstrip(".") for key in unknown or missing)
    known = f"its keys are {keys}" + (f", and if need be {others}" if others else "")
    return RecordError("; ".join(parts), place=places, remedy=known)
