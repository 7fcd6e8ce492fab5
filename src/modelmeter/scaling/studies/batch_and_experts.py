"""What a larger batch buys: shared weights, experts that are read anyway, and the largest batch of each card."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from modelmeter.model.stages import REQUEST
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.studies import growth, memory
from modelmeter.scaling.studies.asking import Worded, ask_crossover, ask_limit, ask_smallest, budget
from modelmeter.scaling.studies.asking_choices import ask_map
from modelmeter.scaling.studies.experts import RoutedModule, list_routed, read_share
from modelmeter.scaling.studies.parts import (
    LAST_LOGITS,
    depends_on,
    find_output_size,
    list_products,
    row_metric,
    slug,
    stage_metric,
    stage_words,
)
from modelmeter.scaling.studies.pictures import draw, log_range, tabulate
from modelmeter.scaling.studies.presence import needs_sizes
from modelmeter.scaling.studies.records import Finding, Mark, Study, Subject
from modelmeter.scaling.studies.roofline import ask_compute_bound
from modelmeter.scaling.studies.words import write_percent, write_rounded

ID: Final = "batch-and-experts"
_OVER: Final = "batch_size"
_MOST_ROWS: Final = 32
_LARGEST: Final = {
    "tensor_core_flops": "the most work of matrix products (FLOPs)", "io_bytes": "the most memory traffic (bytes)",
}  # fmt: skip
_SHARES: Final = (Fraction(1, 2), Fraction(9, 10), Fraction(99, 100), Fraction(999, 1000))
"""Not all of them: an expectation never reaches that, only its rounding does."""


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    yield from growth.list_closed_forms(model, _OVER, ("tensor_core_flops", "io_bytes", "kv_cache_bytes"))
    yield from growth.list_orders(ID, model, _OVER, ("io_bytes", "fused_io_bytes"))
    yield from growth.compare_stages(ID, model, _OVER, ("tensor_core_flops", "io_bytes"))
    yield from _map_stages(model)
    cache, weights = (stage_metric(model, REQUEST, metric) for metric in ("kv_cache_bytes", "weight_bytes"))
    yield ask_crossover(f"{ID}/cache-over-weights", cache, weights, _OVER)
    for routed in list_routed(model):
        yield from _ask_experts(subject, routed)
    for name in model.definition.stage_names:
        flops, moved = (stage_metric(model, name, metric) for metric in ("tensor_core_flops", "io_bytes"))
        intensity = Worded(
            flops.quantity / moved.quantity, f"the FLOPs per byte of matrix products in {stage_words(name)}"
        )
        yield ask_limit(f"{ID}/{name}-intensity", intensity, _OVER)
        for card in subject.cards:
            needed = budget(
                card.flops_per_byte,
                intensity.quantity.unit,
                f"{write_rounded(card.flops_per_byte)}, as {card.name} needs,",
            )
            yield ask_crossover(f"{ID}/{card.id}-{name}-intensity", intensity, needed, _OVER)
    looped = model.definition.looped_stage or model.definition.stage_names[-1]
    for product in list_products(model, looped):
        if not depends_on(row_metric(model, product, "tensor_core_flops"), _OVER):
            continue
        for card in subject.cards:
            yield ask_compute_bound(ID, model, card, product, _OVER)
    yield from memory.list_largest(ID, subject, _OVER)
    if LAST_LOGITS.keys() <= model.defaults.keys():
        yield from memory.list_largest(
            ID, subject, _OVER, variant="-last-logits", title=", with logits of the last position only", **LAST_LOGITS
        )
    yield tabulate(
        "stages", "What grows with the batch",
        {
            f"{name}_{metric}": stage_metric(model, name, metric)
            for name in model.definition.stage_names
            for metric in ("tensor_core_flops", "io_bytes")
        },
        _OVER, log_range(1, 1024),
    )  # fmt: skip


def _map_stages(model: CompiledFormulas) -> Iterator[Finding]:
    """Yield which stage costs most over batches and outputs together."""
    along = find_output_size(model)
    for metric in ("tensor_core_flops", "io_bytes"):
        stages = {name: stage_metric(model, name, metric) for name in model.definition.stage_names}
        moving = {name for name, each in stages.items() if along and depends_on(each.quantity, along)}
        if along is None or not moving or len(stages) == 1:
            continue
        bounds = {_OVER: (1, _MOST_ROWS), along: (model.definition.dimensions.describe(along).minimum, None)}
        yield ask_map(f"{ID}/stages-{slug(metric)}", stages, (_OVER, along), f"{_LARGEST[metric]}", bounds=bounds)


def _ask_experts(subject: Subject, routed: RoutedModule) -> Iterator[Finding]:
    """Yield from which batch a decode step reads so much of the experts."""
    read = read_share(subject.model, routed, _OVER)
    marks: list[Mark] = []
    for share in _SHARES:
        wanted = budget(share * routed.weights_of_all, "parameters", f"{write_percent(share)} of them")
        found = ask_smallest(f"{ID}/{routed.id}-read-{share.numerator}-of-{share.denominator}", read, wanted, _OVER)
        yield found
        if found.value is not None:
            marks.append(Mark(label=write_percent(share), at=found.value))
    everything = Worded(budget(routed.weights_of_all, "parameters", "all").quantity, "all")
    yield draw(
        f"{routed.id}-read", f"Parameters of {routed.words} that one decode step reads in a layer",
        {"read, expected": read, "all": everything}, _OVER, "parameters", log_range(1, 512), marks=tuple(marks),
        is_log_y=False,
    )  # fmt: skip


STUDY: Final = Study(
    id=ID, title="Batch and experts",
    question="What does a larger batch buy, from which batch on are matrix products bound by compute, and how large "
    "may it be?",
    answers=(
        r"batch-and-experts/.*-read-9-of-10/smallest/batch_size",
        r"batch-and-experts/decode-intensity/limit/batch_size",
        r"batch-and-experts/decode-io-bytes/order/batch_size",
    ),
    find=_find, explain_absence=needs_sizes(_OVER),
)  # fmt: skip
