"""How costs grow with the prompt: what overtakes what, and the longest prompt of each card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Final

from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.studies import growth, memory
from modelmeter.scaling.studies.asking import Worded, ask_crossover
from modelmeter.scaling.studies.asking_more import ask_elasticity
from modelmeter.scaling.studies.parts import (
    ATTENTION_PART,
    LAST_LOGITS,
    component_metric,
    depends_on,
    list_components,
    list_variants,
    name_following,
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
            worded = name_following(stage_metric(model, stage, metric), _OVER)
            if depends_on(worded.quantity, _OVER) and not rounds(worded.quantity, _OVER):
                yield ask_elasticity(f"{ID}/{stage}-{slug(metric)}", worded, _OVER)
    for stage in model.definition.stage_names:
        parts = {
            each: name_following(worded, _OVER)
            for each in list_components(model, stage)
            if depends_on((worded := component_metric(model, stage, each, "tensor_core_flops")).quantity, _OVER)
        }
        marks: list[Mark] = []
        for one, other in permutations(parts, 2):
            found = ask_crossover(f"{ID}/{stage}-{slug(one)}-over-{slug(other)}", parts[one], parts[other], _OVER)
            if getattr(found.statement, "outcome", "") == "never":
                continue  # the other way round it says the same
            yield found
            if getattr(found.statement, "outcome", "") == "from" and found.value is not None:
                marks.append(Mark(label=f"{one} over {other}", at=found.value))
            yield from _compare_last(model, stage, one, other)
        yield from _ask_causal(model, stage, parts)
        if len(parts) > 1:
            yield draw(
                f"{stage}-parts", f"Matrix products in {stage_words(stage)}, part by part", parts, _OVER, "FLOPs",
                log_range(64, 2**17), marks=tuple(marks),
            )  # fmt: skip
    yield from memory.list_largest(ID, subject, _OVER)
    if LAST_LOGITS.keys() <= model.defaults.keys():
        yield from memory.list_largest(
            ID, subject, _OVER, variant="-last-logits", title=", with logits of the last position only", **LAST_LOGITS
        )
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


def _compare_last(model: CompiledFormulas, stage: str, one: str, other: str) -> Iterator[Finding]:
    """Yield where a part costs as much as another with logits of the last position only, if that matters."""
    metrics = [component_metric(model, stage, part, "tensor_core_flops") for part in (one, other)]
    last = [dict(list_variants(model, each, _OVER)).get("-last-logits") for each in metrics]
    if last == [None, None]:
        return
    first, second = (changed or each for changed, each in zip(last, metrics, strict=True))
    yield ask_crossover(f"{ID}/{stage}-{slug(one)}-over-{slug(other)}-last-logits", first, second, _OVER)


def _ask_causal(model: CompiledFormulas, stage: str, parts: Mapping[str, Worded]) -> Iterator[Finding]:
    """Yield where attention overtakes the other parts in a kernel that skips what a causal mask hides.

    Of the S x S pairs of a prompt that attends to itself, S (S + 1) / 2 are left.
    """
    training = model.definition.training
    if training is None or stage != training.run or ATTENTION_PART not in parts:
        return
    whole = parts[ATTENTION_PART]
    size = model.definition.dimensions.symbol(_OVER)
    left = Quantity(formula=(size + 1) / (2 * size), name="pairs that a causal mask leaves", unit="")
    causal = Worded(whole.quantity * left, f"{whole.words}, half of it skipped under a causal mask,", whole.fixed)
    for other, worded in parts.items():
        if other != ATTENTION_PART:
            found = ask_crossover(f"{ID}/{stage}-causal-{ATTENTION_PART}-over-{slug(other)}", causal, worded, _OVER)
            if getattr(found.statement, "outcome", "") != "never":
                yield found


STUDY: Final = Study(
    id=ID, title="Prompt length",
    question="How do compute, traffic and memory grow with the prompt, which part takes over from which, and how long "
    "may a prompt be?",
    answers=(
        r"prompt-length/prefill-attention-products-over-mlp/crossover/seq_len",
        r"prompt-length/prefill-causal-attention-products-over-mlp/crossover/seq_len",
    ),
    find=_find, explain_absence=needs_sizes(_OVER),
)  # fmt: skip
