"""The JSON Schema of a record, made from its rules."""

from __future__ import annotations

import json
from typing import Any, cast

import attrs

from llm_perf_opt.data.report import AnalyticModelReport
from llm_perf_opt.data.rules import FieldRule
from llm_perf_opt.data.serialization import VERSION_KEY

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def record_schema(record_type: type) -> dict[str, Any]:
    """Return the JSON Schema of the files that hold a record.

    It states the rule of every field. What relates fields to each other (ids, the tree of modules) is beyond a
    JSON Schema; reading the file with :func:`llm_perf_opt.data.serialization.read_record` checks that as well.
    """
    definitions: dict[str, Any] = {}
    waiting: list[type] = [record_type]
    while waiting:
        current = waiting.pop()
        if current.__name__ not in definitions:
            definitions[current.__name__] = _object_schema(current)
            waiting.extend(nested for rule in _rules(current).values() for nested in rule.records)
    root = definitions.pop(record_type.__name__)
    return {"$schema": DIALECT, **root, "$defs": dict(sorted(definitions.items()))}


def report_schema_json() -> str:
    """Return the JSON Schema of an :class:`~llm_perf_opt.data.report.AnalyticModelReport` as text, to publish."""
    return json.dumps(record_schema(AnalyticModelReport), indent=2) + "\n"


def _object_schema(record_type: type) -> dict[str, Any]:
    version: int | None = getattr(record_type, "SCHEMA_VERSION", None)
    header: dict[str, Any] = {} if version is None else {VERSION_KEY: {"const": version}}
    fields = attrs.fields_dict(record_type)
    return {
        "title": record_type.__name__,
        "description": (record_type.__doc__ or "").partition("\n")[0],
        "type": "object",
        "properties": header | {name: rule.schema for name, rule in _rules(record_type).items()},
        "required": [*header, *(name for name in fields if fields[name].default is attrs.NOTHING)],
        "additionalProperties": False,
    }


def _rules(record_type: type) -> dict[str, FieldRule]:
    return {name: cast(FieldRule, attribute.validator) for name, attribute in attrs.fields_dict(record_type).items()}
