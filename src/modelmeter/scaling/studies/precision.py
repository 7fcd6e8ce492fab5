"""What fewer bits buy: batches that fit, products that turn compute-bound, weights against the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from modelmeter.model.stages import REQUEST
from modelmeter.scaling.studies import growth, memory
from modelmeter.scaling.studies.asking import ask_crossover, ask_growth
from modelmeter.scaling.studies.parts import depends_on, slug, stage_metric
from modelmeter.scaling.studies.pictures import draw, tabulate
from modelmeter.scaling.studies.presence import needs_sizes
from modelmeter.scaling.studies.records import Finding, Study, Subject

ID: Final = "precision"
_WIDTHS: Final = ("weight_bits", "activation_bits", "kv_bits")
_BITS: Final = (16, 8, 4)


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    for over in _WIDTHS:
        yield from growth.list_closed_forms(model, over, ("io_bytes",))
        for name in (*model.definition.stage_names, REQUEST):
            for metric in ("io_bytes", "weight_bytes", "kv_cache_bytes", "peak_activation_bytes"):
                worded = stage_metric(model, name, metric)
                if depends_on(worded.quantity, over):
                    yield ask_growth(f"{ID}/{name}-{slug(metric)}", worded, over)
    for weight_bits in _BITS:
        for kv_bits in _BITS:
            sizes = {"weight_bits": weight_bits, "kv_bits": kv_bits}
            cache, weights = (
                stage_metric(model, REQUEST, metric, **sizes) for metric in ("kv_cache_bytes", "weight_bytes")
            )
            yield ask_crossover(f"{ID}/cache-over-weights-w{weight_bits}-kv{kv_bits}", cache, weights, "batch_size")
    for weight_bits, kv_bits in ((8, 16), (8, 8), (4, 8)):
        yield from memory.list_largest(
            ID, subject, "batch_size", variant=f"-w{weight_bits}-kv{kv_bits}",
            title=f", with {weight_bits} bits a parameter and {kv_bits} a cached element",
            weight_bits=weight_bits, kv_bits=kv_bits,
        )  # fmt: skip
    stages = {
        f"{name}_io_bytes": stage_metric(model, name, "io_bytes") for name in model.definition.stage_names
    }  # fmt: skip
    yield tabulate(
        "traffic", "Memory traffic over the bits of a parameter", stages, "weight_bits", (4, 5, 6, 8, 12, 16)
    )
    lines = {name.removesuffix("_io_bytes"): worded for name, worded in stages.items()}
    yield draw(
        "traffic", "Memory traffic over the bits of a parameter", lines, "weight_bits", "bytes", (2, 4, 8, 16, 32)
    )


STUDY: Final = Study(
    id=ID, title="Precision",
    question="What do fewer bits for parameters, activations and the cache buy in traffic and memory?",
    answers=(
        r"precision/decode-io-bytes/order/(weight_bits|kv_bits)",
        r"precision/cache-over-weights-w(16|8)-kv16/crossover/batch_size",
    ),
    find=_find, explain_absence=needs_sizes(*_WIDTHS, "batch_size"),
)  # fmt: skip
