"""The stages of DeepSeek-OCR: their names, what runs in them, and which module belongs to which."""

from __future__ import annotations

from typing import Final, Literal, cast

from modelmeter.model.stages import Stage, TrainingStep

StageName = Literal["vision", "projector", "prefill", "decode"]

STAGE_RECORDS: Final[tuple[Stage, ...]] = (
    Stage(
        name="vision",
        words="SAM and CLIP, on the global view of each page and on its tiles",
        meaning="SAM and CLIP, on the global view of each page and on its tiles, where it has any.",
    ),
    Stage(
        name="projector",
        words="the projector, and of making the prompt of its output",
        meaning="The projector, and what makes the prompt of its output: features side by side, newlines, the "
        "separator, the image tokens written over the embeddings, and the sums of pixels that tell whether there "
        "is an image.",
    ),
    Stage(
        name="prefill",
        words="the decoder over the prompt, and the LM head over the positions that get logits",
        meaning="The decoder over the whole prompt, and the LM head over the positions that get logits.",
    ),
    Stage(
        name="decode",
        words="all decode steps of one token each; step t sees seq_len + t keys",
        meaning="All decode steps in closed form: each takes one token, and step ``decode_step`` sees "
        "``seq_len`` + ``decode_step`` keys.",
        shares_parameters=True,
    ),
)
"""In the order in which they run."""

TRAINING: Final = TrainingStep(
    run="prefill",
    words="a forward over images and prompt, and of the backward of it",
    meaning="A forward of all stages but the decode over the prompt, and the backward of it, from "
    "the gradients of the logits to those of all parameters that are used. Pixels, positions and token ids get "
    "none. No layer is computed again to save memory; the loss and the optimiser are not counted. "
    "``weight_bytes`` are the parameters without their gradients. ``activation_bytes`` are all operator outputs "
    "of the forward, which are kept for the backward. ``kv_cache_bytes`` is 0: training keeps no cache.",
    notes="FLOPs and io_bytes are those of the forward and the backward. The backward starts at the gradients of the "
    "logits and makes those of all parameters that are used. No layer is computed again; the loss and the optimiser "
    "are not counted. weight_bytes are the parameters without their gradients, activation_bytes all operator outputs "
    "of the forward, which are kept for the backward, and kv_cache_bytes is 0: training keeps no cache.",
)

STAGES: Final[tuple[StageName, ...]] = tuple(cast(StageName, stage.name) for stage in STAGE_RECORDS)


def stage_of(run: str, path: str) -> StageName:
    """Return the stage that the own work of the module at ``path`` belongs to.

    The model's own operators join image tokens and write them into the prompt: the projector stage.
    """
    if run == "decode":
        return "decode"
    if path.startswith(("model.sam_model", "model.vision_model")):
        return "vision"
    if path == "model" or path.startswith("model.projector"):
        return "projector"
    return "prefill"
