"""A tower that looks at an overview of each image and at slices of it, where chance draws no sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sympy
from few_layers import make_few_layers

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.model.registry import forget_model

NAMES = ("batch_size", "num_images", "num_slices", "grid_height", "grid_width", "slice_grid_height", "slice_grid_width")

SIZES = (
    (1, 1, 0, 3, 5, 2, 2),
    (1, 1, 1, 2, 2, 3, 2),
    (1, 1, 2, 5, 2, 2, 3),
    (1, 2, 0, 2, 7, 2, 2),
    (2, 1, 1, 4, 3, 2, 5),
    (1, 1, 9, 17, 12, 17, 12),  # a page of 1654 x 2339 pixels
    (1, 1, 0, 2, 131, 2, 131),  # one of 870 x 10
    (3, 1, 6, 2, 40, 2, 2),
    (1, 2, 8, 2, 2, 11, 19),
)
"""One image and several with no slice, one, and more; a page; and sizes far from those that were interpolated."""


def choose_sizes(*_: object, **__: object) -> list[dict[str, int]]:
    """Return the points in place of such as chance draws."""
    return [
        {"seq_len": 9, "decode_steps": 2, "prompt_tokens": 1, **dict(zip(NAMES, sizes, strict=True))} for sizes in SIZES
    ]


@pytest.fixture(scope="module")
def few() -> Iterator[Any]:
    """A compilation that has counted all modules at these points."""
    pytest.importorskip("transformers")
    from modelmeter.frontend.compile import compile_card

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modelmeter.frontend.checks.choose_points", choose_sizes)
        found = compile_card(make_few_layers(CARDS["minicpm-ocr"]), points=len(SIZES))
    yield found
    forget_model(found.compiled.definition.name)


def test_all_metrics_of_all_modules_are_what_was_counted(few: Any) -> None:
    counted = [each for each in few.checked if each.stage == "vision" and each.dtype == "bfloat16"]
    assert {tuple(each.sizes[name] for name in NAMES) for each in counted} == {*SIZES}
    assert all({"io_bytes", "peak_activation_bytes"} <= {*each.metrics} for each in counted)


def test_products_are_what_was_written_by_hand(few: Any) -> None:
    """A cell has 4 patches of 3 * 16 * 16 = 768 numbers, blocks are 768 wide, their MLPs 3072 and the text 4096.

    Two blocks have four projections and an MLP of two; in each a patch attends to those of its view, which is two
    products. The merger takes 4 * 768 = 3072 numbers of a cell to as many, and those to the text.
    """
    names = (few.compiled.symbol(name) for name in NAMES)
    batch, images, slices, height, width, slice_height, slice_width = names
    patch = 2 * 768 * 768 + 2 * (4 * 2 * 768 * 768 + 2 * 2 * 768 * 3072)
    cell = 4 * patch + 2 * 3072 * (3072 + 4096)

    def look(cells: sympy.Expr) -> sympy.Expr:
        return cell * cells + 2 * 2 * 2 * 768 * (4 * cells) ** 2

    expected = batch * images * (look(height * width) + slices * look(slice_height * slice_width))
    assert sympy.expand(few.compiled.formula("vision", "tensor_core_flops") - expected) == 0


def test_each_cell_of_each_view_is_a_token(few: Any) -> None:
    (tokens,) = few.compiled.definition.derived
    sizes = dict(zip(NAMES, (1, 2, 9, 17, 12, 16, 11), strict=True))
    assert (tokens.name, evaluate(tokens.formula, sizes)) == ("image_tokens", 2 * (17 * 12 + 9 * 16 * 11))


def test_cells_of_slices_make_no_difference_where_there_are_none(few: Any) -> None:
    one, other = (
        few.compiled.evaluate("vision", num_slices=0, slice_grid_height=side, slice_grid_width=side) for side in (2, 50)
    )
    assert one == other
