"""How costs grow with the output: decoding against reading, the cache against the weights, the longest output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from modelmeter.model.stages import REQUEST
from modelmeter.scaling.studies import growth, memory
from modelmeter.scaling.studies.asking import ask_crossover
from modelmeter.scaling.studies.parts import depends_on, find_output_size, stage_metric
from modelmeter.scaling.studies.pictures import draw, log_range, tabulate
from modelmeter.scaling.studies.records import Finding, Mark, Study, Subject

ID: Final = "output-length"
_METRICS: Final = ("tensor_core_flops", "cuda_core_flops", "io_bytes", "fused_io_bytes", "kv_cache_bytes")


def _find(subject: Subject) -> Iterator[Finding]:
    model, over = subject.model, find_output_size(subject.model)
    assert over is not None  # see explain_absence
    yield from growth.list_closed_forms(model, over, ("tensor_core_flops", "io_bytes", "kv_cache_bytes"))
    yield from growth.list_orders(ID, model, over, _METRICS, with_request=True)
    yield from growth.compare_stages(ID, model, over, ("tensor_core_flops", "io_bytes"))
    cache, weights = (stage_metric(model, REQUEST, metric) for metric in ("kv_cache_bytes", "weight_bytes"))
    passing = ask_crossover(f"{ID}/cache-over-weights", cache, weights, over)
    yield passing
    marks = () if passing.value is None else (Mark(label="the cache is as large as the weights", at=passing.value),)
    yield draw(
        "cache-and-weights", "The cache at the end, and the weights", {"cache": cache, "weights": weights}, over,
        "bytes", log_range(64, 2**18), marks=marks,
    )  # fmt: skip
    for metric, unit in (("tensor_core_flops", "FLOPs"), ("io_bytes", "bytes")):
        stages = {name: stage_metric(model, name, metric) for name in model.definition.stage_names}
        yield draw(
            f"stages-{unit.lower()}", f"The stages over the output: {unit}", stages, over, unit, log_range(2, 2**15)
        )
    yield from memory.list_largest(ID, subject, over)
    yield tabulate(
        "stages", "What grows with the output",
        {
            f"{name}_{metric}": worded
            for name in model.definition.stage_names
            for metric in ("tensor_core_flops", "io_bytes", "kv_cache_bytes")
            if depends_on((worded := stage_metric(model, name, metric)).quantity, over)
        },
        over, (1, 16, 128, 512, 1024, 1200, 2048, 4096, 8192, 32768),
    )  # fmt: skip


def _explain_absence(subject: Subject) -> str | None:
    return "the model has no loop" if find_output_size(subject.model) is None else None


STUDY: Final = Study(
    id=ID, title="Output length",
    question="From which output on does decoding cost more than reading the prompt, and how long may an output be?",
    answers=(
        r"output-length/decode-over-prefill-(tensor-core-flops|io-bytes)/crossover/.*",
    ),
    find=_find, explain_absence=_explain_absence,
)  # fmt: skip
