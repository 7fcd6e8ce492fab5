"""What models see of pages, against the processors of transformers; `make check-pages` draws a hundred thousand."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve
from tests.check_pages import check_rule, draw_sizes, find_oracle

from llm_perf_opt.commands.page_views import PageViews
from modelmeter.frontend.cards.page_rules import PAGE_RULES, GridRule, PageRule, make_page_views
from modelmeter.frontend.cards.shipped import CARDS
from modelmeter.support.errors import WorkloadError
from modelmeter.support.strict_json import make_converter

SIZES = 3000


@pytest.mark.parametrize("name", PAGE_RULES)
def test_sizes_are_those_of_the_processor_at_random_pages(name: str) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("numpy")
    assert check_rule(name, SIZES) == SIZES


@pytest.mark.parametrize("name", ["qwen2.5-vl-3b", "smolvlm2-2.2b", "deepseek-ocr-2", "unlimited-ocr", "minicpm-ocr"])
def test_the_check_finds_a_rule_that_is_wrong_by_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    oracle: Callable[[int, int], Any] = find_oracle(name, PAGE_RULES[name])
    monkeypatch.setattr("tests.check_pages.find_oracle", lambda *_: lambda w, h: (oracle(w, h)[0] + 1,))
    with pytest.raises(AssertionError, match=f"{name} at"):
        check_rule(name, 3)


def test_sizes_are_drawn_on_the_edges_of_cells_too() -> None:
    drawn = list(draw_sizes("any", 28, 1000))
    assert len(set(drawn)) > 900
    assert any(width % 28 == 14 for width, _ in drawn), "a half, which Python rounds to the even side"
    assert all(max(page) <= 200 * min(page) for page in drawn)


def test_an_a4_page_by_hand() -> None:
    """1654 / 28 = 59.07 and 2339 / 28 = 83.5..., 84 rows: 59 x 84 cells have fewer pixels than the most."""
    assert PAGE_RULES["qwen2.5-vl-3b"].find_sizes(1654, 2339) == (84, 59)
    # 59 * 84 * 28 * 28 = 3,885,504 are more than 2,822,400: sqrt(1654 * 2339 / 2822400) = 1.1707..., and
    # 1654 / 1.1707 / 28 = 50.45, 2339 / 1.1707 / 28 = 71.35.
    assert PAGE_RULES["paddleocr-vl"].find_sizes(1654, 2339) == (71, 50)
    # 1536 rows, int(1536 * 0.7071) = 1086 columns: 4 x 3 tiles of 384, and the whole page.
    assert PAGE_RULES["smolvlm2-2.2b"].find_sizes(1654, 2339) == (4 * 3 + 1,)
    # 0.7071 is nearest to 2 / 3, of which 6 tiles are the only grid; a page within a tile has none.
    assert PAGE_RULES["deepseek-ocr-2"].find_sizes(1654, 2339) == (6,)
    assert PAGE_RULES["deepseek-ocr-2"].find_sizes(768, 761) == (0,)
    # 5 x 7 tiles are more than 32, so that 2 / 3 is nearest here too; 4 x 6 are as near, but half of their
    # 24 * 640 * 640 pixels are more than 1654 * 2339. For 1300 x 1300 = 1,690,000 pixels, 2 x 2, 3 x 3 and more are
    # alike: half of 4 * 640 * 640 are fewer, half of 9 * 640 * 640 are more.
    assert PAGE_RULES["unlimited-ocr"].find_sizes(1654, 2339) == (2, 3)
    assert PAGE_RULES["unlimited-ocr"].find_sizes(1300, 1300) == (2, 2)
    assert PAGE_RULES["unlimited-ocr"].find_sizes(640, 631) == (1, 1)
    assert PAGE_RULES["gemma-3-4b"].find_sizes(1654, 2339) == (1,)


def test_a_page_of_slices_by_hand() -> None:
    """An overview and slices have about 448 x 448 pixels each, and cells of 32 x 32."""
    rule = PAGE_RULES["minicpm-ocr"]
    # 448 / sqrt(1654 / 2339) = 532.7 rows, and 532 * 0.7071 = 376.2 columns: 16.6 x 11.75 cells. 1654 * 2339 pixels are
    # more than nine times 448 * 448, and 3 x 3 slices more like the page than 4 x 2: |log 0.7071| = 0.34652 is less
    # than |log 0.7071 - log 0.5| = 0.34663. A slice is 551 x 780: 448 / sqrt(551 / 780) = 533.03, 533 * 0.7064 = 376.5.
    assert rule.find_sizes(1654, 2339) == (17, 12, 9, 17, 12)
    # 2480 / 3508 = 0.70696 is nearer to 0.5 than to 1: four rows of two slices, of 1240 x 877 pixels each:
    # 448 / sqrt(1240 / 877) = 376.8, and 376 * 1.4139 = 531.6.
    assert rule.find_sizes(2480, 3508) == (17, 12, 8, 12, 17)
    # Half of 32 cells more than a whole number: 448 = 14 * 32, and a page of as many pixels is not cut.
    assert rule.find_sizes(448, 448) == (14, 14, 0, 14, 14)
    # One more pixel, and it is: in two. Both ways are as near, and then rows are taken. 448 / 2 = 224.
    # 448 / sqrt(449 / 224) = 316.4, and 316 * 2.0045 = 633.4: 9.875 x 19.8 cells.
    assert rule.find_sizes(449, 449) == (14, 14, 2, 10, 20)
    # 448 / sqrt(200) = 31.7 rows are a cell, as any less; 31 * 200 = 6200 columns are 193.75 cells.
    assert rule.find_sizes(4000, 20) == (1, 194, 0, 1, 194)


def test_a_page_of_one_row_of_pixels_is_enlarged_or_refused() -> None:
    with pytest.raises(WorkloadError, match="differ too much; expected sides of which one is at most 200 times"):
        PAGE_RULES["qwen2.5-vl-3b"].find_sizes(1, random.Random(7).randint(201, 10**6))
    # 28 rows and 5 * 28 columns of pixels are fewer than 147,384, so that both sides grow alike.
    rows = PAGE_RULES["paddleocr-vl"].find_sizes(5, 1)[0]
    assert rows == -(-28 * (147384 / (28 * 140)) ** 0.5 // 28)


def test_a_page_that_is_too_small_is_refused_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4 cells of 28 pixels each way, the last may be half a one: 98 = 3.5 * 28, which is rounded to the even 4."""
    least = {"grid_height": SimpleNamespace(minimum=4), "grid_width": SimpleNamespace(minimum=4)}
    views = make_page_views(PAGE_RULES["qwen2.5-vl-3b"])
    monkeypatch.setattr("llm_perf_opt.commands.page_views.find_page_views", lambda model: views)
    monkeypatch.setattr("llm_perf_opt.commands.page_views.load_costs", lambda model: SimpleNamespace(DIMENSIONS=least))
    sizes = dict.fromkeys(least, 4)
    assert PageViews(page="98x98").find_sizes("vision", {}, sizes) == sizes
    message = (
        "the page is too small for this model; expected as a square, at least 98x98 pixels; found 10x10, of which "
    )
    with pytest.raises(WorkloadError, match=message):
        PageViews(page="10x10").find_sizes("vision", {}, sizes)
    with pytest.raises(WorkloadError, match="grid_height = 4, grid_width = 3 follow"):
        PageViews(page="97x98").find_sizes("vision", {}, sizes)


