"""``modelmeter verify``: every formula against independent code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import fields

from llm_perf_opt.commands.model_option import ModelOption
from modelmeter.model.registry import DEFAULT
from modelmeter.support.errors import OutputError

if TYPE_CHECKING:
    from rich.table import Table

    from modelmeter.verify.results import Row

EVIDENCE_FILE = "formulas/evidence.json"
"""Where pages look for their evidence, in the folder that they are compiled into."""


def verify(
    full: Annotated[
        bool, typer.Option("--full/--quick", help="All sizes, in minutes, or some of each, in less than one.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write every row, with its domains, here.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="NAME", help="Show only this layer, torch class or stage.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help=f"A full run writes {EVIDENCE_FILE} here.")
    ] = None,
    model: ModelOption = DEFAULT,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Processes side by side.")] = 1,
) -> None:
    """Compare the formulas with traces of torch modules. Exits with 1 on any difference.

    Of a folder that `modelmeter compile` wrote, it shows what was compared when the model was compiled.
    """
    from llm_perf_opt.commands.recorded_checks import (
        describe_other_files,
        draw_checks,
        read_checks,
        refuse_runs,
        summarize,
    )
    from llm_perf_opt.terminal import open_table_console, show_progress
    from llm_perf_opt.verification.record import ROWS_KEYS
    from modelmeter.analysis.evidence import Evidence
    from modelmeter.support.files import refuse_foreign, refuse_unwritable, write_text

    record = read_checks(model)
    if record is not None:
        refuse_runs({"--full": full, "--layer": layer is not None, "--out": out is not None, "--jobs": jobs != 1})
        others = describe_other_files(model)
        if json_file is not None:
            refuse_foreign(json_file, record)
            write_text(json_file, json.dumps(record, indent=1) + "\n")
        open_table_console().print(draw_checks(record))
        typer.echo(summarize(record))
        typer.echo(others)
        return
    evidence_file = out / EVIDENCE_FILE if full and out is not None else None
    for file, keys in ((json_file, ROWS_KEYS), (evidence_file, [field.name for field in fields(Evidence)])):
        if file is not None:  # now, not after minutes of proofs
            if not file.parent.is_dir():
                raise OutputError("the folder of this file does not exist", place=str(file))
            refuse_foreign(file, keys)
            refuse_unwritable(file)
    with show_progress() as begin:
        begin("load the proofs")
        from llm_perf_opt.verification.run import run
    with show_progress(lines=True) as begin:
        verification = run(is_full=full, name=layer, jobs=jobs, begin=begin, model=model)
    open_table_console().print(draw_rows(verification.rows))
    if json_file is not None:
        write_text(json_file, verification.to_json())
    for line in verification.summary():
        typer.echo(line)
    if not verification.is_proved:
        raise typer.Exit(1)
    if verification.evidence is not None and evidence_file is None:
        typer.echo("the evidence is not kept: name a folder with --out")
    elif verification.evidence is not None and evidence_file is not None:
        write_text(evidence_file, verification.evidence.to_json())
        typer.echo(f"{evidence_file}: written; modelmeter compile puts it on the pages")


def draw_rows(rows: tuple[Row, ...]) -> Table:
    """Return a table of rows. What does not fit ends in an ellipsis; the JSON has all of it."""
    from rich.table import Column

    from llm_perf_opt.terminal import make_table

    table: Table = make_table("layer or stage", "metric", "against", "evidence", text_columns=4)
    table.columns += [
        Column("derived", no_wrap=True, overflow="ellipsis", max_width=28),
        Column("measured", no_wrap=True, overflow="ellipsis", max_width=28),
        Column("difference", overflow="fold", justify="right"),
        Column("seconds", no_wrap=True, justify="right"),
    ]
    for column in table.columns[:4]:
        column.no_wrap, column.overflow = True, "ellipsis"
    for row in rows:
        formulas = (str(row.derived), str(row.measured), str(row.difference))
        table.add_row(row.name, row.metric, row.implementation, row.evidence, *formulas, f"{row.seconds:.1f}")
    return table
