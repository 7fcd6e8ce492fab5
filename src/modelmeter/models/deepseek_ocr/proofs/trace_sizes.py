"""Symbols and sizes that the cases of both implementations share, so that together they cover every workload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import lcm
from typing import TypeAlias

import sympy

from modelmeter.dimensions.functions import Size
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.vision_tokens import DOWNSAMPLING

Sizes: TypeAlias = Mapping[str, Size]
"""Dimensions by name: numbers, or polynomials in the symbols of a trace."""

Least: TypeAlias = Mapping[sympy.Symbol, int]
"""Symbols whose least value is below 2."""

NO_TILES: Sizes = {"num_width_tiles": 0, "num_height_tiles": 0}


def positive(name: str) -> sympy.Symbol:
    """Return the symbol of a size that is traced."""
    return sympy.Symbol(name, integer=True, positive=True)


BATCH_SIZE, LOGITS_TOKENS, EARLIER_TOKENS = map(positive, ("batch_size", "logits_tokens", "earlier_tokens"))
ONE_CALL: Sizes = {"batch_size": BATCH_SIZE, "vision_batch_size": BATCH_SIZE, "images_per_prompt": 1, **NO_TILES}
"""All views go through the towers in one call."""

CACHED_TOKENS, DECODE_STEP, TEXT_TOKENS, CHUNK_TOKENS = map(
    positive, ("cached_tokens", "decode_step", "text_tokens", "chunk_tokens")
)
K = positive("k")

PROMPT: Sizes = {
    "batch_size": BATCH_SIZE, "seq_len": LOGITS_TOKENS + EARLIER_TOKENS, "logits_tokens": LOGITS_TOKENS
}  # fmt: skip
"""Every prompt without images, and every number of its last positions that get logits."""
EVERY_PROMPT: Least = {BATCH_SIZE: 1, LOGITS_TOKENS: 1, EARLIER_TOKENS: 0}

STEP: Sizes = {"batch_size": BATCH_SIZE, "seq_len": CACHED_TOKENS + 1 - DECODE_STEP, "decode_step": DECODE_STEP}
"""Every decode step. Only ``cached_tokens``, seq_len + decode_step - 1, is traced: the formula must come down to it."""
EVERY_STEP: Least = {BATCH_SIZE: 1, CACHED_TOKENS: 1}


def count_residues(architecture: DeepSeekOCRArchitecture) -> int:
    """Return the number of residue classes of grids: 28 for windows of 14 patches.

    On a grid of 28 k + c patches, windows and two halvings leave remainders that depend on c only.
    """
    return lcm(architecture.sam_window_size, DOWNSAMPLING)


def make_grid(architecture: DeepSeekOCRArchitecture, residue: int) -> sympy.Expr:
    """Return the patches a side of a residue class, for each ``k``."""
    return count_residues(architecture) * K + residue


def list_grids(architecture: DeepSeekOCRArchitecture) -> Iterator[tuple[sympy.Expr, Least]]:
    """Yield all residue classes, with all numbers of views: together they are every grid from one patch on."""
    for residue in range(count_residues(architecture)):
        yield make_grid(architecture, residue), {BATCH_SIZE: 1, K: 0 if residue else 1}


def patch_size_of(architecture: DeepSeekOCRArchitecture, symbolic: Sizes) -> Size:
    """Return the patch size, which may be symbolic."""
    return symbolic.get("sam_patch_size", architecture.sam_patch_size)
