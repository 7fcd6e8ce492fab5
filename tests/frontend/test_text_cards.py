"""Cards of text decoders: their parameters against the published totals, by arithmetic from the published sizes."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from modelmeter.frontend.cards.of_text import DEEPSEEK_V3, LLAMA_3_1_8B, QWEN3_30B_A3B
from modelmeter.support.errors import ModelMeterError

# Llama: a layer has queries and output of 4096 x 4096, keys and values of 4096 x 1024, three matrices of the MLP, two
# norms; embedding and LM head apart, and a norm. Published: 8,030,261,248.
LLAMA = 32 * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336 + 2 * 4096) + 2 * 128256 * 4096 + 4096

# Qwen3-30B-A3B: as many for queries and output (32 heads of 128) and keys and values (4 of them), norms of their heads,
# a router and 128 experts of three matrices, two norms. Published: 30,532,122,624.
QWEN = 48 * (
    2 * 2048 * 4096 + 2 * 2048 * 512 + 2 * 128 + 2048 * 128 + 128 * 3 * 2048 * 768 + 2 * 2048
) + 2 * 151936 * 2048 + 2048  # fmt: skip

# DeepSeek-V3: latent attention, three dense layers, 58 of 256 experts and a shared one, each with a bias of the router,
# which is no parameter but a buffer. Published: 671 billion.
ATTENTION = 7168 * 1536 + 1536 + 1536 * 128 * 192 + 7168 * (512 + 64) + 512 + 512 * 128 * (128 + 128) + 128 * 128 * 7168
DEEPSEEK = (
    61 * (ATTENTION + 2 * 7168) + 3 * 3 * 7168 * 18432 + 58 * (257 * 3 * 7168 * 2048 + 256 * 7168)
    + 2 * 129280 * 7168 + 7168
)  # fmt: skip


@pytest.mark.parametrize(
    ("card", "expected", "billions"),
    [(LLAMA_3_1_8B, LLAMA, 8.03), (QWEN3_30B_A3B, QWEN, 30.5), (DEEPSEEK_V3, DEEPSEEK, 671)],
)
def test_a_card_has_as_many_parameters_as_were_published(card: Any, expected: int, billions: float) -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.configs.config import make_config
    from modelmeter.frontend.modules import build_modules

    read = make_config({**card.config, "model_type": card.model_type}, card.title, place=card.name)
    model = build_modules(read.config)
    assert sum(prod(parameter.shape) for parameter in model.parameters()) == expected
    assert expected == pytest.approx(billions * 10**9, rel=0.005)


def test_what_is_no_card_is_a_model_type() -> None:
    pytest.importorskip("transformers")
    from modelmeter.frontend.configs.config import read_model_config

    with pytest.raises(ModelMeterError, match=r"llama-3\.1-8b"):
        read_model_config("llama-3.1-8")
