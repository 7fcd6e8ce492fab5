"""How costs grow with the prompt: what overtakes what, and the longest prompt of each card."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Final

from modelmeter.scaling.studies import growth, memory
from modelmeter.scaling.studies.asking import ask_crossover
from modelmeter.scaling.studies.asking_more import ask_elasticity
from modelmeter.scaling.studies.parts import (
    component_metric,
    depends_on,
    list_components,
    rounds,
    slug,
    stage_metric,
    stage_words,
)
from modelmeter.scaling.studies.pictures import draw, log_range, tabulate
from modelmeter.scaling.studies.presence import needs_sizes
from modelmeter.scaling.studies.records import Finding, Mark, Study, Subject

ID: Final = "prompt-length"
_OVER: Final = "seq_len"
_METRICS: Final = ("tensor_core_flops", "cuda_core_flops", "io_bytes", "fused_io_bytes", "kv_cache_bytes")


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    yield from growth.list_closed_forms(model, _OVER, ("tensor_core_flops", "kv_cache_bytes"))
    yield from growth.list_orders(ID, model, _OVER, _METRICS)
    yield from growth.compare_stages(ID, model, _OVER, ("tensor_core_flops", "io_bytes"))
    for stage in model.definition.stage_names:
        for metric in ("tensor_core_flops", "io_bytes"):
            worded = stage_metric(model, stage, metric)
            if depends_on(worded.quantity, _OVER) and not rounds(worded.quantity, _OVER):
                yield ask_elasticity(f"{ID}/{stage}-{slug(metric)}", worded, _OVER)
    for stage in model.definition.stage_names:
        parts = {
            each: worded
            for each in list_components(model, stage)
            if depends_on((worded := component_metric(model, stage, each, "tensor_core_flops")).quantity, _OVER)
        }
        marks: list[Mark] = []
        for one, other in permutations(parts, 2):
            found = ask_crossover(f"{ID}/{stage}-{one}-over-{other}", parts[one], parts[other], _OVER)
            if getattr(found.statement, "outcome", "") == "never":
                continue  # the other way round it says the same
            yield found
            if getattr(found.statement, "outcome", "") == "from" and found.value is not None:
                marks.append(Mark(label=f"{one} over {other}", at=found.value))
        if len(parts) > 1:
            yield draw(
                f"{stage}-parts", f"Matrix products in {stage_words(stage)}, part by part", parts, _OVER, "FLOPs",
                log_range(64, 2**17), marks=tuple(marks),
            )  # fmt: skip
    yield from memory.list_largest(ID, subject, _OVER)
    yield tabulate(
        "stages", "Each stage over the length of the prompt",
        {
            f"{stage}_{metric}": stage_metric(model, stage, metric)
            for stage in model.definition.stage_names
            for metric in ("tensor_core_flops", "io_bytes", "kv_cache_bytes")
            if depends_on(stage_metric(model, stage, metric).quantity, _OVER)
        },
        _OVER, log_range(1024, 2**17),
    )  # fmt: skip


STUDY: Final = Study(
    id=ID, title="Prompt length",
    question="How do compute, traffic and memory grow with the prompt, which part takes over from which, and how long "
    "may a prompt be?",
    answers=(
        r"prompt-length/prefill-tensor-core-flops/order/seq_len",
        r"prompt-length/prefill-attention-products-over-mlp/crossover/seq_len",
    ),
    find=_find, explain_absence=needs_sizes(_OVER),
)  # fmt: skip
