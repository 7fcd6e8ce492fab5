"""Tiles: what cutting a page into more of them costs, tall and wide grids, and how many a card takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from modelmeter.metrics.metric import PEAK
from modelmeter.models.deepseek_ocr.image_preprocessing import MAX_TILES, PREPROCESSINGS
from modelmeter.models.deepseek_ocr.studies.resolution import ask_best_side, tokens_of
from modelmeter.scaling.studies import memory
from modelmeter.scaling.studies.asking import Worded, ask_crossover, ask_growth, ask_which
from modelmeter.scaling.studies.parts import depends_on, slug, stage_metric
from modelmeter.scaling.studies.pictures import draw, values_at, write_where
from modelmeter.scaling.studies.records import Cell, Column, Finding, Study, StudyTable, Subject

ID: Final = "tiles"
_SIDES: Final = ("num_width_tiles", "num_height_tiles")

_PER_TOKEN: Final = (
    ("vision", "tensor_core_flops"), ("vision", "io_bytes"), ("prefill", "io_bytes"), ("decode", "io_bytes"),
)  # fmt: skip
_STAGES: Final = ("vision", "projector", "prefill", "decode")


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    tokens = tokens_of(model)
    for over in _SIDES:
        yield ask_growth(f"{ID}/image-tokens", tokens, over)
        for name in _STAGES:
            for metric in ("tensor_core_flops", "io_bytes", "kv_cache_bytes"):
                worded = stage_metric(model, name, metric)
                if depends_on(worded.quantity, over):
                    yield ask_growth(f"{ID}/{name}-{slug(metric)}", worded, over)
        for one, other in (("vision", "decode"), ("vision", "prefill"), ("prefill", "decode")):
            first, second = (stage_metric(model, name, "tensor_core_flops") for name in (one, other))
            yield ask_which(f"{ID}/{one}-over-{other}", f"{ID}/{other}-over-{one}", first, second, over)
        yield from memory.list_largest(ID, subject, over)
        most = MAX_TILES // max(model.defaults[side] for side in _SIDES if side != over)
        yield from ask_best_side(ID, model, over, (1, most), _PER_TOKEN)
    rules = " and ".join(f"{program.max_tiles} (`{program.name}`)" for program in PREPROCESSINGS.values())
    yield f"The vendor's preprocessing cuts a page into at most {rules} tiles: what fits beyond is the formulas' alone."
    grids = [
        (width, height)
        for width in range(1, MAX_TILES + 1)
        for height in range(1, MAX_TILES + 1)
        if 1 < width * height <= MAX_TILES
    ]  # fmt: skip
    for width, height in grids:
        if width < height:
            for metric in ("tensor_core_flops", "kv_cache_bytes", PEAK):
                tall, wide = (_in_grid(subject, metric, *grid) for grid in ((width, height), (height, width)))
                yield ask_crossover(
                    f"{ID}/{width}x{height}-over-{height}x{width}-{slug(metric)}", tall, wide, "max_new_tokens"
                )
    yield _tabulate(subject, tokens, grids)
    lines = {name: stage_metric(model, name, "tensor_core_flops") for name in _STAGES}
    yield draw(
        "over-rows", "Matrix products over the rows of tiles, 2 tiles wide", lines, "num_height_tiles", "FLOPs",
        tuple(range(1, 10)), is_log_x=False,
    )  # fmt: skip


def _in_grid(subject: Subject, metric: str, width: int, height: int) -> Worded:
    sizes = {"num_width_tiles": width, "num_height_tiles": height}
    worded = stage_metric(subject.model, "request", metric, **sizes)
    return Worded(worded.quantity, f"{worded.words} with {width} x {height} tiles")


def _tabulate(subject: Subject, tokens: Worded, grids: list[tuple[int, int]]) -> StudyTable:
    rows: list[tuple[Cell, ...]] = []
    for width, height in grids:
        sizes = {"num_width_tiles": width, "num_height_tiles": height}
        count = values_at(tokens.quantity.at(**sizes), "max_new_tokens", [1024])[0]
        costs = [
            values_at(
                stage_metric(subject.model, name, "tensor_core_flops", **sizes).quantity, "max_new_tokens", [1024]
            )[0]
            for name in _STAGES
        ]
        rows.append((width, height, count, *costs))
    columns = (
        *(Column(name=side, unit="tiles") for side in _SIDES), Column(name="image_tokens", unit="tokens"),
        *(Column(name=f"{name}_tensor_core_flops", unit="FLOPs") for name in _STAGES),
    )  # fmt: skip
    where = write_where([_in_grid(subject, "io_bytes", *grid) for grid in grids], "max_new_tokens")
    return StudyTable(
        name="grids", title="Grids of up to 9 tiles, 1,024 new tokens", columns=columns, rows=tuple(rows), where=where
    )


STUDY: Final = Study(
    id=ID, title="Tiles",
    question="What does each further tile cost, does a tall grid cost more than a wide one, and how many tiles fit?",
    find=_find,
)  # fmt: skip
