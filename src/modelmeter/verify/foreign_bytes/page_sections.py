"""The sections of the page: cases with what our formulas say of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from modelmeter.compiler import CompiledModel, compile_model
from modelmeter.evaluate import evaluate
from modelmeter.functions import bounded_routed_reads
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.verify.foreign_bytes.cases import list_page_cases, record_cases
from modelmeter.verify.foreign_bytes.comparison import explain_peaks, explain_traffic
from modelmeter.verify.foreign_bytes.page import Section
from modelmeter.verify.foreign_bytes.sides import Models


def list_sections(architecture: DeepSeekOCRArchitecture, workload: Workload) -> list[Section]:
    """Return the sections of ``workload``.

    Raises
    ------
    CountError
        If the transformers package is missing, or a difference has no known cause.
    """
    compiled = compile_model(architecture)
    recorded = record_cases(partial(Models.build, architecture), list_page_cases(workload))
    return [
        Section(
            title=case.title,
            traffic=explain_traffic(architecture, sides, case.causes),
            peaks=explain_peaks(architecture, sides, case.snapshots),
            formula_bytes=evaluate_formulas(compiled, case.stage, sides.sizes),
        )
        for case, sides in recorded
    ]


def evaluate_formulas(compiled: CompiledModel, stage: str, sizes: Mapping[str, int]) -> int:
    """Return what our formulas say that a case moves, where experts take even shares."""
    if stage == "views":
        # The views of a page go through the towers in one call: as many pages side by side, of one view each.
        views = {"vision_batch_size": sizes["num_views"], "base_size": sizes["view_size"]}
        inputs = {"batch_size": sizes["batch_size"] * sizes["num_views"], **views, **_WITHOUT_TILES}
        stages: tuple[str, ...] = ("vision", "projector")
    else:
        # The first step after a prompt sees one key more than that.
        prompt = sizes["num_keys"] - (stage == "decode")
        inputs = {
            "batch_size": sizes["batch_size"], "seq_len": prompt, "logits_tokens": sizes["logits_tokens"],
            "decode_steps": 1, **_WITHOUT_TILES,
        }  # fmt: skip
        stages = (stage,)
    values = {**compiled.defaults, **inputs}
    totals = compiled.totals.by_stage
    return sum(int(evaluate(totals[name].io_bytes, values, routed_reads=bounded_routed_reads)) for name in stages)


_WITHOUT_TILES = {"num_width_tiles": 0, "num_height_tiles": 0}
