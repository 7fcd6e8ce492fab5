"""The stages of DeepSeek-OCR as modules of their own, which any counter of FLOPs can run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from modelmeter.models.deepseek_ocr import vision_tokens
from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS, DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.verify.other_counters.stage import CountedStage, without_data


def build_stages(
    architecture: DeepSeekOCRArchitecture, workload: Workload, *, device: torch.device | str
) -> dict[str, CountedStage]:
    """Return the stages of one model by name. Its weights are whatever ``device`` gives; experts take even shares."""
    with torch.device(device):
        model = DeepseekOCRForCausalLM(architecture, "even").eval()
        views = {"global": (1, workload.base_size), "tile": (workload.tiles, workload.image_size)}
        images, features = {}, {}
        for name, (count, side) in views.items():
            if count:
                number, grid = workload.batch_size * count, vision_tokens.grid_size(side, architecture.sam_patch_size)
                images[f"{name}_views"] = torch.zeros(number, IMAGE_CHANNELS, side, side)
                width = model.model.projector.layers.in_features
                features[f"{name}_features"] = torch.zeros(number, int(grid) ** 2, width)

        def decoder(name: str, *, cached: int, positions: int) -> CountedStage:
            cache = KeyValueCache(
                architecture, batch_size=workload.batch_size, capacity=cached + positions, device=device,
                dtype=torch.float32,
            )  # fmt: skip
            token_ids = torch.zeros(workload.batch_size, positions, dtype=torch.int64)
            return CountedStage(name=name, module=_Decoder(model, cache, cached), inputs={"input_ids": token_ids})

        stages = (
            CountedStage(name="vision", module=_Vision(model), inputs=images),
            CountedStage(name="projector", module=_Projector(model), inputs=features),
            decoder("prefill", cached=0, positions=workload.seq_len),
            decoder("decode", cached=workload.seq_len, positions=1),
        )
    return {stage.name: stage for stage in stages}


@contextmanager
def stages_without_data(architecture: DeepSeekOCRArchitecture, workload: Workload) -> Iterator[dict[str, CountedStage]]:
    """Give the stages on the CPU device with tensors that have no data: operators are chosen as for real ones."""
    with without_data(lambda: build_stages(architecture, workload, device="cpu")) as stages:
        yield stages


class _Vision(nn.Module):
    """Both towers, on the global views and on the tiles."""

    def __init__(self, model: DeepseekOCRForCausalLM) -> None:
        super().__init__()
        self.sam_model, self.vision_model = model.model.sam_model, model.model.vision_model

    def forward(self, global_views: Tensor, tile_views: Tensor | None = None) -> list[Tensor]:
        views = [view for view in (global_views, tile_views) if view is not None]
        return [self.vision_model(view, self.sam_model(view)) for view in views]


class _Projector(nn.Module):
    """The projector, on the features of the global views and of the tiles."""

    def __init__(self, model: DeepseekOCRForCausalLM) -> None:
        super().__init__()
        self.projector = model.model.projector

    def forward(self, global_features: Tensor, tile_features: Tensor | None = None) -> list[Tensor]:
        return [self.projector(features) for features in (global_features, tile_features) if features is not None]


class _Decoder(nn.Module):
    """The decoder and the LM head, after ``cached`` tokens."""

    def __init__(self, model: DeepseekOCRForCausalLM, cache: KeyValueCache, cached: int) -> None:
        super().__init__()
        # The towers take no part.
        self.language_model = model
        self.cache, self.cached = cache, cached

    def forward(self, input_ids: Tensor) -> Tensor:
        if self.cached:  # a prefill makes its cache
            self.cache.hold(self.cached)
        else:
            self.cache.length = 0
        logits: Tensor = self.language_model(input_ids, self.cache)
        return logits
