"""The workload profile knows its image tokens and refuses a prompt or a grid that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from records import make_profile

from llm_perf_opt.data import OCRWorkloadProfile
from llm_perf_opt.errors import RecordError


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        # A side of s pixels gives g = ceil(floor(s / 16) / 4). 1024: 16, global view 16 * 17 + 1 = 273.
        # 640: 10, tiles of a 2 x 1 grid (1 * 10) * (2 * 10 + 1) = 210.
        ({}, 483),
        ({"num_width_tiles": 1, "num_height_tiles": 2}, 273 + 20 * 11),
        ({"num_width_tiles": 1}, 273),
        ({"num_width_tiles": 0, "num_height_tiles": 3}, 273),
        ({"crop_mode": False, "num_width_tiles": None, "num_height_tiles": None}, 273),
        # 655: floor(655 / 16) = 40, 10; 657: 41, 11.
        ({"base_size": 655, "crop_mode": False, "num_width_tiles": None, "num_height_tiles": None}, 10 * 11 + 1),
        ({"base_size": 657, "crop_mode": False, "num_width_tiles": None, "num_height_tiles": None}, 11 * 12 + 1),
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


def test_the_grid_is_that_of_the_page() -> None:
    assert make_profile().tile_grid == (2, 1)
    assert make_profile(crop_mode=False, num_width_tiles=None, num_height_tiles=None).tile_grid == (0, 0)
    # One tile is none: 16 x 17 + 1 tokens of the global view.
    assert make_profile(crop_mode=False, num_width_tiles=1, num_height_tiles=1).num_image_tokens == 273


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
        ({"doc_kind": "poem"}, "doc_kind"),
        ({"num_pages": 0}, "num_pages"),
        ({"profile_id": ""}, "profile_id"),
    ],
)
def test_a_wrong_field_is_refused_by_name(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(RecordError, match=f"^{place}: "):
        make_profile(**changes)


def test_records_are_keyword_only_and_frozen() -> None:
    with pytest.raises(TypeError):
        OCRWorkloadProfile("dsocr-standard-v1")  # type: ignore[call-arg,misc] # just what must not work
    with pytest.raises(AttributeError):
        make_profile().seq_len = 3  # type: ignore[misc] # just what must not work
