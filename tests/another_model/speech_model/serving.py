"""How the speech model is served: recordings in, words out, without a prompt and without a cache."""

from __future__ import annotations

from typing import Final

from modelmeter.model.serving import Serving, ServingMode

SERVING: Final = Serving(
    item="recording",
    items="recordings",
    item_sizes={"num_frames": 6000},
    modes={"whole": ServingMode(name="whole", sizes={}, is_cut=False)},
    page_stages=("audio",),
    step_stage="text",
    image_tokens="num_positions",
    steps="num_words",
    batch_size="batch_size",
    output_tokens=151,
)
