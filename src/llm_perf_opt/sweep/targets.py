"""Which files a sweep may replace: sweeps, and no others."""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from llm_perf_opt.evaluators import PEAK, load_costs
from modelmeter.metrics.metric import METRICS
from modelmeter.model.registry import DEFAULT
from modelmeter.support.errors import OutputError
from modelmeter.support.files import explain_failure

_DESCRIPTION: Final = b"modelmeter"
"""The key of a Parquet schema under which a sweep describes itself."""

_LONGEST_HEADER: Final = 10_000
_METRICS: Final = frozenset((*METRICS, PEAK))
_NO_SIZES: Final = frozenset({"expert_routing", "stage"})


def refuse_foreign(path: Path, model: str = DEFAULT) -> None:
    """Refuse to replace a file that is no sweep: Parquet that does not say so, or CSV with other columns than one.

    The sizes of a sweep are those of a registered ``model``.

    Raises
    ------
    OutputError
        If there is such a file, or it cannot be read.
    """
    if path.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        return  # nothing is written
    arguments = load_costs(model).DIMENSIONS.keys() | _NO_SIZES
    with explain_failure("the sweep", path):
        if path.is_file() and path.stat().st_size and not _is_sweep(path, arguments):
            raise OutputError(
                "the sweep would replace a file that modelmeter did not write", place=str(path),
                remedy="move it away, or name another file",
            )  # fmt: skip


def _is_sweep(path: Path, arguments: Set[str]) -> bool:
    if path.suffix.lower() != ".parquet":
        with path.open("rb") as file:
            header = file.readline(_LONGEST_HEADER).decode(errors="replace")
        return _has_columns(header.rstrip("\r\n").split(","), arguments)
    # Only a sweep to Parquet needs pyarrow.
    import pyarrow as pa
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
        description = json.loads((schema.metadata or {})[_DESCRIPTION])
    except (pa.ArrowInvalid, KeyError, ValueError):
        return False
    return isinstance(description, dict) and "stage" in description and _has_columns(schema.names, arguments)


def _has_columns(names: Sequence[str], arguments: Set[str]) -> bool:
    """Tell whether columns are those of a sweep: sizes and metrics, once each, and nothing else."""
    return (
        len(set(names)) == len(names)
        and set(names) <= _METRICS | arguments
        and bool(set(names) & _METRICS)
        and bool(set(names) & arguments)
    )
