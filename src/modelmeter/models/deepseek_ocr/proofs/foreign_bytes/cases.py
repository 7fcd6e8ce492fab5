"""The cases of the page: stages at the published sizes, each with the causes and the snapshots that explain it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import frozen

from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.decoder_causes import DECODER_CAUSES
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.expert_causes import GROUPED_CAUSES, LOOP_CAUSES
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.sides import Experts, Models
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.snapshots import SNAPSHOTS
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.tower_causes import TOWER_CAUSES
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.verify.foreign_bytes.alive import Snapshots
from modelmeter.verify.foreign_bytes.causes import Cause
from modelmeter.verify.foreign_bytes.records import Sides

EXPERT_CAUSES: Final[Mapping[Experts, tuple[Cause, ...]]] = MappingProxyType(
    {"eager": LOOP_CAUSES, "grouped_mm": GROUPED_CAUSES}
)


@frozen(kw_only=True)
class Case:
    """A stage at some sizes.

    Parameters
    ----------
    title
        For people.
    stage
        ``views``, ``prefill`` or ``decode``.
    experts
        How transformers runs its experts; of views, which have none, any.
    record
        Records both implementations.
    has_peaks
        Whether the peaks are where the snapshots are: not of small views, few logits or few keys.
    """

    title: str
    stage: str
    experts: Experts
    record: Callable[[Models], Sides]
    has_peaks: bool = True

    @property
    def causes(self) -> Sequence[Cause]:
        """What explains the difference."""
        return TOWER_CAUSES if self.stage == "views" else (*DECODER_CAUSES, *EXPERT_CAUSES[self.experts])

    @property
    def snapshots(self) -> Snapshots:
        """What explains the peaks, if it has them."""
        return SNAPSHOTS[self.stage]


def views_case(title: str, *, pages: int, views: int, side: int, has_peaks: bool = True) -> Case:
    """Return the towers and the projector on ``views`` views of ``side`` pixels of each of ``pages`` pages."""
    return Case(
        title=title,
        stage="views",
        experts="eager",
        record=lambda models: models.record_views(batch_size=pages, num_views=views, view_size=side),
        has_peaks=has_peaks,
    )


def prefill_case(
    title: str, experts: Experts, *, sequences: int, positions: int, logits: int, has_peaks: bool = True
) -> Case:
    """Return a prompt without images, of ``positions`` tokens, with logits for the last ``logits`` of them."""
    return Case(
        title=f"{title}, experts `{experts}`",
        stage="prefill",
        experts=experts,
        record=lambda models: models.record_prefill(batch_size=sequences, seq_len=positions, logits_tokens=logits),
        has_peaks=has_peaks,
    )


def decode_case(title: str, experts: Experts, *, sequences: int, keys: int) -> Case:
    """Return a step of one token that sees ``keys`` keys, its own among them."""
    return Case(
        title=f"{title}, experts `{experts}`",
        stage="decode",
        experts=experts,
        record=lambda models: models.record_decode(batch_size=sequences, num_keys=keys),
    )


def list_page_cases(workload: Workload) -> Iterator[Case]:
    """Yield the cases that a page shows of ``workload``: its stages, and the global views of three of its pages."""
    pages, side, keys = workload.batch_size, workload.base_size, workload.seq_len + 1
    yield views_case(f"Global view of {side} pixels", pages=pages, views=1, side=side)
    if workload.tiles:
        tiles = f"{workload.num_width_tiles} by {workload.num_height_tiles} tiles of {workload.image_size} pixels"
        yield views_case(tiles, pages=pages, views=workload.tiles, side=workload.image_size)
    yield views_case(f"Global views of {side} pixels, 3 pages", pages=3 * pages, views=1, side=side)
    for experts in EXPERT_CAUSES:
        yield prefill_case(
            f"Prompt of {workload.seq_len} tokens", experts,
            sequences=pages, positions=workload.seq_len, logits=workload.logits_tokens,
        )  # fmt: skip
    for experts in EXPERT_CAUSES:
        yield decode_case(f"Step that sees {keys} keys", experts, sequences=pages, keys=keys)


def list_points(*, is_quick: bool = False) -> Iterator[Case]:
    """Yield cases at sizes that are unlike each other: of pages, views, sequences and keys."""
    # Padded windows, and sides that fill no patch; single views and several; one window only; whole windows.
    views = ((3, 1, 613), (1, 5, 509), (2, 1, 221), (3, 7, 345), (1, 3, 1120), (2, 5, 448), (1, 1, 1024), (1, 7, 640))
    for pages, number, side in views[:2] if is_quick else views:
        yield views_case(
            f"{pages} pages of {number} views of {side} pixels",
            pages=pages, views=number, side=side, has_peaks=side > 400,
        )  # fmt: skip
    prompts = ((3, 101, 101), (5, 89, 7), (1, 127, 11), (1, 1, 1), (2, 709, 709))
    for sequences, positions, logits in prompts[:2] if is_quick else prompts:
        for experts in EXPERT_CAUSES:
            yield prefill_case(
                f"{sequences} prompts of {positions} tokens, {logits} with logits", experts,
                sequences=sequences, positions=positions, logits=logits, has_peaks=logits > 100,
            )  # fmt: skip
    steps = ((7, 173), (1, 331), (67, 5), (3, 4099))
    for sequences, keys in steps[:1] if is_quick else steps:
        for experts in EXPERT_CAUSES:
            yield decode_case(f"{sequences} steps that see {keys} keys", experts, sequences=sequences, keys=keys)


def record_cases(build: Callable[[Experts], Models], cases: Iterable[Case]) -> Iterator[tuple[Case, Sides]]:
    """Yield each case with its recordings; ``build`` makes the models, once for each way to run experts.

    Raises
    ------
    CountError
        If the transformers package is missing, or has no such model.
    """
    models: dict[Experts, Models] = {}
    for case in cases:
        if case.experts not in models:
            models[case.experts] = build(case.experts)
        yield case, case.record(models[case.experts])
