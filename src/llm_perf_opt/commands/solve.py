"""``modelmeter solve``: one question about the formulas, its answer in closed form, and how it is known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from llm_perf_opt.commands.model_option import ModelOption
from modelmeter.model.registry import DEFAULT

if TYPE_CHECKING:  # these come with sympy
    from llm_perf_opt.data import HardwareSpec
    from modelmeter.compiled_model import CompiledModel
    from modelmeter.model.definition import Model
    from modelmeter.scaling import Quantity, Statement

CARD_NAMES: Final = (
    "card.tensor_flops_per_second", "card.vector_flops_per_second", "card.memory_bytes_per_second",
    "card.memory_bytes", "card.usable_bytes", "card.ratio",
)  # fmt: skip
"""The numbers of a card in questions. The ratio is what it computes in matrix products while it moves one byte."""

_TIME: Final = re.compile(r"time|latency|second|duration|(^|_)(ms|us|ttft|tpot)$")
_TIME_REMEDY: Final = (
    "a time is that of a GPU: with --hardware divide FLOPs by card.tensor_flops_per_second, or bytes by "
    "card.memory_bytes_per_second; modelmeter study says which stage takes longer, and modelmeter report how long"
)

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
            "numbers (80GiB, 3e12 FLOP, 2 * GiB), + - * / ( ) max(,) min(,), and with --hardware "
            f"{', '.join(CARD_NAMES)}.",
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Sizes; the others have their defaults.")
    ] = None,
    over: Annotated[str, typer.Option("--over", metavar="SIZE", help="The size that grows.")] = "",
    first: Annotated[int | None, typer.Option("--from", help="Its least value; else that of the model.")] = None,
    last: Annotated[int | None, typer.Option("--to", help="Its largest value; else it grows without end.")] = None,
    hardware: Annotated[
        str | None,
        typer.Option(
            "--hardware", metavar="ID|FILE", help="A GPU, whose numbers are then names of the question, as card.ratio."
        ),
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", metavar="DTYPE", help="Of the GPU's matrix products.")] = "bfloat16",
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
    from modelmeter.scaling import read_comparison
    from modelmeter.scaling import solve as answer
    from modelmeter.support.errors import WorkloadError

    if as_json and latex:
        raise typer.BadParameter("choose --json or --latex", param_hint="--latex")
    compiled = compile_graph(read_graph(graph, model), model)
    card = None if hardware is None else find_hardware(hardware)
    own = {} if card is None else list_numbers(card, dtype)
    if card is None and "card." in question:
        raise WorkloadError("the question is about a GPU", place="card", remedy="choose one: --hardware h100-sxm")
    if not over:
        with explain_times():
            read_comparison(question, compiled, own)  # what cannot be read at all is said first
        raise WorkloadError("it is not said which size grows", place="--over", remedy="for example: --over seq_len")
    sizes = read_sizes(arguments or [], compiled, question)
    with explain_times():
        found = answer(
            question, compiled, over, own=own, bounds=None if first is last is None else {over: (first, last)}, **sizes
        )
    found.check()
    if as_json:
        document = found.to_json() | ({} if card is None else {"card": card_to_json(card, dtype, own)})
        typer.echo(json.dumps(document, indent=1))
    elif latex:
        reader = FormulaReader(names=compiled.definition.dimensions.latex)
        typer.echo(r"\text{none}" if found.formula is None else print_latex(reader.read(found.formula)))
    else:
        typer.echo("\n".join([describe(found, over, compiled), *describe_card(card, dtype, own, question)]))


@contextmanager
def explain_times() -> Iterator[None]:
    """Say how to ask for a time where a question has one as a metric: costs have none, since it is that of a GPU.

    Raises
    ------
    UnknownNameError
        As the block does.
    """
    from modelmeter.support.suggestions import UnknownNameError

    try:
        yield
    except UnknownNameError as error:
        if _TIME.search(str(error.found)):
            error.add_remedy(_TIME_REMEDY)
        raise


def list_numbers(card: HardwareSpec, dtype: str) -> dict[str, Quantity]:
    """Return the numbers of a card by their names in questions.

    Raises
    ------
    RecordError
        If the card states no rate for the type.
    """
    from llm_perf_opt.data.hardware import exact_rate
    from modelmeter.scaling import Quantity

    rate, bandwidth = exact_rate(card.matrix_peak(dtype)[0]), exact_rate(card.memory_bytes_per_second)
    numbers = (
        (rate, "FLOP/s"), (exact_rate(card.vector_flops_per_second), "FLOP/s"), (bandwidth, "byte/s"),
        (Fraction(card.memory_bytes), "bytes"), (Fraction(card.usable_bytes), "bytes"), (rate / bandwidth, "FLOP/byte"),
    )  # fmt: skip
    return {name: Quantity(number, name, unit) for name, (number, unit) in zip(CARD_NAMES, numbers, strict=True)}


def card_to_json(card: HardwareSpec, dtype: str, numbers: Mapping[str, Quantity]) -> dict[str, Any]:
    """Return a card as JSON: which it is, for which type, and its numbers; a fraction is a text like ``"2/3"``."""
    return {
        "id": card.hardware_id, "name": card.name, "dtype": dtype,
        "numbers": {name.removeprefix("card."): _read_card_number(each) for name, each in numbers.items()},
    }  # fmt: skip


def describe_card(card: HardwareSpec | None, dtype: str, numbers: Mapping[str, Quantity], question: str) -> list[str]:
    """Return a line that names a card, if one was chosen, and has those of its numbers that a question has."""
    if card is None:
        return []
    asked = {f"card.{name}" for name in re.findall(r"\bcard\s*\.\s*(\w+)", question)}
    used = [f"{name} = {_read_card_number(each)} {each.unit}" for name, each in numbers.items() if name in asked] or [
        "the question has no number of it"
    ]
    return [f"card     {card.name} ({card.hardware_id}, {dtype}): {', '.join(used)}"]


def _read_card_number(quantity: Quantity) -> int | str:
    """Return a number of a card: an integer, or a text like ``"19788/67"``."""
    from modelmeter.scaling.domain import number_to_json

    return number_to_json(Fraction(int(quantity.formula.p), int(quantity.formula.q)))


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
    from modelmeter.scaling.sizes import sort_sizes

    loop = model.definition.loop
    names = sort_sizes(model.defaults, model.definition.dimensions.architecture)
    sizes = [name for name in names if loop is None or name != loop.index.name]
    if any(f"{name}." in question for name in read_server_steps(model)):
        sizes += DEFAULTS
    if "layer(" in question:
        sizes += [name for entry in model.catalogue for name in entry.sizes if name not in sizes]
    found = parse_arguments(assignments, dict.fromkeys(sizes), "size")
    return {name: value for name, value in found.items() if not isinstance(value, str)}


def list_replaced(definition: Model, values: Mapping[str, int | Fraction]) -> dict[str, str]:
    """Return what sizes are in terms of those that they follow from: of ``decode_steps``, `` (max_new_tokens = 1024)``.

    Only of sizes that are another size plus a number.
    """
    found = {}
    for each in definition.derivations:
        if each.name in values and each.replaces in each.terms:
            others = [term for term in each.terms if term != each.replaces]
            if all(isinstance(term, int) for term in others):
                value = values[each.name] - sum(term for term in others if isinstance(term, int))
                found[each.name] = f" ({each.replaces} = {value})"
    return found


def describe_knowledge(found: Statement) -> str:
    """Return how an answer is known, with each technique of its proof once: ``proved, by brackets of integers ...``."""
    techniques = dict.fromkeys(f"by {each.technique}" for each in found.certificates)
    return ", ".join([found.known, " and ".join(techniques)]) if techniques else found.known


def describe(found: Statement, over: str, model: CompiledModel) -> str:
    """Return an answer as lines: the sentence, its formula, where it holds, and how it is known.

    The sizes of a model that are its own are not written out: there are dozens, and they are in ``--json``.
    """
    own = model.architecture.dimension_values()
    kept = {name: value for name, value in found.domain.fixed.items() if own.get(name) != value}
    known_as = list_replaced(model.definition, kept)
    fixed = [
        f"{name} = {kept[name]}{known_as.get(name, '')}" for name in sorted(kept, key=lambda name: (name in own, name))
    ]
    fixed += [f"the architecture of {model.name}"] if len(kept) < len(found.domain.fixed) else []
    lines = [
        found.sentence,
        "",
        f"formula  {'none in closed form' if found.formula is None else found.formula}",
        f"domain   {over} {found.domain.ranges[over]}",
        *([f"at       {', '.join(fixed)}"] if fixed else []),
        f"known    {describe_knowledge(found)}",
    ]
    return "\n".join(lines)
