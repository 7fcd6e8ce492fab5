"""What was checked of a model when it was compiled, as its folder says: ``modelmeter verify --model DIR``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelmeter.frontend.compiled_folder import RECORDED_CHECKS, check_other_files
from modelmeter.model.registry import find_beside
from modelmeter.support.errors import EvidenceError

if TYPE_CHECKING:
    from rich.table import Table


def read_checks(model: str) -> dict[str, Any] | None:
    """Return what the folder of a compiled model says of its checks; None for a model that has proofs to run.

    Its file was compared with its digest when the folder was opened.
    """
    place = find_beside(model, "recorded_checks", RECORDED_CHECKS)
    if place is None:
        return None
    record: dict[str, Any] = json.loads(Path(place).read_text(encoding="utf-8"))
    return record


def describe_other_files(model: str) -> str:
    """Compare pages, data and copies in other languages of a compiled model with their digests; return what was found.

    Raises
    ------
    DigestError
        If one was changed.
    """
    place = find_beside(model, "recorded_checks", RECORDED_CHECKS)
    if place is None:
        return ""
    same, missing = check_other_files(Path(place).parent)
    rest = f", {missing:,} are not there" if missing else ""
    return f"{same:,} pages, data files and copies in other languages are as they were written{rest}."


def refuse_runs(options: Mapping[str, bool]) -> None:
    """Refuse options of proofs that are run.

    Raises
    ------
    EvidenceError
        If one is given.
    """
    given = [name for name, is_given in options.items() if is_given]
    if given:
        raise EvidenceError(
            "a compiled folder has a record of its checks, and no proofs to run", place=", ".join(given),
            remedy="leave it out; modelmeter compile SOURCE --out DIR --check counts again",
        )  # fmt: skip


def draw_checks(record: Mapping[str, Any]) -> Table:
    """Return a table of what was compared: each row had difference 0 in all metrics of all modules."""
    from llm_perf_opt.terminal import make_table

    table: Table = make_table("stage", "sizes", "computed in", "layers", "modules", "metrics", text_columns=3)
    for check in record["checks"]:
        sizes = ", ".join(f"{name}={size}" for name, size in check["sizes"].items())
        table.add_row(
            check["stage"], sizes, check["dtype"], f"{check['layers']:,}", f"{check['modules']:,}",
            f"{len(check['metrics'])}",
        )  # fmt: skip
    return table


def summarize(record: Mapping[str, Any]) -> str:
    """Return what was done, in sentences; and what the config left to defaults, if anything."""
    lines = [record["summary"].replace("``", "")]
    if record.get("assumed"):
        unsaid = ", ".join(f"{key} = {value}" for key, value in record["assumed"].items())
        lines.append(f"Taken from defaults, since the config does not say them: {unsaid}.")
    return "\n".join(lines)
