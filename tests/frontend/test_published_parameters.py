"""The sizes of cards against published checkpoints: the elements that their safetensors files hold, to the last one."""

from __future__ import annotations

from typing import Final

import pytest
from attrs import frozen

from modelmeter.frontend.cards.shipped import CARDS


@frozen
class Checkpoint:
    """What the files of a published model hold.

    Parameters
    ----------
    elements
        Of all their tensors, as the index of the repository on Hugging Face says.
    unused
        How many of them transformers does not load as parameters of the model, and does not run.
    """

    elements: int
    unused: int = 0


CHECKPOINTS: Final = {
    "llama-3.1-8b": Checkpoint(8_030_261_248),
    "qwen3-30b-a3b": Checkpoint(30_532_122_624),
    # Without the layer that predicts a second token. 58 routers of 256 experts keep a correction, which is a buffer.
    "deepseek-v3": Checkpoint(671_026_419_200, unused=58 * 256),
    "qwen2.5-vl-3b": Checkpoint(3_754_622_976),
    # The keys that modeling_paddleocr_vl.py ignores as it loads: packing_position_embedding, of 32768 positions, and
    # vision_model.head, which pools with one probe: attention of four projections, a norm, and an MLP, with biases.
    "paddleocr-vl": Checkpoint(
        958_588_736,
        unused=32768 * 1152 + 1152 + 4 * (1152 * 1152 + 1152) + 2 * 1152 + 2 * 1152 * 4304 + 4304 + 1152,
    ),
    "qwen3-vl-4b": Checkpoint(4_437_815_808),
    "gemma-3-4b": Checkpoint(4_300_079_472),
    "smolvlm2-2.2b": Checkpoint(2_246_784_880),
}
"""By card. Of the others no number of elements was found that says how it was counted."""


def count_parameters(name: str) -> int:
    """Return how many parameters the model that transformers builds of a card has."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    card = CARDS[name]
    config = transformers.CONFIG_MAPPING[card.model_type](**card.config)
    with torch.device("meta"):
        if card.class_name:
            model = getattr(transformers, card.class_name)(config)
        else:
            model = transformers.AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())  # a tied one counts once


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_card_has_the_parameters_of_its_checkpoint(name: str) -> None:
    assert count_parameters(name) == CHECKPOINTS[name].elements - CHECKPOINTS[name].unused


def test_unlimited_ocr_has_the_parameters_of_deepseek_ocr() -> None:
    """Its towers and its decoder are those of DeepSeek-OCR, whose checkpoint has 3,336,106,240 elements.

    Those of the convolution that makes patches of pixels for CLIP are not used, as CLIP sees features of SAM.
    """
    assert count_parameters("unlimited-ocr") == 3_336_106_240 - 1024 * 3 * 14 * 14


def test_hunyuanocr_fills_its_files() -> None:
    """The repository lists four files of 440, 453, 462 and 638 MB of 16-bit elements, each rounded to one MB."""
    assert abs(2 * count_parameters("hunyuanocr") - 10**6 * (440 + 453 + 462 + 638)) < 4 * 10**6 // 2
