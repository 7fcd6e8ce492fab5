"""Chunked prefill: what it costs to read a prompt in pieces, and how long a piece must be to be bound by compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sympy

from modelmeter.evaluators.server_steps import CHUNK
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.context import Context
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.server_source import read_server_steps, server_step
from modelmeter.scaling.studies.asking import Worded, ask_crossover, ask_growth, ask_limit
from modelmeter.scaling.studies.parts import slug, stage_metric
from modelmeter.scaling.studies.pictures import draw, log_range, tabulate
from modelmeter.scaling.studies.records import Finding, Study, Subject
from modelmeter.scaling.studies.roofline import compute_time, memory_time
from modelmeter.scaling.studies.words import METRIC_WORDS

ID: Final = "chunked-prefill"

_CHUNKS: Final = (256, 512, 2048)
"""Positions of a chunk."""

_COUNT: Final = "num_chunks"
"""A size of this study's own: the chunks that a prompt is cut into."""

_METRICS: Final = ("tensor_core_flops", "io_bytes")


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    for metric in _METRICS:
        yield ask_growth(f"{ID}/chunk-{slug(metric)}", _in_chunk(model, metric, seq_len=512), "cached_tokens")
        yield ask_growth(f"{ID}/chunk-{slug(metric)}", _in_chunk(model, metric, cached_tokens=512), "seq_len")
    flops, moved = (_in_chunk(model, metric, cached_tokens=2048) for metric in _METRICS)
    for card in subject.cards:
        arithmetic = compute_time(card, flops.quantity, f"({flops.quantity.name} / {card.id} FLOP/s)")
        traffic = memory_time(card, moved.quantity, f"({moved.quantity.name} / {card.id} byte/s)")
        yield ask_crossover(
            f"{ID}/{card.id}-compute-bound",
            Worded(arithmetic, f"the arithmetic time of the matrix products of a chunk on {card.name}"),
            Worded(traffic, "the time of its memory traffic"), "seq_len",
        )  # fmt: skip
    for tokens in _CHUNKS:
        for metric in _METRICS:
            cut, whole = _of_prompt(model, metric, tokens)
            yield ask_crossover(f"{ID}/{tokens}-over-whole-{slug(metric)}", cut, whole, _COUNT)
            ratio = Worded(
                cut.quantity / whole.quantity,
                f"{cut.words}, as a part of that of the same prompt in one piece,", cut.fixed,
            )  # fmt: skip
            yield ask_limit(f"{ID}/{tokens}-part-of-whole-{slug(metric)}", ratio, _COUNT)
    yield tabulate(
        "chunk", "One chunk behind 2,048 cached positions, without logits, over its length",
        {f"chunk_{metric}": _in_chunk(model, metric, cached_tokens=2048) for metric in _METRICS}, "seq_len",
        log_range(16, 4096),
    )  # fmt: skip
    lines = {f"{tokens} positions a chunk": _of_prompt(model, "io_bytes", tokens)[0] for tokens in _CHUNKS}
    yield draw(
        "traffic", "Memory traffic of prompts in chunks, by the number of chunks", lines, _COUNT, "bytes",
        log_range(1, 64),
    )  # fmt: skip


def _in_chunk(model: CompiledFormulas, metric: str, **sizes: int) -> Worded:
    quantity = server_step(model, CHUNK).metric(metric).at(logits_tokens=0, **sizes)
    return Worded(quantity, f"{METRIC_WORDS[metric]} of a chunk of a prefill")


def _of_prompt(model: CompiledFormulas, metric: str, tokens: int) -> tuple[Worded, Worded]:
    """Return what a prompt costs in chunks of so many positions, and in one piece: logits of its last position only.

    The first chunk is a prefill. What the later ones cost is a polynomial in the positions that are cached before
    them, so their sum is one in the number of chunks.
    """
    count = sympy.Symbol(_COUNT, integer=True, positive=True)
    first = stage_metric(model, "prefill", metric, seq_len=tokens, logits_tokens=1).quantity
    later = server_step(model, CHUNK).metric(metric).at(seq_len=tokens, logits_tokens=0)
    whole = stage_metric(model, "prefill", metric, logits_tokens=1).quantity
    formula, fixed = later.context.fill(later.formula, later.values, ["cached_tokens"])
    (cached,) = (each for each in formula.free_symbols if each.name == "cached_tokens")
    begun, _ = first.context.fill(first.formula, first.values, [])
    total = begun
    for (power,), coefficient in sympy.Poly(formula, cached).terms():
        place = sympy.Symbol("place")
        total += coefficient * tokens**power * sympy.summation(place**power, (place, 1, count - 1))
    one_piece, also = whole.context.fill(whole.formula, whole.values, ["seq_len"])
    in_one = one_piece.xreplace({each: tokens * count for each in one_piece.free_symbols if each.name == "seq_len"})
    numbers = {name: value for name, value in {**also, **fixed}.items() if name not in ("seq_len", "logits_tokens")}
    known = Context(dimensions=later.context.dimensions)  # numbers are in the formula; what sizes are is to be said
    cut, single = (
        Quantity(formula=sympy.expand(each), name=name, unit=whole.unit, context=known)
        for each, name in ((total, f"in_chunks({metric}, {tokens})"), (in_one, f"in_one_piece({metric})"))
    )
    said = METRIC_WORDS[metric]
    return (
        Worded(cut, f"{said} of the prefill of a prompt in chunks of {tokens:,} positions", numbers),
        Worded(single, "that of the same prompt in one piece", numbers),
    )


def _explain_absence(subject: Subject) -> str | None:
    has_chunks = CHUNK in read_server_steps(subject.model) and "prefill" in subject.model.definition.stage_names
    return None if has_chunks else "the model has no chunk of a prefill"


STUDY: Final = Study(
    id=ID, title="Chunked prefill",
    question="What does it cost to read a prompt in chunks, and from which length on is a chunk bound by compute?",
    answers=(
        r"chunked-prefill/512-part-of-whole-(tensor-core-flops|io-bytes)/limit/num_chunks",
        r"chunked-prefill/h100-sxm-compute-bound/crossover/seq_len",
    ),
    find=_find, explain_absence=_explain_absence,
)  # fmt: skip
