"""The peak of every stage equals a walk over the live storages of the reference model, with difference 0."""

from __future__ import annotations

import pytest
import torch
from attrs import frozen
from torch import Tensor

from modelmeter.compiler import CompiledModel
from modelmeter.evaluate import evaluate
from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS, DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import STAGES, stage_of
from modelmeter.models.deepseek_ocr.reference import KeyValueCache, build_reference
from modelmeter.models.deepseek_ocr.vision_tokens import image_tokens
from modelmeter.verify.live_storages import watch_storages


@frozen
class Workload:
    """Sides in pixels, the tile grid, pages, text tokens, positions with logits, and decode steps."""

    base_size: int
    image_size: int
    num_width_tiles: int
    num_height_tiles: int
    batch_size: int
    text_tokens: int
    logits_tokens: int
    decode_steps: int

    def tokens(self, patch_size: int) -> int:
        views = (self.base_size, self.image_size, self.num_width_tiles, self.num_height_tiles)
        return int(image_tokens(*views, patch_size)) + self.text_tokens

    def views(self) -> tuple[Tensor, Tensor | None]:
        def empty(count: int, side: int) -> Tensor:
            return torch.empty(self.batch_size * count, IMAGE_CHANNELS, side, side, device="meta", dtype=torch.bfloat16)

        tiles = self.num_width_tiles * self.num_height_tiles
        return empty(1, self.base_size), empty(tiles, self.image_size) if tiles > 1 else None


def watch_stages(architecture: DeepSeekOCRArchitecture, workload: Workload) -> dict[str, int]:
    """Return the most elements that were alive beside an operator of each stage."""
    model = build_reference(architecture, expert_routing="even")
    seq_len = workload.tokens(architecture.sam_patch_size)
    memory = KeyValueCache(
        architecture, batch_size=workload.batch_size, capacity=seq_len + workload.decode_steps, device="meta",
        dtype=torch.bfloat16,
    )  # fmt: skip
    views, tiles = workload.views()
    ids = torch.zeros(workload.batch_size, seq_len, dtype=torch.int64, device="meta")

    def prefill() -> Tensor:
        return model(ids, memory, views, tiles, workload.num_width_tiles, logits_tokens=workload.logits_tokens)

    forwards = [("prefill", prefill), *[("decode", lambda: model(ids[:, :1], memory))] * workload.decode_steps]
    peaks = dict.fromkeys(STAGES, 0)
    for run, forward in forwards:
        for live in watch_storages(model, forward, cache=(*memory.keys, *memory.values)):
            stage = stage_of(run, live.path)
            peaks[stage] = max(peaks[stage], live.elements)
    return peaks


@pytest.fixture
def model(request: pytest.FixtureRequest) -> CompiledModel:
    """The compiled model that the parameter names."""
    compiled: CompiledModel = request.getfixturevalue(request.param)
    return compiled


@pytest.mark.parametrize(
    ("model", "workload"),
    [
        # One page in gundam mode; then without tiles, so that the vocabulary is the largest of the prefill.
        ("published", Workload(1024, 640, 2, 3, 1, 10, 913, 1)),
        ("published", Workload(640, 640, 1, 1, 3, 7, 101, 0)),
        # Grids of 5 and 3 patches: the stored positions of CLIP are the largest. Of 15: the padded windows.
        ("published", Workload(16 * 5, 16 * 3, 2, 1, 1, 5, 1, 1)),
        ("published", Workload(16 * 15, 16 * 3, 0, 0, 5, 3, 1, 1)),
        # A grid of 131 patches: global attention, in the global view and in a tile.
        ("published", Workload(16 * 131, 16 * 7, 1, 2, 1, 1, 1, 1)),
        ("published", Workload(16 * 9, 16 * 131 + 7, 3, 1, 1, 1, 3, 1)),
        # The other model has windows of 9, and was trained on 19 patches a side, and 5 for CLIP.
        ("other", Workload(16 * 19, 16 * 18 + 3, 2, 3, 3, 17, 11, 2)),
        ("other", Workload(16 * 37, 16 * 27, 1, 3, 1, 13, 5, 1)),
        ("other", Workload(31, 16 * 19, 3, 1, 7, 1, 1, 1)),
        ("other", Workload(16 * 9, 600, 0, 7, 5, 29, 23, 3)),
    ],
    indirect=["model"],
    ids=str,
)
def test_peaks_equal_the_walk(model: CompiledModel, workload: Workload) -> None:
    expected = watch_stages(model.architecture, workload)
    sizes = {**model.defaults, "activation_bits": 13}
    sizes |= {name: getattr(workload, name) for name in sizes.keys() & set(Workload.__slots__)}
    sizes["seq_len"] = workload.tokens(model.architecture.sam_patch_size)
    found = {stage: evaluate(8 * peak.formula, sizes) for stage, peak in model.peaks.items()}
    assert found == {stage: 13 * elements for stage, elements in expected.items()}
