"""The command line ``modelmeter``: parses arguments and prints. What is heavy is imported inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

# These bring their own options, and import late too.
from llm_perf_opt.commands import (
    calibrate,
    compare,
    coverage,
    page_views,
    plan,
    publish,
    report,
    solve,
    study,
    sweep,
    trace,
    verify,
)
from llm_perf_opt.commands.model_option import GraphOption, ModelOption
from llm_perf_opt.exit_codes import print_error, print_warning, run_process, run_to_end
from modelmeter.model.registry import DEFAULT, list_models

app = typer.Typer(
    name="modelmeter",
    help="Exact cost formulas of DeepSeek-OCR: compiled from its torch modules, shown, and evaluated.",
    epilog="""\b
What a page costs:      modelmeter eval request batch_size=4
How that grows:         modelmeter show prefill
How long, what fits:    modelmeter report --workload gundam --hardware h100-sxm""",
    no_args_is_help=True,
    add_completion=False,
    # Plain help and usage errors: no boxes as wide as the terminal, and the same text in a pipe.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"modelmeter {version('modelmeter')}")
        raise typer.Exit


@app.callback()
def take_options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and exit.")
    ] = False,
) -> None:
    """Take what is no option of a command."""


@app.command("models")
def list_registered(
    cards: Annotated[
        bool,
        typer.Option("--cards", help="List the model cards, whose names `compile` takes, with their stages instead."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with stages and how each is checked.")] = False,
) -> None:
    """List the registered models. What is proved of one: `modelmeter verify --model NAME|DIR`."""
    from llm_perf_opt.commands.models import describe_cards, describe_models

    if as_json:
        typer.echo(json.dumps(describe_cards() if cards else describe_models(), indent=2))
    elif cards:
        from modelmeter.frontend.cards.shipped import CARDS

        typer.echo("\n".join(line for card in CARDS.values() for line in card.describe()))
    else:
        typer.echo("\n".join(list_models()))


@app.command("compile")
def compile_model(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="Any causal decoder of transformers: its config.json, the folder of one, or a model type, as llama, "
            "for the defaults of it; or the name of a model card, as qwen2.5-vl-3b (list them with `modelmeter models "
            "--cards`). Else a registered model.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where the files go; else codegen, if nothing there would change."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file in DIR would change.")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The config.json of another model of this family.")
    ] = None,
    graph: GraphOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="What the model is called; else what its config says, or the folder it is in.",
        ),
    ] = None,
    model: ModelOption = DEFAULT,
    save_graph: Annotated[
        Path | None, typer.Option("--save-graph", metavar="FILE", help="Also save the module graph here.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="NAME",
            help="Only this: python, javascript, duckdb, spark, json, or formulas, the pages; repeat it for several.",
        ),
    ] = None,
    general: Annotated[
        bool,
        typer.Option(
            "--general",
            help="Of a decoder of transformers: make sizes of its config symbols too, as hidden_size. It takes half a "
            "minute more, and minutes for a mixture of experts.",
        ),
    ] = False,
    training: Annotated[
        bool,
        typer.Option(
            "--training",
            help="Of a text decoder of transformers: trace its training step too, a forward and the backward of it. It "
            "takes as long again, or longer.",
        ),
    ] = False,
) -> None:
    """Compile evaluators, formulas as data, and pages."""
    from llm_perf_opt.terminal import show_progress

    with show_progress() as begin:
        begin("load the compiler")
        from llm_perf_opt.commands import compile_traced

        if source is not None and compile_traced.is_traced(source):
            compile_traced.refuse_options({"--config": config, "--graph": graph, "--save-graph": save_graph}, model)
            compile_traced.refuse_both(general, training)
            done = compile_traced.compile_source(
                source, out, begin, name=name, check=check, targets=target, general=general, training=training
            )
            typer.echo(done)
            return
        compile_traced.refuse_general(general, training)
        model, config = compile_traced.name_family(source, model, config)
        from llm_perf_opt.commands.compile import choose_folder, compile_files, describe_files, save
        from modelmeter.support.generated_files import StaleError, check_files

        folder = choose_folder(out, model, check=check)
        compilation = compile_files(config, graph, begin, folder, name=name, model=model, targets=target)
        begin("compare the files" if check else "write the files")
        try:
            if check:
                check_files(compilation.files, folder)
        except StaleError as stale:
            typer.echo(stale.diff)
            print_error(stale)
            raise typer.Exit(1) from None
        left = save(compilation, None if check else folder, save_graph, keep=out is None)
    for warning in compilation.warnings:
        print_warning(warning)
    typer.echo(describe_files(compilation.files, folder, "current" if check else "written"))
    if source is not None and (choice := compile_traced.describe_choice(source)):
        typer.echo(choice)
    for path in left:
        typer.echo(f"{folder / path}: no longer generated; remove it, unless it is yours")


@app.command("show")
def show_formulas(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A layer, its torch class, a stage, or training_step.")],
    metric: Annotated[str | None, typer.Option("--metric", metavar="METRIC", help="Only this metric.")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    modules: Annotated[
        bool, typer.Option("--modules", help="Of the training step: what each module is of it, by default sizes.")
    ] = False,
    graph: GraphOption = None,
    model: ModelOption = DEFAULT,
) -> None:
    """Show the formulas of a layer, stage or training step."""
    from llm_perf_opt.commands import show
    from llm_perf_opt.commands.sources import compile_graph, read_graph
    from llm_perf_opt.terminal import has_unicode, open_console

    compiled = compile_graph(read_graph(graph, model), model)
    if modules:
        from llm_perf_opt.commands.training_modules import draw_training_modules

        open_console().print(draw_training_modules(compiled, name, metric, is_latex=latex))
        return
    found = show.find_formulas(compiled, name)
    if metric is not None:
        found = [show.choose_metric(formulas, metric) for formulas in found]
    console = open_console()
    for formulas in found:
        if latex:
            typer.echo(show.render_latex(formulas))
        else:
            console.print(*show.render(formulas, width=console.width, unicode=has_unicode(console)), sep="\n")


@app.command("tree")
def print_tree(
    as_json: Annotated[bool, typer.Option("--json", help="Print the module graph as JSON.")] = False,
    graph: GraphOption = None,
    model: ModelOption = DEFAULT,
) -> None:
    """Show the modules: classes, repetitions, parameters, calls."""
    from llm_perf_opt.commands.sources import read_graph
    from llm_perf_opt.commands.tree import draw_tree
    from llm_perf_opt.terminal import open_console

    modules = read_graph(graph, model)
    if as_json:
        typer.echo(modules.to_json(), nl=False)
    else:
        open_console().print(draw_tree(modules))


@app.command("eval")
def evaluate(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A stage, training_step, step, chunk, a layer, or its torch class.")
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Its sizes; the others have their defaults. A stage takes sizes of the architecture too, as "
            "hidden_size=2560. Bits may be 5.5 or 11/2. A step takes a list: contexts=914,1500,2048.",
        ),
    ] = None,
    page: page_views.PageOption = None,
    crop: page_views.CropOption = True,
    preprocessing: page_views.PreprocessingOption = None,
    model: ModelOption = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with exact integers.")] = False,
) -> None:
    """Evaluate a stage, a training step or a layer, exactly."""
    from llm_perf_opt.commands.evaluate import evaluate as evaluate_arguments
    from llm_perf_opt.terminal import open_console

    views = page_views.PageViews(page=page, crop_mode=crop, preprocessing=preprocessing)
    evaluation = evaluate_arguments(name, arguments or [], views, model=model)
    if as_json:
        typer.echo(evaluation.to_json())
    else:
        open_console().print(evaluation.render())


app.command("report", epilog=report.SAMPLES)(report.report)
app.command("plan", epilog=plan.SAMPLES)(plan.plan)
app.command("compare", epilog=compare.SAMPLES)(compare.compare)
app.command("trace", epilog=report.WORKLOAD_SAMPLE)(trace.trace)
app.command("sweep")(sweep.sweep)
app.command("study")(study.study)
app.command("calibrate", epilog=calibrate.SAMPLE)(calibrate.calibrate)
app.command("solve", epilog=solve.SAMPLES)(solve.solve)
app.command("publish")(publish.publish)
app.command("coverage")(coverage.coverage)
app.command("verify")(verify.verify)


def main() -> NoReturn:
    """Run the command line."""
    run_to_end(app)


def run_script() -> NoReturn:
    """Run the command line as all that this process does."""
    run_process(main)


if __name__ == "__main__":
    run_script()
