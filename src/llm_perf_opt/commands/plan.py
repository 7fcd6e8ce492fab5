"""``modelmeter plan``: what a load of pages takes: cards, batch, latency and dollars, with what would help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from llm_perf_opt.commands import page_views
from llm_perf_opt.commands.model_option import ModelOption
from llm_perf_opt.commands.report import (
    ActivationBitsOption,
    DtypeOption,
    KvBitsOption,
    PrecisionOption,
    WeightBitsOption,
)
from llm_perf_opt.defaults import DTYPE
from modelmeter.model.registry import DEFAULT

if TYPE_CHECKING:
    from llm_perf_opt.data.hardware import Float32MatmulPrecision
    from llm_perf_opt.planning.plan import Plan

SAMPLES: Final = """\b
Pages as a CSV; count may be left out:

\b
  width,height,output_tokens,count
  1191,1684,1024,500
  600,800,150,40

\b
A price book:

\b
  prices:
    - {card: l4, usd_per_hour: 0.71, source: my contract, date: '2026-10-01'}

\b
200,000 pages a day, each within a minute:

\b
  modelmeter plan --pages pages.csv --pages-per-day 200000 --max-latency 60 --engine graphs"""

PagesOption = Annotated[
    Path | None,
    typer.Option(
        "--pages",
        metavar="FILE.csv",
        help="Pages: width, height, output_tokens[, count]; or the sizes of what the model is given, instead of sides.",
    ),
]
WorkloadOption = Annotated[
    str | None, typer.Option("--workload", metavar="ID|FILE", help="A page as `modelmeter report` takes it, instead.")
]
OutputTokensOption = Annotated[
    int | None,
    typer.Option(
        "--output-tokens", "--tokens-out", metavar="N", min=1,
        help="Of the page of --page, or of the prompt of --prompt-tokens; 1024 if left out.",
    ),
]  # fmt: skip
PromptTokensOption = Annotated[
    int | None,
    typer.Option(
        "--prompt-tokens", metavar="N", min=1,
        help="Of each prompt, beside its image. Of a text model, the whole prompt, instead of a CSV of several.",
    ),
]  # fmt: skip
ModeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mode",
        metavar="MODE",
        help="How pages are looked at: gundam (the default), tiny, small, base, large or gundam-m; repeat, or all.",
    ),
]
CardOption = Annotated[
    list[str] | None, typer.Option("--card", metavar="ID|FILE", help="A GPU; repeat it. All shipped ones if left out.")
]
PerDayOption = Annotated[float | None, typer.Option("--pages-per-day", metavar="N", help="The load.")]
PerSecondOption = Annotated[float | None, typer.Option("--pages-per-second", metavar="N", help="The load, instead.")]
LatencyOption = Annotated[
    float | None, typer.Option("--max-latency", metavar="SECONDS", help="That 95 of 100 pages are to stay below.")
]
PriceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--price", metavar="PRICE",
        help="Dollars an hour of each GPU, CARD=DOLLARS, or a price book in YAML; may be repeated. Else public ones.",
    ),
]  # fmt: skip
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="ENGINE",
        help="eager or graphs, as measured on GPUs with such memory, or a calibration of your own. Else bounds only.",
    ),
]  # fmt: skip
ReserveOption = Annotated[
    float | None,
    typer.Option("--reserve", metavar="GIB", help="Memory for contexts, kernels and workspaces; 1.25 if left out."),
]
UtilizationOption = Annotated[
    float, typer.Option("--gpu-memory-utilization", metavar="PART", help="The part of the memory that an engine takes.")
]
SequencesOption = Annotated[
    int | None, typer.Option("--max-num-seqs", metavar="N", min=1, help="The most pages that may be in flight.")
]
HeadroomOption = Annotated[
    float, typer.Option("--headroom", metavar="PART", help="The part of each GPU's rate that the load is not to use.")
]
TensorOption = Annotated[
    int, typer.Option("--tensor-parallel", metavar="N", min=1, help="GPUs that share a model; 1 if left out.")
]
ExpertOption = Annotated[
    int,
    typer.Option("--expert-parallel", metavar="N", min=1, help="Groups of these that its experts are divided into."),
]
LogitsOption = Annotated[
    str, typer.Option("--logits", metavar="WORD", help="Positions of a prompt that get logits: last, or all.")
]
BurstinessOption = Annotated[
    float | None,
    typer.Option(
        "--burstiness", metavar="N",
        help="Simulate arrivals: deviation by mean of the time between pages; 0 for a clock, 1 for independent pages.",
    ),
]  # fmt: skip
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the simulated arrivals.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write a page, pictures, JSON and CSV here.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")]


def plan(
    context: typer.Context,
    pages: PagesOption = None,
    workload: WorkloadOption = None,
    page: page_views.PageOption = None,
    output_tokens: OutputTokensOption = None,
    prompt_tokens: PromptTokensOption = None,
    mode: ModeOption = None,
    preprocessing: page_views.PreprocessingOption = None,
    card: CardOption = None,
    pages_per_day: PerDayOption = None,
    pages_per_second: PerSecondOption = None,
    max_latency: LatencyOption = None,
    price: PriceOption = None,
    engine: EngineOption = None,
    dtype: DtypeOption = DTYPE,
    weight_bits: WeightBitsOption = None,
    activation_bits: ActivationBitsOption = None,
    kv_bits: KvBitsOption = None,
    float32_matmul_precision: PrecisionOption = "highest",
    logits: LogitsOption = "last",
    reserve: ReserveOption = None,
    gpu_memory_utilization: UtilizationOption = 0.9,
    max_num_seqs: SequencesOption = None,
    headroom: HeadroomOption = 0.0,
    tensor_parallel: TensorOption = 1,
    expert_parallel: ExpertOption = 1,
    burstiness: BurstinessOption = None,
    seed: SeedOption = 1,
    out: OutOption = None,
    as_json: JsonOption = False,
    model: ModelOption = DEFAULT,
) -> None:
    """Plan GPUs, batch and cost of a load of pages. Says what would help, and the settings of engines."""
    from llm_perf_opt.planning.document import to_document
    from llm_perf_opt.planning.memory import UTILISATION_RULE
    from llm_perf_opt.planning.request import PlanRequest, plan_request
    from llm_perf_opt.reporting.folder import check_folder, write_folder
    from llm_perf_opt.terminal import print_lines, show_progress
    from llm_perf_opt.visualize.plan_folder import check_extras, render_files

    if out is not None:
        check_extras()
        check_folder(out)
    UTILISATION_RULE.check(gpu_memory_utilization, "--gpu-memory-utilization")
    request = PlanRequest(
        model=model,
        pages=pages,
        workload=workload,
        page=None if page is None else page_views.PageViews(page=page).sides,
        output_tokens=output_tokens,
        prompt_tokens=prompt_tokens,
        modes=tuple(mode or ()),
        preprocessing=preprocessing,
        cards=tuple(card or ()),
        pages_per_day=pages_per_day,
        pages_per_second=pages_per_second,
        max_latency_seconds=max_latency,
        prices=tuple(price or ()),
        engine=engine,
        dtype=dtype,
        bits={"weight_bits": weight_bits, "activation_bits": activation_bits, "kv_bits": kv_bits},
        float32_matmul_precision=cast("Float32MatmulPrecision", float32_matmul_precision),
        logits=logits,
        reserve_gib=reserve,
        utilisation=gpu_memory_utilization,
        max_sequences=max_num_seqs,
        headroom=headroom,
        tensor_parallel=tensor_parallel,
        expert_parallel=expert_parallel,
        burstiness=burstiness,
        seed=seed,
    )
    with show_progress() as begin:
        found = plan_request(request, begin)
        if out is not None:
            write_folder(out, render_files(found, _list_given(context)), command="plan")
    if as_json:
        typer.echo(json.dumps(to_document(found), indent=1))
    else:
        _print(found)
        if out is not None:
            print_lines(f"wrote: {out}")


def _list_given(context: typer.Context) -> list[tuple[str, str]]:
    """Return the options that the user gave and that the plan hangs on, as they were given."""
    given = []
    for parameter in context.command.params:
        name = str(parameter.name)
        source, value = context.get_parameter_source(name), context.params.get(name)
        if source is not None and source.name == "COMMANDLINE" and name not in ("out", "as_json"):
            values = value if isinstance(value, list | tuple) else (value,)
            given += [
                (parameter.opts[0], str(each).removesuffix(".0") if isinstance(each, float) else str(each))
                for each in values
            ]
    return given


def _print(found: Plan) -> None:
    from llm_perf_opt.terminal import open_table_console, print_lines
    from llm_perf_opt.visualize import plan_sentences, plan_tables

    mix, names = found.chosen.setup.mix, found.chosen.setup.mix.model.serving
    console = open_table_console()
    whose = "" if mix.model.model == DEFAULT else f"{mix.model.model}: "
    print_lines(
        f"{whose}{names.count_items(mix.num_pages)}. {plan_sentences.describe_choice_of_card(found)}\n\n"
        f"{plan_sentences.describe_waits(found)} {plan_sentences.describe_times(found)}\n"
    )
    notes = (describe(found) for describe in plan_sentences.NOTES)
    print_lines("".join(f"{note}\n" for note in notes if note))
    if (beside := plan_tables.margin_table(found)) is not None:
        console.print(beside.to_rich(), "", sep="\n")
    console.print(plan_tables.pages_table(found).to_rich(), "", sep="\n")
    if len(found.cards) > 1:
        console.print(plan_tables.cards_table(found).to_rich(), "", sep="\n")
    for name, reason in found.left_out.items():
        print_lines(f"{name} is left out: {reason}")
    title = f"{found.chosen.setup.card.hardware_id}, {found.chosen.setup.mode}"
    console.print(
        plan_tables.batches_table(found.chosen).to_rich(title), "", plan_tables.changes_table(found).to_rich(), "",
        plan_tables.memory_table(found).to_rich(), "", sep="\n",
    )  # fmt: skip
    if (simulated := plan_tables.simulation_table(found)) is not None:
        console.print(simulated.to_rich(), "", sep="\n")
    print_lines("\n\n".join(each.snippet for each in found.settings))
