"""What an entry of the site has to copy: programs that compute its value, and the formula as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from modelmeter.metrics.metric import FUSED_IO, PEAK
from modelmeter.publishing.identity import FormulaId
from modelmeter.publishing.page_spec import SizeRow

_SEPARATE: Final = (PEAK, FUSED_IO)
"""What evaluators have as functions of their own, beside the costs."""


def write_python(call: str, metric: str, sizes: Iterable[SizeRow], value: int) -> str:
    """Return a program that computes the value with the generated package."""
    package, *path = call.split(".")
    *folders, name = path
    given = ", ".join(f"{row.name}={row.value}" for row in sizes if row.value is not None)
    target = ".".join(["costs", *folders])
    expression = f"{target}.{name}_{metric}({given})" if metric in _SEPARATE else f"{target}.{name}({given}).{metric}"
    return f"import {package} as costs\n\nassert {expression} == {value}"


def write_javascript(call: str, metric: str, sizes: Iterable[SizeRow], value: int) -> str:
    """Return a program that computes the value with the JavaScript package."""
    package, *path = call.split(".")
    *folders, name = path
    arguments = ", ".join(f"{row.name}: {row.value}n" for row in sizes if row.value is not None)
    called = f"{name}_{metric}" if metric in _SEPARATE else name
    target = ".".join(["costs", *folders, f"{called}({{ {arguments} }})"])
    result = target if metric in _SEPARATE else f"{target}.{metric}"
    return f'import * as costs from "./{package}/index.mjs";\n\nconsole.assert({result} === {value}n);'


def write_json(found: FormulaId, described: Mapping[str, Any], sizes: Mapping[str, int], infix: str, value: int) -> str:
    """Return the formula as JSON, a line for each field; integers are texts, so that no reader makes them floats.

    Parameters
    ----------
    described
        What ``formulas.json`` says of it beside its id, digest and text.
    sizes
        Of its symbols, those of which ``value`` is the value.
    infix
        Its text, as the page shows it.
    """
    record = {
        "id": str(found),
        "digest": found.digest,
        **described,
        "symbols": {name: str(sizes[name]) if name in sizes else None for name in described["symbols"]},
        "infix": infix,
        "value": str(value),
    }
    fields = (f"{json.dumps(key)}: {json.dumps(each, separators=(',', ':'))}" for key, each in record.items())
    return "{\n" + ",\n".join(fields) + "\n}"


def write_sql(call: str, metric: str, sizes: Iterable[SizeRow], value: int) -> str:
    """Return statements for DuckDB that compute the value; layers have a schema of their own."""
    package, *folders, name = call.split(".")
    schema = "_".join([package, *folders])
    given = ", ".join(f"{row.value} AS {row.name}" for row in sizes if row.value is not None)
    rows = given or "1 AS page"  # a metric that no size moves still has a row
    macro = f"{name}_{metric}" if metric in _SEPARATE else name
    return (
        f"-- DuckDB, after .read {schema}.sql\n"
        f"CREATE OR REPLACE TEMP VIEW pages AS SELECT {rows};\n"
        f"SELECT {metric} FROM {schema}.{macro}('pages');  -- {value}"
    )
