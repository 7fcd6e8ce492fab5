"""Workloads: the documented defaults, the sizes that follow from others, and the refusals."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS
from modelmeter.models.deepseek_ocr.image_preprocessing import MODES
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.support.errors import WorkloadError

SIZES = {**DIMENSIONS.workload, **DIMENSIONS.storage}


def test_the_default_is_an_a4_page_in_gundam_mode() -> None:
    assert Workload().dimension_values() == {
        "batch_size": 1,
        "images_per_prompt": 1,
        "vision_batch_size": 1,
        "base_size": 1024,
        "image_size": 640,
        "num_width_tiles": 2,
        "num_height_tiles": 3,
        "prompt_tokens": 10,
        "seq_len": 913,  # 16 x 17 + 1 + 30 x 21 = 903 image tokens, and 10
        "logits_tokens": 913,
        "decode_steps": 1023,
        "max_new_tokens": 1024,
        "weight_bits": 16,
        "activation_bits": 16,
        "kv_bits": 16,
    }
    assert Workload().image_tokens == 903
    assert Workload().tiles == 6
    assert Workload() == Workload.for_mode("gundam")


def test_dimensions_come_in_the_order_of_the_documentation() -> None:
    assert list(Workload().dimension_values()) == list(SIZES)


@given(
    st.fixed_dictionaries(
        {
            "base_size": st.integers(16, 2000),
            "image_size": st.integers(16, 2000),
            "num_width_tiles": st.integers(1, 9),
            "num_height_tiles": st.integers(1, 9),
            "images_per_prompt": st.integers(1, 9),
            "prompt_tokens": st.integers(0, 10**6),
            "max_new_tokens": st.integers(1, 10**6),
        }
    )
)
def test_what_is_not_given_follows_from_the_rest(sizes: dict[str, int]) -> None:
    workload = Workload(**sizes)
    assert workload.seq_len == workload.image_tokens + sizes["prompt_tokens"]
    assert workload.logits_tokens == workload.seq_len
    assert workload.decode_steps == sizes["max_new_tokens"] - 1
    assert workload.dimension_values().items() >= sizes.items()


def test_the_images_of_a_prompt_follow_each_other() -> None:
    """Three pages of 903 tokens, and 7 of text."""
    workload = Workload(images_per_prompt=3, prompt_tokens=7)
    assert (workload.image_tokens, workload.seq_len, workload.logits_tokens) == (2709, 2716, 2716)
    assert workload.tiles == 6, "of one page"


def test_pages_fill_the_calls_of_the_towers() -> None:
    assert Workload(batch_size=6, vision_batch_size=3).dimension_values()["vision_batch_size"] == 3
    for batch_size, vision_batch_size in ((6, 4), (1, 2), (7, 6)):
        with pytest.raises(WorkloadError, match=f"^vision_batch_size: .*a divisor of batch_size = {batch_size}; found"):
            Workload(batch_size=batch_size, vision_batch_size=vision_batch_size)


def test_what_is_given_stands() -> None:
    # 903 image tokens and 106 of the prompt; the first of 102 new tokens comes from the prefill.
    workload = Workload(seq_len=1009, logits_tokens=1, decode_steps=101, max_new_tokens=102, prompt_tokens=106)
    assert (workload.seq_len, workload.logits_tokens, workload.decode_steps) == (1009, 1, 101)


@pytest.mark.parametrize(
    ("grid", "tiles", "tokens"),
    [
        ((1, 1), 0, 273),
        ((0, 0), 0, 273),
        ((1, 2), 2, 273 + 20 * 11),
        ((3, 1), 3, 273 + 10 * 31),
    ],
)
def test_a_grid_of_one_tile_has_none(grid: tuple[int, int], tiles: int, tokens: int) -> None:
    workload = Workload(num_width_tiles=grid[0], num_height_tiles=grid[1])
    assert (workload.tiles, workload.image_tokens) == (tiles, tokens)


@pytest.mark.parametrize(
    ("name", "seq_len"),
    [
        ("tiny", 8 * 9 + 1 + 10),
        ("small", 10 * 11 + 1 + 10),
        ("base", 16 * 17 + 1 + 10),
        ("large", 20 * 21 + 1 + 10),
        ("gundam", 16 * 17 + 1 + 30 * 21 + 10),
        ("gundam-m", 20 * 21 + 1 + 48 * 33 + 10),
    ],
)
def test_every_mode_has_its_prompt_length(name: str, seq_len: int) -> None:
    workload = Workload.for_mode(name)
    assert workload.seq_len == seq_len
    assert workload.tiles == (6 if MODES[name].is_tiled else 0)


def test_a_mode_takes_a_grid_and_other_sizes() -> None:
    workload = Workload.for_mode("gundam", num_width_tiles=3, num_height_tiles=1, prompt_tokens=7, kv_bits=8)
    assert workload == Workload(num_width_tiles=3, num_height_tiles=1, prompt_tokens=7, kv_bits=8)


def test_a_mode_without_tiles_refuses_them() -> None:
    assert Workload.for_mode("base", num_width_tiles=0, num_height_tiles=0).tiles == 0
    with pytest.raises(WorkloadError, match=r"^base: this mode has no tiles; .*found 1 x 2"):
        Workload.for_mode("base", num_height_tiles=2)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(WorkloadError, match="no mode has this name"):
        Workload.for_mode("huge")


@pytest.mark.parametrize("value", [-1, True, False, 1.0, "1", None, [], float("nan"), -(10**400)])
@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_is_no_whole_number_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(WorkloadError, match=f"^{name}: "):
        Workload(**{name: value})


@pytest.mark.parametrize("grid", [(0, 3), (2, 0)])
def test_a_grid_has_no_tiles_in_both_directions_or_in_none(grid: tuple[int, int]) -> None:
    """The vendor counts tiles across and down, and cuts a page where one of them is more than 1: no page has 0 x 3."""
    with pytest.raises(WorkloadError, match=r"num_width_tiles: .*0 together with num_height_tiles = [03]; found [02]"):
        Workload(num_width_tiles=grid[0], num_height_tiles=grid[1])


@pytest.mark.parametrize("name", SIZES)
def test_zero_is_accepted_only_where_it_has_a_meaning(name: str) -> None:
    if name in ("num_width_tiles", "num_height_tiles", "prompt_tokens", "decode_steps"):
        others = {"max_new_tokens": 1} if name == "decode_steps" else {}
        if name.endswith("_tiles"):
            others = {"num_width_tiles": 0, "num_height_tiles": 0}
        assert Workload(**{**others, name: 0}).dimension_values()[name] == 0
    else:
        with pytest.raises(WorkloadError, match=f"^{name}: "):
            Workload(**{name: 0})


@pytest.mark.parametrize(
    ("sizes", "name"),
    [
        ({"base_size": 15}, "base_size"),
        ({"image_size": 15}, "image_size"),
        ({"seq_len": 902}, "seq_len"),
        ({"seq_len": 914}, "seq_len"),
        ({"seq_len": 913, "prompt_tokens": 11}, "seq_len"),
        ({"num_height_tiles": 4, "seq_len": 913}, "seq_len"),
        ({"images_per_prompt": 2, "seq_len": 1805}, "seq_len"),
        ({"vision_batch_size": 2}, "vision_batch_size"),
        ({"logits_tokens": 914}, "logits_tokens"),
        ({"seq_len": 903, "prompt_tokens": 0, "logits_tokens": 904}, "logits_tokens"),
        ({"decode_steps": 1024}, "decode_steps"),
        ({"decode_steps": 1022}, "decode_steps"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(sizes: dict[str, int], name: str) -> None:
    with pytest.raises(WorkloadError, match=f"^{name}: two sizes contradict each other"):
        Workload(**sizes)


def test_the_limits_themselves_are_accepted() -> None:
    workload = Workload(base_size=16, image_size=16, num_width_tiles=1, num_height_tiles=1, prompt_tokens=0)
    assert (workload.image_tokens, workload.seq_len) == (3, 3)
    assert Workload(max_new_tokens=1).decode_steps == 0


def test_a_size_may_have_any_number_of_digits() -> None:
    assert Workload(batch_size=10**400).dimension_values()["batch_size"] == 10**400


def test_a_workload_cannot_change() -> None:
    workload = Workload()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        workload.batch_size = 2  # type: ignore[misc]  # that it is refused is the point


@pytest.mark.parametrize(
    ("changes", "views", "tokens"),
    [
        ({"preprocessing": "transformers"}, (1024, 3, 3), 273 + 30 * (30 + 1)),
        ({"preprocessing": "serving"}, (1024, 2, 2), 273 + 20 * (20 + 1)),
        ({"preprocessing": "transformers", "crop_mode": False}, (640, 1, 1), 10 * 11 + 1),
        ({"preprocessing": "serving", "crop_mode": False}, (1024, 1, 1), 16 * 17 + 1),
        ({"image_size": 1024, "crop_mode": False}, (1024, 1, 1), 16 * 17 + 1),
    ],
)
def test_a_page_of_pixels_has_the_views_of_the_vendors_program(
    changes: dict[str, Any], views: tuple[int, int, int], tokens: int
) -> None:
    workload = Workload.for_page(1920, 1920, **changes, prompt_tokens=7)
    assert (workload.base_size, workload.num_width_tiles, workload.num_height_tiles) == views
    assert (workload.image_tokens, workload.seq_len) == (tokens, tokens + 7)


@pytest.mark.parametrize("crop_mode", [True, False])
def test_a_program_has_to_be_named_where_they_differ(crop_mode: bool) -> None:
    with pytest.raises(WorkloadError, match=r"^preprocessing: .*say which one is meant"):
        Workload.for_page(1920, 1920, crop_mode=crop_mode)