def test_a_page_that_is_too_long_is_refused_where_any_square_is_large_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """All pages are resized to as many pixels: what has one row of cells is 88 times as wide as high."""
    rule = PAGE_RULES["minicpm-ocr"]
    tower = CARDS["minicpm-ocr"].tower
    assert tower is not None
    least = {size.name: SimpleNamespace(minimum=size.least) for size in tower.sizes if size.name in rule.sizes}
    views = make_page_views(rule)
    monkeypatch.setattr("llm_perf_opt.commands.page_views.find_page_views", lambda model: views)
    monkeypatch.setattr("llm_perf_opt.commands.page_views.load_costs", lambda model: SimpleNamespace(DIMENSIONS=least))
    sizes = dict.fromkeys(least, 4)
    assert PageViews(page="1x1").find_sizes("vision", {}, sizes)["grid_height"] == 14
    # 448 / sqrt(87) = 48.03 are 1.5 cells, which rounds to the even 2; 448 / sqrt(88) = 47.8.
    assert PageViews(page="870x10").find_sizes("vision", {}, sizes)["grid_height"] == 2
    with pytest.raises(WorkloadError, match="sides of the page differ too much; expected sides that are more alike"):
        PageViews(page="880x10").find_sizes("vision", {}, sizes)


def test_views_are_sizes_of_the_evaluators() -> None:
    views = make_page_views(PAGE_RULES["qwen3-vl-4b"])
    assert views.cut(1240, 1754, {}, None) == {"grid_height": round(1754 / 32), "grid_width": round(1240 / 32)}
    with pytest.raises(WorkloadError, match="--no-crop"):
        views.keep_whole({}, None)
    with pytest.raises(WorkloadError, match="one program for all pages"):
        views.cut(1240, 1754, {}, "serving")


@pytest.mark.parametrize("name", [name for name in PAGE_RULES if name in CARDS])
def test_a_rule_gives_sizes_of_the_tower_of_its_card(name: str) -> None:
    tower = CARDS[name].tower
    assert tower is not None
    assert {*PAGE_RULES[name].sizes} <= {size.name for size in tower.sizes}


@pytest.mark.parametrize("name", PAGE_RULES)
def test_a_rule_is_read_back_from_a_manifest(name: str) -> None:
    converter, rule = make_converter(), PAGE_RULES[name]
    assert converter.structure(converter.unstructure(rule), PageRule) == rule  # type: ignore[arg-type]  # a union
    assert isinstance(PAGE_RULES["qwen3-vl-4b"], GridRule)


def test_cards_are_listed_with_what_follows_from_a_page() -> None:
    lines = {name: "\n".join(card.describe()) for name, card in CARDS.items()}
    assert "--page gives grid_height, grid_width" in lines["qwen2.5-vl-3b"]
    assert "--page gives num_width_tiles, num_height_tiles" in lines["unlimited-ocr"]
    slices = "grid_height, grid_width, num_slices, slice_grid_height, slice_grid_width"
    assert f"--page gives {slices}" in lines["minicpm-ocr"]
    assert "it takes no --page" in "\n".join(evolve(CARDS["minicpm-ocr"], name="another").describe())
    assert "--page" not in lines["llama-3.1-8b"]
    assert {*PAGE_RULES} == {name for name, card in CARDS.items() if card.tower}
