"""The cases of every vendor class.

Each class has cases at two sizes or more, and every size of it is varied, so that neither a swapped dimension nor a
swapped exponent can pass. Experts take even shares.
"""

from __future__ import annotations

from itertools import chain

import torch
from decoder_cases import decoder_layers, decoder_leaves, experts
from layer_case import ARCHITECTURES, Case
from model_cases import models
from vision_cases import clip, sam, vision_leaves

from modelmeter.graph.dtypes import default_dtype

NO_TORCH_MODULES = {"DecoderStack", "VisionTower"}
"""Parts of ``DeepseekOCRModel``, which has their children and operators; its cases are theirs."""

DTYPES = (torch.bfloat16, torch.float32)
"""With casts of what is kept in float32, and without."""

PER_ARCHITECTURE = (sam, clip, experts, decoder_layers, models)


def make_cases(dtype: torch.dtype) -> list[Case]:
    """Return the cases of models that compute with ``dtype``."""
    with default_dtype(dtype):
        return [
            *vision_leaves(),
            *decoder_leaves(),
            *chain.from_iterable(
                make_cases(architecture) for make_cases in PER_ARCHITECTURE for architecture in ARCHITECTURES
            ),
        ]


CASES = [case for dtype in DTYPES for case in make_cases(dtype)]
