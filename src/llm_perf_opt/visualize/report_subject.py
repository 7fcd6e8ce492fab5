"""What a report is about, in the words that its pages and lines have in common."""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import frozen

from llm_perf_opt.data import AnalyticModelReport, Prediction
from llm_perf_opt.data.compiled_report import CompiledModelReport
from llm_perf_opt.reporting.memory import MemoryNeed, measure_memory

Report: TypeAlias = AnalyticModelReport | CompiledModelReport
"""Of DeepSeek-OCR, or of a compiled model."""

_LAST_LOGITS: Final = 1
"""Positions of each prompt that get logits in a compiled model."""

_HOST: Final = (
    "The estimates do not include what the host takes to decode, cut and resize the pages: it does so before the card "
    "works on them, or while the card works on others."
)


@frozen(kw_only=True)
class Subject:
    """The subject of a report.

    Parameters
    ----------
    model, name
        The model, and the workload.
    model_words
        The model with what else is known of it.
    count
        How many pages or prompts there are; they are one batch.
    item, items
        What each of them is, in singular and plural.
    memory_note
        Which logits are counted, and how the vision stage is called: sentences.
    host_note
        What the host does before the card, for estimates: a sentence, or nothing.
    needs
        What stands in memory.
    """

    model: str
    name: str
    model_words: str
    count: int
    item: str
    items: str
    memory_note: str
    host_note: str
    needs: tuple[MemoryNeed, ...]

    @property
    def together(self) -> str:
        """All of them, as a sentence says it."""
        return f"one {self.item}" if self.count == 1 else f"a batch of {self.count} {self.items}"


def read_prediction(report: Report) -> Prediction:
    """Return the prediction of a report.

    Raises
    ------
    ValueError
        If it has none.
    """
    if report.prediction is None:
        raise ValueError("a report without a prediction has no pages")
    return report.prediction


def describe_subject(report: Report) -> Subject:
    """Return what a report with a prediction is about."""
    prediction, model_id = read_prediction(report), report.model.model_id
    if isinstance(report, CompiledModelReport):
        looks_at_pages = any(stage.stage == "vision" for stage in prediction.stages)
        return Subject(
            model=model_id,
            name=report.workload.profile_id,
            model_words=f"{model_id}, {report.model.qualified_class_name}",
            count=int(prediction.sizes["batch_size"]),
            item="prompt",
            items="prompts",
            memory_note="The last position of each prompt gets logits, as serving engines make them."
            + (" The vision stage takes all images in one call." if looks_at_pages else ""),
            host_note=_HOST if looks_at_pages else "",
            needs=measure_memory(prediction, _LAST_LOGITS),
        )
    calls = report.workload.vision_batch_size
    return Subject(
        model=model_id,
        name=report.workload.profile_id,
        model_words=f"{model_id}, {report.model.model_variant}",
        count=report.workload.num_pages,
        item="page",
        items="pages",
        memory_note="Logits of all positions are what the vendor's code makes, those of the last one what serving "
        f"engines make. The vision towers take {'one page' if calls == 1 else f'{calls} pages'} in a call.",
        host_note=_HOST,
        needs=measure_memory(prediction),
    )
