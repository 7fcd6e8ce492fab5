"""How DeepSeek-OCR is served, for whoever asks the registry. Nothing here needs sympy."""

from __future__ import annotations

from typing import Final

from modelmeter.model.serving import RoutedModules, Serving, ServingMode
from modelmeter.models.deepseek_ocr.image_preprocessing import MODES

_FIRST: Final = "gundam"
"""The vendor's own default."""

SERVING: Final = Serving(
    repository="deepseek-ai/DeepSeek-OCR",
    preprocessing="serving",
    modes={
        name: ServingMode(
            name=name,
            sizes={"base_size": MODES[name].base_size, "image_size": MODES[name].image_size},
            is_cut=MODES[name].is_tiled,
        )
        for name in sorted(MODES, key=lambda name: name != _FIRST)
    },
    page_stages=("vision", "projector"),
    prompt_stage="prefill",
    step_stage="decode",
    image_tokens="image_tokens",
    # The prompt that the published workloads have beside their image.
    prompt_tokens=("prompt_tokens", 10),
    seq_len="seq_len",
    logits_tokens="logits_tokens",
    steps="decode_steps",
    batch_size="batch_size",
    page_batch_size="vision_batch_size",
    routed=(RoutedModules(parent="experts", num_modules="n_routed_experts", num_chosen="num_experts_per_tok"),),
)
