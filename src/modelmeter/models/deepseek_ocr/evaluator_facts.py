"""What the evaluators of this family of models say of its stages, and how sizes follow from others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from modelmeter.algebra.program import SUM, Operation
from modelmeter.evaluators.signature import IMAGE_TOKENS, Derivation
from modelmeter.evaluators.spec import REQUEST, TRAINING_STEP

STAGE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "vision": "SAM and CLIP, on the global view of each page and on its tiles",
        "projector": "the projector, and of making the prompt of its output",
        "prefill": "the decoder over the prompt, and the LM head over the positions that get logits",
        "decode": "all decode steps of one token each; step t sees seq_len + t keys",
        REQUEST: "all stages, one after the other",
        TRAINING_STEP: "a forward over images and prompt, and of the backward of it",
    }
)

DERIVATIONS: Final[Mapping[str, Derivation]] = MappingProxyType(
    {
        "seq_len": Derivation(
            node=Operation(SUM, (IMAGE_TOKENS, "prompt_tokens")),
            words="the image tokens and ``prompt_tokens``",
            source="prompt_tokens",
        ),
        "logits_tokens": Derivation(node="seq_len", words="all of ``seq_len``"),
        "decode_steps": Derivation(
            node=Operation(SUM, ("max_new_tokens", -1)), words="``max_new_tokens - 1``", source="max_new_tokens"
        ),
    }
)
