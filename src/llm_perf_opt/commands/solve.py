"""``modelmeter solve``: one question about the formulas, its answer in closed form, and how it is known."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_perf_opt.commands.model_option import ModelOption
from modelmeter.model.registry import DEFAULT

if TYPE_CHECKING:  # these come with sympy
    from llm_perf_opt.data import HardwareSpec
    from modelmeter.compiled_model import CompiledModel
    from modelmeter.scaling import Quantity, Statement

SAMPLES = """\b
Samples:
  modelmeter solve "prefill.modules(*.self_attn).tensor_core_flops >= prefill.modules(*.mlp).tensor_core_flops"
                   --over seq_len
  modelmeter solve "request.weight_bytes + request.kv_cache_bytes + request.peak_activation_bytes
                    <= card.usable_bytes" --over batch_size --hardware h100-sxm
  modelmeter solve "decode.modules(*.mlp).io_bytes" --over batch_size"""


def solve(
    question: Annotated[
        str,
        typer.Argument(
            metavar="QUESTION",
            help="A >= B: from where on; A <= B: up to where; A alone: how it grows. Write STAGE.METRIC, "
            "STAGE.modules(PATTERN).METRIC, STAGE.operator(NAME).METRIC, layer(NAME).METRIC, step.METRIC, sizes, "
            "numbers (80GiB, 3e12 FLOP), + - * / ( ) max(,) min(,), and with --hardware card.NAME.",
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Sizes; the others have their defaults.")
    ] = None,
    over: Annotated[str, typer.Option("--over", metavar="SIZE", help="The size that grows.")] = "",
    first: Annotated[int | None, typer.Option("--from", help="Its least value; else that of the model.")] = None,
    last: Annotated[int | None, typer.Option("--to", help="Its largest value; else it grows without end.")] = None,
    hardware: Annotated[
        str | None, typer.Option("--hardware", metavar="ID|FILE", help="A card, whose numbers are then card.NAME.")
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", metavar="DTYPE", help="Of the card's matrix products.")] = "bfloat16",
    graph: Annotated[
        Path | None, typer.Option("--graph", metavar="FILE", help="Start from this saved module graph.")
    ] = None,
    model: ModelOption = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the certificate.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print the formula of the answer as LaTeX.")] = False,
) -> None:
    """Answer a question about costs in closed form, with a proof."""
    from llm_perf_opt.commands.sources import compile_graph, read_graph
    from llm_perf_opt.hardware import find_hardware
    from modelmeter.backends.latex.printer import print_latex
    from modelmeter.backends.presentation.reader import FormulaReader
    from modelmeter.scaling import solve as answer
    from modelmeter.support.errors import WorkloadError

    if not over:
        raise typer.BadParameter("say which size grows: --over seq_len", param_hint="--over")
    if as_json and latex:
        raise typer.BadParameter("choose --json or --latex", param_hint="--latex")
    compiled = compile_graph(read_graph(graph, model), model)
    own = {} if hardware is None else list_numbers(find_hardware(hardware), dtype)
    if hardware is None and "card." in question:
        raise WorkloadError("the question is about a card", place="card", remedy="choose one: --hardware h100-sxm")
    found = answer(
        question, compiled, over, own=own, bounds=None if first is last is None else {over: (first, last)},
        **read_sizes(arguments or [], compiled, question),
    )  # fmt: skip
    found.check()
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1))
    elif latex:
        reader = FormulaReader(names=compiled.definition.dimensions.latex)
        typer.echo(r"\text{none}" if found.formula is None else print_latex(reader.read(found.formula)))
    else:
        typer.echo(describe(found, over, compiled))


def list_numbers(card: HardwareSpec, dtype: str) -> dict[str, Quantity]:
    """Return the numbers of a card by their names in questions.

    Raises
    ------
    RecordError
        If the card states no rate for the type.
    """
    from llm_perf_opt.data.hardware import exact_rate
    from modelmeter.scaling import Quantity

    rate, _ = card.matrix_peak(dtype)
    numbers = {
        "tensor_flops_per_second": (exact_rate(rate), "FLOP/s"),
        "vector_flops_per_second": (exact_rate(card.vector_flops_per_second), "FLOP/s"),
        "memory_bytes_per_second": (exact_rate(card.memory_bytes_per_second), "byte/s"),
        "memory_bytes": (Fraction(card.memory_bytes), "bytes"),
        "usable_bytes": (Fraction(card.usable_bytes), "bytes"),
    }
    return {f"card.{name}": Quantity(number, f"card.{name}", unit) for name, (number, unit) in numbers.items()}


def read_sizes(assignments: list[str], model: CompiledModel, question: str) -> dict[str, int | Fraction]:
    """Return sizes that are written ``key=value``: of a workload, and of a layer or a step that is asked about.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    WorkloadError
        If one is not written so, is given twice, or is no number.
    """
    from llm_perf_opt.arguments import parse_arguments
    from modelmeter.evaluators.server_steps import DEFAULTS
    from modelmeter.scaling.server_source import read_server_steps

    loop = model.definition.loop
    sizes = [name for name in model.defaults if loop is None or name != loop.index.name]
    if any(f"{name}." in question for name in read_server_steps(model)):
        sizes += DEFAULTS
    if "layer(" in question:
        sizes += [name for entry in model.catalogue for name in entry.sizes if name not in sizes]
    found = parse_arguments(assignments, dict.fromkeys(sizes), "size")
    return {name: value for name, value in found.items() if not isinstance(value, str)}


def describe(found: Statement, over: str, model: CompiledModel) -> str:
    """Return an answer as lines: the sentence, its formula, where it holds, and how it is known.

    The sizes of a model that are its own are not written out: there are dozens, and they are in ``--json``.
    """
    own = model.architecture.dimension_values()
    kept = {name: value for name, value in found.domain.fixed.items() if own.get(name) != value}
    fixed = [f"{name} = {kept[name]}" for name in sorted(kept, key=lambda name: (name in own, name))]
    fixed += [f"the architecture of {model.name}"] if len(kept) < len(found.domain.fixed) else []
    lines = [
        found.sentence,
        "",
        f"formula  {'none in closed form' if found.formula is None else found.formula}",
        f"domain   {over} {found.domain.ranges[over]}",
        *([f"at       {', '.join(fixed)}"] if fixed else []),
        f"known    {found.known}" + "".join(f", by {each.technique}" for each in found.certificates),
    ]
    return "\n".join(lines)
