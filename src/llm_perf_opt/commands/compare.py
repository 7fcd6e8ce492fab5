"""``modelmeter compare``: models on the same pages, and from which output on one costs less than another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from llm_perf_opt.commands import page_views
from llm_perf_opt.commands.report import (
    ActivationBitsOption,
    DtypeOption,
    KvBitsOption,
    PrecisionOption,
    WeightBitsOption,
)
from llm_perf_opt.defaults import DTYPE, HARDWARE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llm_perf_opt.comparison.compare import Comparison
    from llm_perf_opt.data.hardware import Float32MatmulPrecision
    from modelmeter.frontend.cards.card import Card
    from modelmeter.support.suggestions import UnknownNameError

SAMPLES: Final = """\b
Samples:
  modelmeter compare deepseek-ocr qwen2.5-vl-3b --page 1654x2339 --output-tokens 1000
  modelmeter compare deepseek-ocr@base compiled/qwen --engine graphs --card l4"""

A4 = ("1240x1754", "1654x2339", "2480x3508")
"""A4 at 150, 200 and 300 pixels an inch."""

_MOST_IN_SENTENCES: Final = 3
"""Models whose frontiers are sentences; of more they are tables."""

ModelsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Registered models, folders that `modelmeter compile` wrote, or names of model cards (`modelmeter models "
        "--cards`), which are compiled first; "
        "NAME@MODE for a mode of one.",
    ),
]
PagesOption = Annotated[
    list[str] | None,
    typer.Option("--page", metavar="WxH", help="A page of W x H pixels; repeat it. A4 at 150, 200 and 300 dpi else."),
]
OutputTokensOption = Annotated[
    int, typer.Option("--output-tokens", "--tokens-out", metavar="N", min=1, help="Text tokens written for each page.")
]
PromptTokensOption = Annotated[
    int | None, typer.Option("--prompt-tokens", metavar="N", min=1, help="Of each prompt, beside its image.")
]
EngineOption = Annotated[
    str | None,
    typer.Option("--engine", metavar="ENGINE", help="eager or graphs, or a calibration of your own. Else bounds only."),
]
PriceOption = Annotated[
    list[str] | None,
    typer.Option("--price", metavar="PRICE", help="Dollars an hour of the GPU, or a price book in YAML."),
]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write a page and JSON here.")]


def compare(
    models: ModelsArgument,
    pages: PagesOption = None,
    output_tokens: OutputTokensOption = 1000,
    prompt_tokens: PromptTokensOption = None,
    card: Annotated[str, typer.Option("--card", metavar="ID|FILE", help="A GPU.")] = HARDWARE,
    engine: EngineOption = None,
    price: PriceOption = None,
    dtype: DtypeOption = DTYPE,
    weight_bits: WeightBitsOption = None,
    activation_bits: ActivationBitsOption = None,
    kv_bits: KvBitsOption = None,
    float32_matmul_precision: PrecisionOption = "highest",
    out: OutOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the certificates.")] = False,
) -> None:
    """Compare models on the same pages: work, bounds, dollars. Finds the exact frontier between any two."""
    from llm_perf_opt.comparison.compare import ComparisonRequest, check_named, compare_models
    from llm_perf_opt.comparison.document import to_document
    from llm_perf_opt.hardware import find_hardware
    from llm_perf_opt.planning.request import PlanRequest
    from llm_perf_opt.planning.time import ENGINES, load_calibration
    from llm_perf_opt.reporting.folder import check_folder, write_folder
    from llm_perf_opt.terminal import print_lines, show_progress
    from llm_perf_opt.visualize.comparison_page import render_files

    if out is not None:
        check_folder(out)
    plan = PlanRequest(
        prompt_tokens=prompt_tokens,
        cards=(card,),
        prices=tuple(price or ()),
        engine=engine,
        dtype=dtype,
        bits={"weight_bits": weight_bits, "activation_bits": activation_bits, "kv_bits": kv_bits},
        float32_matmul_precision=cast("Float32MatmulPrecision", float32_matmul_precision),
    )
    sides = tuple(page_views.PageViews(page=page).sides for page in pages or A4)
    # What is wrong with these is said before a model card is compiled, which takes a minute.
    check_named(models, sides)
    find_hardware(card)
    if engine is not None and engine not in ENGINES:
        load_calibration(engine)
    with ExitStack() as stack:  # what was compiled is there until everything is printed
        with show_progress() as begin:
            labels = stack.enter_context(open_models(models, begin))
            request = ComparisonRequest(models=labels, pages=sides, output_tokens=output_tokens, plan=plan)
            found = compare_models(request, begin)
            if out is not None:
                write_folder(out, render_files(found), command="compare")
        if as_json:
            typer.echo(json.dumps(to_document(found), indent=1))
        else:
            _print(found)
            if out is not None:
                print_lines(f"wrote: {out}")


@contextmanager
def open_models(names: Sequence[str], begin: Callable[[str], None]) -> Iterator[tuple[str, ...]]:
    """Open folders, compile model cards into a folder that is removed in the end, and give the registered names.

    Raises
    ------
    UnknownNameError
        If one is neither a registered model, nor a folder, nor a model card; before anything is compiled.
    """
    from llm_perf_opt.comparison.compare import naming, refuse_text
    from modelmeter.frontend.compiled_folder import is_folder, open_folder
    from modelmeter.model.registry import list_models

    known = list_models()
    parts = [_split(name) for name in names]
    cards = [name for name, _ in parts if name not in known and not is_folder(name)]
    if cards:
        from modelmeter.frontend.cards.shipped import CARDS

        for name in cards:
            if name not in CARDS:
                raise _unknown_model(name, known, CARDS.values())
            if CARDS[name].tower is None:
                raise refuse_text(name)
            with naming(name):
                CARDS[name].refuse_stage("request")
    with TemporaryDirectory(prefix="modelmeter-") if cards else nullcontext("") as scratch:
        labels = []
        for name, mode in parts:
            with naming(name):
                folder = _compile(name, scratch, begin) if name in cards else name
                labels.append(f"{name if name in known else open_folder(folder)}{mode}")
        yield tuple(labels)


def _unknown_model(name: str, known: Iterable[str], cards: Iterable[Card]) -> UnknownNameError:
    """Return the error for a name that is none: models that see pages, and those whose request is refused apart."""
    from modelmeter.model.registry import find_beside
    from modelmeter.support.suggestions import unknown_name

    seeing = [each for each in known if find_beside(each, "page_views", "PAGE_VIEWS") is not None]
    towers = [card for card in cards if card.tower is not None]
    refused = [card.name for card in towers if card.refused]
    names = sorted({*seeing, *(card.name for card in towers if not card.refused)})
    error = unknown_name("model that sees pages", name, names, refused)
    for each in refused:
        error.add_remedy(f"{each} has a card, but no request")
    return error


def _compile(name: str, scratch: str, begin: Callable[[str], None]) -> Path:
    from llm_perf_opt.commands.compile_traced import compile_source

    folder = Path(scratch) / name
    compile_source(name, folder, lambda step: begin(f"{name}: {step}"), targets=("python",))
    return folder


def _split(name: str) -> tuple[str, str]:
    """Return the name of a model, and its mode with the mark before it; a folder of this very name is one."""
    head, mark, mode = name.rpartition("@")
    return (head, mark + mode) if mark and head and not Path(name).is_dir() else (name, "")


def _print(found: Comparison) -> None:
    from llm_perf_opt.terminal import open_table_console, print_lines
    from llm_perf_opt.visualize import comparison_page

    console = open_table_console()
    console.print(comparison_page.work_table(found).to_rich("of a page, exact"), "", sep="\n")
    console.print(comparison_page.time_table(found).to_rich(), "", sep="\n")
    for words in (
        f"{found.request.output_tokens:,} text tokens are written for each page; the prompt is its image tokens and "
        f"{found.rows[0].page_class.seq_len - found.rows[0].page_class.image_tokens} more. Exact numbers are of one "
        "page alone.",
        comparison_page.LOGITS,
        comparison_page.describe_times(found),
        *found.notes,
        comparison_page.FRONTIERS,
        *([comparison_page.DOLLAR_FRONTIERS] if found.dollar_frontiers else []),
    ):
        print_lines(f"{words}\n")
    if len(found.request.models) <= _MOST_IN_SENTENCES:
        print_lines("\n".join(comparison_page.list_frontiers(found)))
        print_lines("\n".join(f"{each.page[0]}x{each.page[1]}: {each.sentence}" for each in found.dollar_frontiers))
        return
    for title, table in (*comparison_page.list_frontier_tables(found), *comparison_page.list_dollar_tables(found)):
        console.print(table.to_rich(title), "", sep="\n")
