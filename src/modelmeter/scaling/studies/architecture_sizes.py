"""What the architecture's own sizes cost: one more expert, head, layer or channel."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from modelmeter.model.stages import ARCHITECTURE_CONVENTION, REQUEST
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.question import ask
from modelmeter.scaling.studies.asking import Worded, ask_monotone, ask_order
from modelmeter.scaling.studies.asking_choices import ask_difference
from modelmeter.scaling.studies.parts import depends_on, slug, stage_metric
from modelmeter.scaling.studies.pictures import values_at, write_where
from modelmeter.scaling.studies.presence import say_why
from modelmeter.scaling.studies.records import Cell, Column, Finding, IdentifiedStatement, Study, StudyTable, Subject
from modelmeter.scaling.studies.words import METRIC_WORDS

ID: Final = "architecture"
_BATCH: Final = "batch_size"
_HELD: Final = ("weight_bytes", "kv_cache_bytes")
_METRICS: Final = (
    (REQUEST, "weight_bytes"), (REQUEST, "kv_cache_bytes"), (REQUEST, "tensor_core_flops"), (REQUEST, "io_bytes"),
)  # fmt: skip


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    rows: list[tuple[Cell, ...]] = []
    varied: list[Worded] = []
    for over in model.architecture.dimension_values():
        for stage, metric in _METRICS:
            worded = stage_metric(model, stage, metric)
            if not depends_on(worded.quantity, over):
                continue
            yield _ask_growth(model, stage, metric, worded, over)
            rows += _vary(model, stage, metric, over)
            varied.append(worded)
        yield from _compare_half(model, over)
    yield StudyTable(
        name="half-and-double", title="What half or twice a size changes, all others as they are",
        columns=(
            Column(name="size"), Column(name="metric"), Column(name="value"), Column(name="cost"),
            Column(name="cost_of_this_model"), Column(name="ratio"),
        ),
        rows=tuple(rows), where=write_where(varied, ""),
    )  # fmt: skip


def _ask_growth(model: CompiledFormulas, stage: str, metric: str, worded: Worded, over: str) -> IdentifiedStatement:
    """Return how a metric grows; of sizes with an end, and of expected reads of experts, which way it goes."""
    allowed = ask((worded.quantity,), over).range
    name = f"{ID}/{stage}-{slug(metric)}"
    if allowed.last is None and metric != "io_bytes":
        return ask_order(name, worded, over)
    end = 2 * model.defaults[over] if allowed.last is None else allowed.last
    return ask_monotone(name, worded, over, bounds={over: (allowed.first, end)})


def _compare_half(model: CompiledFormulas, over: str) -> Iterator[IdentifiedStatement]:
    """Yield what half of a size changes, stage by stage, where the model allows it and the batch matters."""
    half = model.defaults[over] // 2
    if _BATCH not in model.defaults:
        return
    for metric in ("weight_bytes", "tensor_core_flops", "kv_cache_bytes"):
        # What is held is held once, whatever the stages that use it.
        names = (REQUEST,) if metric in _HELD else model.definition.stage_names
        whole = {name: stage_metric(model, name, metric) for name in names}
        moving = {name: each for name, each in whole.items() if depends_on(each.quantity, over)}
        if not moving or half not in ask([each.quantity for each in moving.values()], over).range:
            continue
        less = {name: stage_metric(model, name, metric, **{over: half}) for name in moving}
        said = (f"{METRIC_WORDS[metric]} of the model", f"what it would be with half of {over}, {half:,}")
        yield ask_difference(f"{ID}/half-{slug(over)}-{slug(metric)}", moving, less, _BATCH, said)


def _vary(model: CompiledFormulas, stage: str, metric: str, over: str) -> Iterator[tuple[Cell, ...]]:
    """Yield the cost at half and at twice a size, where the model allows them."""
    quantity = stage_metric(model, stage, metric).quantity
    allowed = ask((quantity,), over).range
    own = model.defaults[over]
    (cost,) = values_at(quantity, over, [own])
    for value in (own // 2, 2 * own):
        if value in allowed and value != own:
            (other,) = values_at(quantity, over, [value])
            yield (over, f"{stage}.{metric}", value, other, cost, Fraction(other) / Fraction(cost) if cost else None)


STUDY: Final = Study(
    id=ID, title="The architecture's own sizes",
    question="What would one more expert, head, layer or channel cost, and what would half or twice as many?",
    answers=(
        r"architecture/request-weight-bytes/.*/(num_hidden_layers|n_routed_experts|moe_intermediate_size)",
        r"architecture/request-kv-cache-bytes/.*/num_hidden_layers",
        r"architecture/request-weight-bytes/.*/hidden_size",
    ),
    find=_find,
    explain_absence=lambda subject: None
    if subject.model.architecture.dimension_values()
    else say_why(subject, ARCHITECTURE_CONVENTION, "the model has no sizes of its own"),
)  # fmt: skip
