"""``modelmeter coverage``: the classes of a traced model beside the layer library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def coverage(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `modelmeter trace` wrote, or alike.")],
) -> None:
    """Show which layer models each module class. Exits with 1 if a class has none and needs one."""
    from collections import Counter

    from llm_perf_opt.reporting.coverage import compare_with_layers
    from llm_perf_opt.terminal import open_table_console
    from llm_perf_opt.utils.dsocr_callgraph_parse import load_target_operator_list
    from llm_perf_opt.visualize.table import Table

    entries = compare_with_layers(load_target_operator_list(directory))
    table = Table(
        headers=("class", "coverage", "layer or reason"),
        rows=tuple((entry.operator.class_name, entry.coverage, entry.reason) for entry in entries),
        text_columns=3,
    )
    open_table_console().print(table.to_rich())
    counts = Counter(entry.coverage for entry in entries)
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()))
    if counts["unmodelled"]:
        raise typer.Exit(1)
