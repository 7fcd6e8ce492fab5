"""``modelmeter sweep``: the costs of a stage on a grid of sizes, as a file."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from llm_perf_opt.commands import page_views
from llm_perf_opt.commands.model_option import ModelOption
from modelmeter.model.registry import DEFAULT
from modelmeter.support.errors import OutputError, WorkloadError


def sweep(
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A stage, or training_step.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Sizes that do not vary, and expert_routing=even of a model with experts; others have defaults.",
        ),
    ] = None,
    *,
    grid: Annotated[
        list[str],
        typer.Option(
            "--grid",
            metavar="AXIS",
            help="A size that varies: name=1,2,4 or name=start:stop[:step], as Python's range without the stop. "
            "Give one for each axis; the last varies fastest.",
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            metavar="FILE",
            help="FILE.parquet, which needs pyarrow, or FILE.csv, which does not; - prints CSV.",
        ),
    ],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="METRIC", help="Only this metric; may be repeated.")
    ] = None,
    overflow: Annotated[
        str,
        typer.Option(
            "--overflow",
            metavar="CHOICE",
            help="Where costs may not fit into int64: error, float64, or exact, for decimals of 38 digits, or text "
            "where these do not suffice.",
        ),
    ] = "error",
    page: page_views.PageOption = None,
    crop: page_views.CropOption = True,
    preprocessing: page_views.PreprocessingOption = None,
    model: ModelOption = DEFAULT,
    block_size: Annotated[
        int | None, typer.Option("--block-size", metavar="POINTS", min=1, help="How many are computed at once.")
    ] = None,
) -> None:
    """Evaluate a stage or a training step on a grid, into a file.

    A row is a point. Its columns are the sizes that vary, the arguments that do not (also those at their defaults), and
    the metrics. What follows from other sizes, as seq_len from prompt_tokens, has no column unless it is given.
    """
    try:
        import llm_perf_opt.sweep as sweeps
        from llm_perf_opt.sweep.targets import refuse_foreign
    except ModuleNotFoundError as error:
        raise OutputError("sweeps need NumPy", found=str(error), remedy="pip install 'modelmeter[sweep]'") from None
    from llm_perf_opt.arguments import ROUTING, parse_arguments
    from llm_perf_opt.evaluators import list_defaults
    from llm_perf_opt.terminal import print_lines, track

    metrics = tuple(metric) if metric else sweeps.METRICS
    taken = sweeps.list_arguments(stage, metrics, model=model)
    if any(each.partition("=")[0] == ROUTING for each in grid):
        raise WorkloadError(
            "this argument does not vary", place=f"--grid {ROUTING}", remedy=f"write {ROUTING}=even without --grid"
        )
    axes = tuple(sweeps.parse_axis(each, taken, f"argument of {stage}") for each in grid)
    fixed = parse_arguments(arguments or [], taken, f"argument of {stage}")
    views = page_views.PageViews(page=page, crop_mode=crop, preprocessing=preprocessing)
    if views != page_views.PageViews():
        fixed |= views.find_sizes(stage, fixed, list_defaults(stage, model), {axis.name for axis in axes}, model=model)
    wanted = sweeps.Sweep(
        stage=stage,
        axes=axes,
        fixed=fixed,
        metrics=metrics,
        overflow=overflow,
        model=model,
    )
    # Batch systems end what takes too long with this signal: then too, what was written so far is to be removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    size = block_size or sweeps.BLOCK_SIZE
    blocks = sweeps.compute_blocks(wanted, size)
    if out == sweeps.STDOUT:
        sweeps.write_sweep(wanted, out, blocks)
        return
    refuse_foreign(Path(out), model)
    with track(blocks, total=-(-wanted.num_points // size), description=f"sweep {stage}") as tracked:
        sweeps.write_sweep(wanted, out, tracked)
    print_lines(f"{out}: {wanted.num_points:,} points")
