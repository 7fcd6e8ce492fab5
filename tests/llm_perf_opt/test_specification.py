"""The workload profile knows its image tokens and refuses a prompt or a grid that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from records import make_profile

from llm_perf_opt.data import OCRWorkloadProfile
from llm_perf_opt.errors import RecordError

UNCUT = {"crop_mode": False, "num_width_tiles": None, "num_height_tiles": None}
PAGE = {"num_width_tiles": None, "num_height_tiles": None, "page_width": 1920, "page_height": 1920}


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        # A side of s pixels gives g = ceil(floor(s / 16) / 4). 1024: 16, global view 16 * 17 + 1 = 273.
        # 640: 10, tiles of a 2 x 1 grid (1 * 10) * (2 * 10 + 1) = 210.
        ({}, 483),
        ({"num_width_tiles": 1, "num_height_tiles": 2}, 273 + 20 * 11),
        ({"num_width_tiles": 1}, 273),
        ({"num_width_tiles": 0, "num_height_tiles": 0}, 273),
        # Without crop mode one program takes a view of base_size, the other one of image_size: 10 * 11 + 1.
        ({**UNCUT, "preprocessing": "serving"}, 273),
        ({**UNCUT, "preprocessing": "transformers"}, 111),
        ({**UNCUT, "image_size": 1024}, 273),
        # 655: floor(655 / 16) = 40, 10; 657: 41, 11.
        ({**UNCUT, "base_size": 655, "preprocessing": "serving"}, 10 * 11 + 1),
        ({**UNCUT, "base_size": 657, "preprocessing": "serving"}, 11 * 12 + 1),
        # A square page of 1920 pixels: 3 x 3 tiles in one program, and 2 x 2 in the other.
        ({**PAGE, "preprocessing": "transformers"}, 273 + 30 * 31),
        ({**PAGE, "preprocessing": "serving"}, 273 + 20 * 21),
        # Three images of the first kind in one prompt.
        ({"images_per_prompt": 3}, 3 * 483),
        # An A4 page, with 2 x 3 tiles in both.
        ({**PAGE, "page_width": 1191, "page_height": 1684}, 273 + 30 * 21),
    ],
)
def test_image_tokens_bound_the_prompt(changes: dict[str, Any], tokens: int) -> None:
    assert make_profile(**changes, seq_len=tokens).num_image_tokens == tokens
    with pytest.raises(RecordError, match=f"^seq_len: .* at least {tokens}; found {tokens - 1}$"):
        make_profile(**changes, seq_len=tokens - 1)


def test_crop_mode_without_tiles_is_a_profile_whose_cost_is_unknown() -> None:
    """The fields of the first specification make a profile; only its global view is certain."""
    profile = make_profile(num_width_tiles=None, num_height_tiles=None, seq_len=273)
    for ask in (lambda: profile.tile_grid, lambda: profile.num_image_tokens):
        with pytest.raises(RecordError, match="num_width_tiles: the number of tiles is not known"):
            ask()
    with pytest.raises(RecordError, match="seq_len"):
        make_profile(num_width_tiles=None, num_height_tiles=None, seq_len=272)


@pytest.mark.parametrize(("changes", "least"), [(UNCUT, 111), (PAGE, 693)])
def test_where_the_programs_differ_the_cost_is_unknown_until_one_is_named(changes: dict[str, Any], least: int) -> None:
    """The prompt must hold the image tokens that there are at least."""
    profile = make_profile(**changes, seq_len=least)
    with pytest.raises(RecordError, match=r"^preprocessing: the vendor's programs differ in .*transformers.*serving"):
        _ = profile.num_image_tokens
    with pytest.raises(RecordError, match=f"^seq_len: .* at least {least}"):
        make_profile(**changes, seq_len=least - 1)


def test_the_grid_is_that_of_the_page() -> None:
    assert make_profile().tile_grid == (2, 1)
    assert make_profile(crop_mode=False, num_width_tiles=None, num_height_tiles=None).tile_grid == (0, 0)
    # One tile is none: 16 x 17 + 1 tokens of the global view.
    profile = make_profile(crop_mode=False, num_width_tiles=1, num_height_tiles=1, preprocessing="serving")
    assert (profile.view_size, profile.num_image_tokens) == (1024, 273)
    assert make_profile(**PAGE, seq_len=2000, preprocessing="transformers").tile_grid == (3, 3)
    # The sides of a page that is not cut describe it.
    assert make_profile(**{**PAGE, **UNCUT}, image_size=1024).tile_grid == (0, 0)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"num_width_tiles": None}, "num_width_tiles"),
        ({"num_height_tiles": None}, "num_height_tiles"),
        ({"crop_mode": False}, "num_width_tiles"),
        ({"num_height_tiles": -1}, "num_height_tiles"),
        ({"num_height_tiles": 1.0}, "num_height_tiles"),
        ({"seq_len": True}, "seq_len"),
        ({"base_size": 0}, "base_size"),
        ({"crop_mode": 1}, "crop_mode"),
        ({"page_width": 1191, "page_height": 1684}, "num_width_tiles"),
        ({**PAGE, "page_height": None}, "page_height"),
        ({**PAGE, "page_width": 0}, "page_width"),
        ({**PAGE, "page_width": 2**26 + 1}, "page_width"),
        ({"preprocessing": "vllm"}, "preprocessing"),
        ({"doc_kind": "poem"}, "doc_kind"),
        ({"num_pages": 0}, "num_pages"),
        ({"images_per_prompt": 0}, "images_per_prompt"),
        ({"vision_batch_size": 0}, "vision_batch_size"),
        ({"vision_batch_size": None}, "vision_batch_size"),
        ({"logits_tokens": 0}, "logits_tokens"),
        ({"profile_id": ""}, "profile_id"),
    ],
)
def test_a_wrong_field_is_refused_by_name(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(RecordError, match=f"^{place}: "):
        make_profile(**changes)


def test_the_pages_of_a_call_of_the_towers_divide_the_batch() -> None:
    assert make_profile().vision_batch_size == 1
    for vision_batch_size in (1, 5, 7, 35):
        assert make_profile(num_pages=35, vision_batch_size=vision_batch_size).vision_batch_size == vision_batch_size
    for wrong in (3, 70):
        with pytest.raises(RecordError, match=f"^vision_batch_size: .* a divisor of num_pages, 35; found {wrong}$"):
            make_profile(num_pages=35, vision_batch_size=wrong)


def test_no_more_positions_get_logits_than_there_are() -> None:
    assert [make_profile(logits_tokens=positions).logits_tokens for positions in (None, 1, 512)] == [None, 1, 512]
    with pytest.raises(RecordError, match=r"^logits_tokens: .* at most seq_len, 512; found 513$"):
        make_profile(logits_tokens=513)


def test_records_are_keyword_only_and_frozen() -> None:
    with pytest.raises(TypeError):
        OCRWorkloadProfile("dsocr-standard-v1")  # type: ignore[call-arg,misc] # just what must not work
    with pytest.raises(AttributeError):
        make_profile().seq_len = 3  # type: ignore[misc] # just what must not work
