"""The stages of the reference model as calls that can be timed, on a real device and with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from modelmeter.graph.dtypes import default_dtype
from modelmeter.models.deepseek_ocr import vision_tokens
from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS, DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM, build_reference
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.support.errors import WorkloadError

Call = Callable[[], object]

_VIEW_SIZES = (
    "batch_size", "vision_batch_size", "base_size", "image_size", "num_width_tiles", "num_height_tiles",
)  # fmt: skip


class StageCalls:
    """Makes calls of stages; each runs as often as one likes, and always does the same work.

    Parameters
    ----------
    architecture
        Of the model; its weights are random, and its router chooses experts by them.
    device, dtype
        Where it runs, and in what.
    """

    def __init__(self, architecture: DeepSeekOCRArchitecture, device: str, dtype: torch.dtype) -> None:
        self._architecture, self._device, self._dtype = architecture, device, dtype
        with torch.inference_mode():
            self._model: DeepseekOCRForCausalLM = build_reference(
                architecture, expert_routing="learned", device=device, dtype=dtype
            )

    def prepare(self, stage: str, sizes: Mapping[str, int]) -> Call:
        """Return the call of a stage at some sizes: ``vision``, ``prefill``, or ``step``.

        Parameters
        ----------
        stage
            Which one; ``vision`` is both towers on all views of its pages.
        sizes
            As the evaluators take them, others at their defaults; of a step ``batch_size`` and ``context_tokens``,
            which its sequences share evenly.

        Raises
        ------
        WorkloadError
            If there is no such call, a size is not one of its sizes, or out of range.
        """
        usual = Workload().dimension_values()
        makers: dict[str, tuple[Callable[..., Call], dict[str, int]]] = {
            "vision": (self._look, {name: usual[name] for name in _VIEW_SIZES}),
            # No positions given: all of them get logits.
            "prefill": (self._prefill, {"batch_size": 1, "seq_len": usual["seq_len"], "logits_tokens": 0}),
            "step": (self._step, {"batch_size": 1, "context_tokens": usual["seq_len"]}),
        }
        if stage not in makers:
            raise WorkloadError("no such call can be timed", place=stage, expected=", ".join(makers))
        make, defaults = makers[stage]
        for name, size in sizes.items():
            if name not in defaults:
                raise WorkloadError("the call has no such size", place=stage, expected=", ".join(defaults), found=name)
            if size < 1:
                raise WorkloadError("a size is not positive", place=name, expected="at least 1", found=size)
        return make(**(defaults | dict(sizes)))

    def _look(
        self,
        *,
        batch_size: int,
        vision_batch_size: int,
        base_size: int,
        image_size: int,
        num_width_tiles: int,
        num_height_tiles: int,
    ) -> Call:
        if batch_size % vision_batch_size:
            raise WorkloadError(
                "the pages do not fill their calls", place="batch_size", expected=f"a multiple of {vision_batch_size}",
                found=batch_size,
            )  # fmt: skip
        tiles = int(vision_tokens.count_tiles(num_width_tiles, num_height_tiles))

        def list_pixels() -> Iterator[Tensor]:
            for _ in range(batch_size // vision_batch_size):
                for views, side in ((tiles, image_size), (1, base_size)):
                    if views:
                        shape = (vision_batch_size * views, IMAGE_CHANNELS, side, side)
                        yield torch.randn(shape, dtype=self._dtype, device=self._device)

        pixels, model = list(list_pixels()), self._model.model

        def look() -> object:
            with torch.inference_mode(), default_dtype(self._dtype):
                return [model.vision_model(views, model.sam_model(views)) for views in pixels][-1]

        return look

    def _prefill(self, *, batch_size: int, seq_len: int, logits_tokens: int) -> Call:
        ids = self._make_ids(batch_size, seq_len)
        shown = logits_tokens or seq_len
        if shown > seq_len:
            raise WorkloadError(
                "more positions get logits than there are", place="logits_tokens", expected=f"at most {seq_len}",
                found=logits_tokens,
            )  # fmt: skip

        def prefill() -> object:
            with torch.inference_mode(), default_dtype(self._dtype):
                return self._model(ids, self._make_cache(batch_size, seq_len), logits_tokens=shown)

        return prefill

    def _step(self, *, batch_size: int, context_tokens: int) -> Call:
        length, left = divmod(context_tokens, batch_size)
        if left or not length:
            raise WorkloadError(
                "the sequences do not share the cached positions evenly", place="context_tokens",
                expected=f"a multiple of {batch_size}", found=context_tokens,
            )  # fmt: skip
        ids, cache = self._make_ids(batch_size, 1), self._make_cache(batch_size, length + 1)
        cache.hold(length)
        for tensor in cache.tensors():
            tensor.normal_()

        def step() -> object:
            cache.length = length
            with torch.inference_mode(), default_dtype(self._dtype):
                return self._model(ids, cache)

        return step

    def _make_ids(self, batch_size: int, positions: int) -> Tensor:
        return torch.randint(self._architecture.vocab_size, (batch_size, positions), device=self._device)

    def _make_cache(self, batch_size: int, capacity: int) -> KeyValueCache:
        return KeyValueCache(
            self._architecture, batch_size=batch_size, capacity=capacity, device=self._device, dtype=self._dtype
        )
