"""What a training step of a traced model is, in words; without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from modelmeter.dimensions.functions import Size
from modelmeter.layers.base import BaseLayer
from modelmeter.model.stages import TRAINING_CONVENTION, TRAINING_STEP, Stage, TrainingStep

STAGE: Final = Stage(
    name=TRAINING_STEP,
    words="a forward over the prompt, and of the backward of it",
    meaning="A forward of the decoder over the whole prompt, with logits of all its positions, and the backward of it, "
    "from the gradients of the logits to those of all parameters that are used. Token ids and positions get none. "
    "Modules are in evaluation mode: nothing is dropped. No layer is computed again to save memory; the loss and the "
    "optimiser are not counted. ``weight_bytes`` are the parameters without their gradients. ``activation_bytes`` are "
    "all operator outputs of the forward, which are kept for the backward. ``kv_cache_bytes`` is 0: training keeps no "
    "cache.",
)

_NOTES: Final = (
    "FLOPs and io_bytes are those of the forward and the backward. The logits are those of all positions. The backward "
    "starts at their gradients and makes those of all parameters that are used. Nothing is dropped, and no layer is "
    "computed again; the loss and the optimiser are not counted. weight_bytes are the parameters without their "
    "gradients, activation_bytes all operator outputs of the forward, which are kept for the backward, and "
    "kv_cache_bytes is 0: training keeps no cache."
)

_NONE: Final = f"There is no ``{TRAINING_STEP}``: "
SEES: Final = "it is one of a text decoder, and this model sees"
_WITHOUT_OPTION: Final = "it was compiled without ``--training``"


def make_training_step(run: str, build_layers: Callable[[Mapping[str, Size]], BaseLayer]) -> TrainingStep:
    """Return the record of a training step of the modules of a run, whose layers are made at sizes."""
    return TrainingStep(
        run=run, words=STAGE.words, meaning=STAGE.meaning, notes=_NOTES, build_layers=build_layers
    )  # fmt: skip


def describe_training(has_training: bool, refused: str) -> dict[str, str]:
    """Return the convention that says why a model has no training step, where it has none."""
    if has_training:
        return {}
    return {TRAINING_CONVENTION: f"{_NONE}{refused or _WITHOUT_OPTION}."}


def find_refusal(conventions: Mapping[str, str]) -> str:
    """Return why a model was refused a training step, from its conventions; nothing where none was asked for."""
    said = conventions.get(TRAINING_CONVENTION, "").removeprefix(_NONE).rstrip(".")
    return "" if said == _WITHOUT_OPTION else said
