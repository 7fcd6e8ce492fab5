"""Prices: of the shipped book with sources and dates, of a user's own book, and typed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import list_hardware
from llm_perf_opt.planning.prices import find_prices, read_price_book
from modelmeter.support.errors import WorkloadError
from modelmeter.support.suggestions import UnknownNameError

BOOK = """\
prices:
  - {card: l4, usd_per_hour: 0.71, source: my contract, date: '2026-10-01'}
  - {card: h100-sxm, usd_per_hour: 3, source: my contract}
"""


def test_the_shipped_book_is_of_shipped_cards_with_a_date_each() -> None:
    prices = read_price_book().prices
    assert len(prices) >= 10
    for each in prices:
        assert each.card in list_hardware()
        assert each.date is not None
        assert "2026-01-01" < each.date < "2026-12-01"
        assert each.source.endswith(("Lambda", "Modal", "on demand"))
    assert set(find_prices([], ["l4", "mi300x"])) == {"l4"}, "nothing is made up where there is no price"


def test_a_price_may_be_typed_for_all_cards_or_for_one(tmp_path: Path) -> None:
    book = tmp_path / "prices.yaml"
    book.write_text(BOOK, encoding="utf-8")
    found = find_prices(["1.69", str(book), "h100-sxm=2e0"], ["l4", "h100-sxm", "a10"])
    assert {card: price.usd_per_hour for card, price in found.items()} == {"l4": 0.71, "h100-sxm": 2.0, "a10": 1.69}
    assert (found["l4"].source, found["l4"].date) == ("my contract", "2026-10-01")


@pytest.mark.parametrize("option", ["0", "-1", "1e999", "1.2.3", "l4=0", "l4=-", "l4=abc", "l4=", "e", "abc"])
def test_what_is_no_price_is_refused(option: str) -> None:
    with pytest.raises((WorkloadError, RecordError), match=r"--price: .*is no price|cannot be read"):
        find_prices([option], ["l4"])


def test_a_book_with_a_card_that_does_not_exist_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    book = tmp_path / "prices.yaml"
    book.write_text("prices: [{card: h100-sxn, usd_per_hour: 3, source: x}]", encoding="utf-8")
    with pytest.raises(RecordError, match=r"prices.yaml: prices: there is no card .* h100-sxn; did you mean h100-sxm"):
        find_prices([str(book)], ["l4"])
    # The same name is right for a card of the user's own that is planned with.
    assert find_prices([str(book)], ["l4", "h100-sxn"])["h100-sxn"].usd_per_hour == 3


def test_a_card_that_is_not_planned_with_has_no_price() -> None:
    with pytest.raises(UnknownNameError, match="no card of this plan"):
        find_prices(["h100=2"], ["h100-sxm"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prices: [{card: l4, source: x}]", "missing"),
        ("prices: [{card: l4, usd_per_hour: -1, source: x}]", r"prices\[0\].usd_per_hour: wrong value"),
        ("prices: [{card: l4, usd_per_hour: 1, source: x, date: '2026-13-01'}]", r"prices\[0\].date: wrong value"),
        ("prices: [{card: l4, usd_per_hour: 1, source: x}, {card: l4, usd_per_hour: 2, source: y}]", "the same as in"),
        ("price: []", "PriceBook"),
        ("prices: []", "prices: there are no prices; expected at least one"),
    ],
)
def test_a_bad_book_is_refused_by_key(tmp_path: Path, text: str, message: str) -> None:
    book = tmp_path / "prices.yaml"
    book.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=message):
        read_price_book(str(book))
