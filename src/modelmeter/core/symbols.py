"""Every symbol of every formula, made once, with its unit and its meaning.

``DIMENSIONS`` holds what a caller may set: the workload, the storage widths and the architecture.
``LOCAL_SIZES`` holds the sizes that only one layer's page uses (``num_tokens``, ``grid_size``, ...).
"""

from __future__ import annotations

from typing import Literal

import sympy
from attrs import frozen

from modelmeter.support.errors import FormulaError, ModelMeterError

Kind = Literal["workload", "storage", "architecture", "local"]


@frozen(kw_only=True)
class Dimension:
    """One named size.

    Parameters
    ----------
    name
        The Hugging Face config key where one exists.
    kind
        Who sets it.
    unit, meaning
        For people: what one of it is, and what it stands for.
    minimum
        The smallest value that has a meaning: 1, or 0 where none is a case of its own.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    minimum: int = 1

    @property
    def symbol(self) -> sympy.Symbol:
        """The sympy symbol: an integer, positive (or non-negative where 0 is allowed)."""
        if self.minimum > 0:
            return sympy.Symbol(self.name, integer=True, positive=True)
        return sympy.Symbol(self.name, integer=True, nonnegative=True)

    def check(self, value: object, error: type[ModelMeterError]) -> None:
        """Raise ``error`` for what is no value of this size: anything but an int, and one that is too small."""
        if type(value) is not int or value < self.minimum:  # not isinstance: true is an int to Python
            raise error(
                "a size is not a whole number in range", place=self.name,
                expected=f"an integer of at least {self.minimum}", found=value,
            )  # fmt: skip


def _dimensions(kind: Kind, *rows: tuple[str, str, str] | tuple[str, str, str, int]) -> dict[str, Dimension]:
    return {
        row[0]: Dimension(name=row[0], kind=kind, unit=row[1], meaning=row[2], minimum=row[3] if len(row) == 4 else 1)
        for row in rows
    }


WORKLOAD = _dimensions(
    "workload",
    ("batch_size", "pages", "pages processed side by side"),
    ("images_per_prompt", "images", "images of one prompt, all cut alike"),
    ("vision_batch_size", "pages", "pages that share a call of the vision towers"),
    ("base_size", "pixels", "side of the square global view"),
    ("image_size", "pixels", "side of each square tile"),
    ("num_width_tiles", "tiles", "tiles across the page; a 1 x 1 grid means no tiles", 0),
    ("num_height_tiles", "tiles", "tiles down the page; a 1 x 1 grid means no tiles", 0),
    ("prompt_tokens", "tokens", "text tokens of the prompt, beside its image tokens", 0),
    ("seq_len", "tokens", "prompt length with its image tokens"),
    ("logits_tokens", "tokens", "prompt positions that get logits; all of them by default"),
    ("decode_steps", "steps", "decode steps of one token each", 0),
    ("max_new_tokens", "tokens", "tokens to generate; the first comes from the prefill"),
)

STORAGE = _dimensions(
    "storage",
    ("weight_bits", "bits", "bits that store one parameter"),
    ("activation_bits", "bits", "bits that store one floating-point activation"),
    ("kv_bits", "bits", "bits that store one cached key or value element"),
)

ARCHITECTURE = _dimensions(
    "architecture",
    ("hidden_size", "channels", "width of the decoder"),
    ("intermediate_size", "channels", "MLP width of a dense decoder layer"),
    ("moe_intermediate_size", "channels", "MLP width of one expert"),
    ("num_hidden_layers", "layers", "decoder layers"),
    ("first_k_dense_replace", "layers", "leading decoder layers with a dense MLP", 0),
    ("num_attention_heads", "heads", "query heads of a decoder layer"),
    ("num_key_value_heads", "heads", "key and value heads of a decoder layer"),
    ("n_routed_experts", "experts", "routed experts of an MoE layer"),
    ("n_shared_experts", "experts", "experts that every token uses"),
    ("num_experts_per_tok", "experts", "routed experts that one token uses"),
    ("vocab_size", "tokens", "rows of the embedding and of the LM head"),
    ("sam_image_size", "pixels", "image side that SAM's position embeddings were trained at"),
    ("sam_patch_size", "pixels", "side of a SAM patch"),
    ("sam_hidden_size", "channels", "width of SAM"),
    ("sam_num_hidden_layers", "layers", "SAM blocks"),
    ("sam_num_global_layers", "layers", "SAM blocks with global attention", 0),
    ("sam_num_attention_heads", "heads", "heads of a SAM block"),
    ("sam_intermediate_size", "channels", "MLP width of a SAM block"),
    ("sam_window_size", "patches", "side of a SAM attention window"),
    ("sam_neck_channels", "channels", "channels of SAM's neck"),
    ("sam_downsample_channels", "channels", "channels between the two stride-2 convolutions"),
    ("clip_image_size", "pixels", "image side that CLIP's position embeddings were trained at"),
    ("clip_patch_size", "pixels", "side of a CLIP patch; its convolution is stored but never called"),
    ("clip_hidden_size", "channels", "width of CLIP, and channels that SAM hands to it"),
    ("clip_num_hidden_layers", "layers", "CLIP blocks"),
    ("clip_num_attention_heads", "heads", "heads of a CLIP block"),
    ("clip_intermediate_size", "channels", "MLP width of a CLIP block"),
)

DIMENSIONS: dict[str, Dimension] = {**WORKLOAD, **STORAGE, **ARCHITECTURE}
"""What a caller may set, in the order of the documentation."""

LOCAL_SIZES = _dimensions(
    "local",
    ("num_tokens", "tokens", "rows that the layer sees: batch x positions"),
    ("num_queries", "tokens", "query positions of one sequence"),
    ("num_keys", "tokens", "key positions of one sequence, cached ones included"),
    ("num_views", "views", "square images that go through the tower side by side"),
    ("num_windows", "windows", "attention windows side by side, over all views"),
    ("view_size", "pixels", "side of one square view"),
    ("grid_size", "patches", "side of the square patch grid"),
    ("window_size", "patches", "side of an attention window; the whole grid where attention is global"),
    ("pretrain_grid_size", "patches", "grid side that the position embeddings were trained at"),
    ("head_dim", "channels", "channels of one attention head"),
    ("num_heads", "heads", "attention heads"),
    ("in_features", "channels", "input channels of a linear layer"),
    ("out_features", "channels", "output channels of a linear layer"),
    ("in_channels", "channels", "input channels of a convolution"),
    ("out_channels", "channels", "output channels of a convolution"),
    ("kernel_size", "pixels", "side of a square convolution kernel"),
    ("stride", "pixels", "stride of a convolution"),
    ("padding", "pixels", "zero padding on each side of a convolution", 0),
    ("height", "pixels", "input height"),
    ("width", "pixels", "input width"),
    ("num_embeddings", "rows", "rows of an embedding table"),
    ("embedding_dim", "channels", "channels of an embedding row"),
    ("num_layers", "layers", "layers of a stack"),
    ("num_global_layers", "layers", "layers of a stack with global attention", 0),
    ("neck_channels", "channels", "channels of SAM's neck"),
    ("downsample_channels", "channels", "channels between the two stride-2 convolutions"),
    ("patch_size", "pixels", "side of a patch"),
    ("image_channels", "channels", "colour channels of an image"),
    ("decode_step", "steps", "the index t of a decode step, from 1"),
    ("cached_tokens", "tokens", "positions of each sequence that are cached before a chunk of its prompt"),
    ("context_tokens", "tokens", "cached positions of all sequences of a step"),
)

_SYMBOLS: dict[str, sympy.Symbol] = {
    name: dimension.symbol for name, dimension in {**DIMENSIONS, **LOCAL_SIZES}.items()
}


def symbol(name: str) -> sympy.Symbol:
    """Return the symbol of a known size.

    Raises
    ------
    FormulaError
        If no dimension has this name.
    """
    try:
        return _SYMBOLS[name]
    except KeyError:
        raise FormulaError(
            "no dimension has this name", found=name, remedy="add it to modelmeter.core.symbols"
        ) from None


def describe(name: str) -> Dimension:
    """Return the record of a known size.

    Raises
    ------
    FormulaError
        If no dimension has this name.
    """
    found = DIMENSIONS.get(name) or LOCAL_SIZES.get(name)
    if found is None:
        raise FormulaError("no dimension has this name", found=name, remedy="add it to modelmeter.core.symbols")
    return found


def symbols_of(expression: sympy.Expr | int) -> list[str]:
    """Return the names of the free symbols of ``expression``, in the order of the documentation."""
    present = {free.name for free in sympy.sympify(expression).free_symbols}
    ordered = [name for name in _SYMBOLS if name in present]
    unknown = present.difference(ordered)
    if unknown:
        raise FormulaError("a formula has a symbol that modelmeter.core.symbols did not make", found=sorted(unknown))
    return ordered
