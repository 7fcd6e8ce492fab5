"""``modelmeter study``: what the formulas say, as sentences, JSON, or pages with tables and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from llm_perf_opt.commands.model_option import ModelOption
from modelmeter.model.registry import DEFAULT


def study(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Studies; without any, all. --list has their names.")
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write pages, tables and pictures here.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every statement with its certificates as JSON.")
    ] = False,
    is_list: Annotated[bool, typer.Option("--list", help="List the studies, and what each answers.")] = False,
    hardware: Annotated[
        list[str] | None,
        typer.Option(
            "--hardware", metavar="CARD", help="A GPU, or a YAML file of one; may be repeated. Else all shipped."
        ),
    ] = None,
    graph: Annotated[
        Path | None, typer.Option("--graph", metavar="FILE", help="Study the model of this saved module graph.")
    ] = None,
    model: ModelOption = DEFAULT,
) -> None:
    """Derive thresholds, largest batches, what to optimise."""
    from llm_perf_opt.commands.sources import compile_graph, read_graph
    from llm_perf_opt.reporting.folder import check_folder
    from llm_perf_opt.studies import list_cards, render_files, write_studies
    from llm_perf_opt.studies.folder import check_extras
    from llm_perf_opt.terminal import print_lines, show_progress
    from modelmeter.model.refused_stages import explain_refusal
    from modelmeter.model.stages import REQUEST
    from modelmeter.scaling.studies import find_study, list_studies, write_book
    from modelmeter.support.suggestions import UnknownNameError

    if out is not None:
        check_extras()
        check_folder(out)
    cards = list_cards(hardware or ())
    compiled = compile_graph(read_graph(graph, model), model)
    chosen = [find_study(compiled, name) for name in names or ()] or list_studies(compiled)
    if is_list:
        listed = {each.id: each.question for each in chosen}
        if as_json:
            typer.echo(json.dumps(listed, indent=1))
        else:
            print_lines("\n".join(f"{name}: {question}" for name, question in listed.items()))
            if refusal := explain_refusal(REQUEST, compiled.definition.refused, compiled.stages):
                print_lines(f"\nNone of these is written of {model}: {refusal}")
        return
    with show_progress() as begin:
        book = write_book(compiled, cards, names=[each.id for each in chosen], begin=begin)
        absent = _describe_left_out(book.left_out)
        if not book.findings:
            raise UnknownNameError("; ".join(absent))
        if out is not None:
            write_studies(out, render_files(book, cards, begin=begin))
    if as_json:
        typer.echo(json.dumps(book.to_json(), indent=1))
    elif out is not None:
        studies = "1 study" if len(book.findings) == 1 else f"{len(book.findings)} studies"
        print_lines(f"{out}: {len(book.statements):,} statements in {studies}")
    else:
        for findings in book.findings:
            print_lines(
                "\n".join([f"{findings.study.title}, in short:", *(f"- {each}" for each in findings.short), ""])
            )
        for found in book.statements:
            print_lines(f"{found.id}\n  {found.sentence}")
    if not as_json:
        for line in absent:
            print_lines(line)


def _describe_left_out(left_out: Mapping[str, str]) -> list[str]:
    """Return a line for each reason, with the studies that it leaves out."""
    names: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        names.setdefault(reason, []).append(name)
    return [
        f"{', '.join(listed)} {'is' if len(listed) == 1 else 'are'} left out: {reason}"
        for reason, listed in names.items()
    ]
