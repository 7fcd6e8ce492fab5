"""Cards: what is per model and cannot be read off its code. A text decoder needs none.

A card says how the vision stage is called, what an image is in sizes, how many tokens it has, and the terms that its
counts are made of. Nothing here needs torch until a stage is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, Final

import sympy
from attrs import frozen

from modelmeter.core.functions import CeilDiv, FloorDiv

NUM_IMAGES, GRID_HEIGHT, GRID_WIDTH = sympy.symbols("num_images grid_height grid_width", integer=True, positive=True)
"""Images of a request, and the cells of one: an image has a token for each cell."""


@frozen(kw_only=True)
class Card:
    """What is per model.

    Parameters
    ----------
    name, title
        In lists, and of the published model.
    model_type, class_name
        Of transformers.
    config
        What of the published config differs from the defaults of the class.
    shallow
        The keys of a vision tower of few blocks, by section: it has two blocks of each kind.
    blocks
        The path of the blocks of the tower.
    list_kinds
        Returns the kind of each block of a tower from its section of the config.
    make_inputs
        Returns the arguments of ``get_image_features`` for a number of images of a grid.
    image_tokens
        The tokens of one image.
    terms
        What counts of the vision stage are sums of, for one image.
    least, most
        The smallest side of a grid that the terms hold for, and the largest that a count needs.
    """

    name: str
    title: str
    model_type: str
    class_name: str
    config: Mapping[str, Any]
    shallow: Mapping[str, Mapping[str, Any]]
    blocks: str
    list_kinds: Callable[[Any], tuple[int, ...]]
    make_inputs: Callable[[int, int, int], tuple[Any, ...]]
    image_tokens: sympy.Expr
    terms: tuple[sympy.Expr, ...]
    least: int = 1
    most: int = 13


def count_in_window(cells: sympy.Expr) -> sympy.Expr:
    """Return the sum of the squares of the lengths that windows of four cut ``cells`` into."""
    whole = FloorDiv(cells, 4)
    return sympy.expand(16 * whole + (cells - 4 * whole) ** 2)


def _make_packed_inputs(patch_values: int, merge: int) -> Callable[[int, int, int], tuple[Any, ...]]:
    def make(images: int, height: int, width: int) -> tuple[Any, ...]:
        import torch  # only where a stage runs

        grid = torch.tensor([[1, merge * height, merge * width]] * images)
        cells = images * merge * height * merge * width
        return torch.empty(cells, patch_values, device="meta", dtype=torch.get_default_dtype()), grid

    return make


def _list_window_terms() -> tuple[sympy.Expr, ...]:
    sides = [(sympy.S.One, side, FloorDiv(side, 4), CeilDiv(side, 4)) for side in (GRID_HEIGHT, GRID_WIDTH)]
    areas = (GRID_HEIGHT**2 * GRID_WIDTH**2, count_in_window(GRID_HEIGHT) * count_in_window(GRID_WIDTH))
    return (*(first * second for first, second in product(*sides)), *areas)


QWEN2_5_VL: Final = Card(
    name="qwen2.5-vl-3b",
    title="Qwen2.5-VL-3B",
    model_type="qwen2_5_vl",
    class_name="Qwen2_5_VLForConditionalGeneration",
    config={
        "text_config": {
            "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
            "num_key_value_heads": 2, "vocab_size": 151936, "max_window_layers": 70, "use_sliding_window": False,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [16, 24, 24]},
        },
        "vision_config": {
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 2048,
            "patch_size": 14, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        "tie_word_embeddings": True,
    },
    shallow={"vision_config": {"depth": 4, "fullatt_block_indexes": [1, 3]}},
    blocks="model.visual.blocks",
    list_kinds=lambda vision: tuple(int(index in vision.fullatt_block_indexes) for index in range(vision.depth)),
    make_inputs=_make_packed_inputs(3 * 2 * 14 * 14, 2),
    image_tokens=GRID_HEIGHT * GRID_WIDTH,
    terms=_list_window_terms(),
    least=4,  # below, the code skips copies of its window indices
)  # fmt: skip

CARDS: Final[Mapping[str, Card]] = {card.name: card for card in (QWEN2_5_VL,)}
"""All cards by name."""


def find_card(source: object) -> Card | None:
    """Return the card of a name, or none."""
    return CARDS.get(source) if isinstance(source, str) else None
