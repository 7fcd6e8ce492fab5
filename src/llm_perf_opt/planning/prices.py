"""What cards cost by the hour: a price book, with the source and the date of every price."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from attrs import field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.data.serialization import read_record
from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import list_hardware
from llm_perf_opt.library import LARGEST_RECORD_BYTES
from modelmeter.support.errors import WorkloadError
from modelmeter.support.suggestions import unknown_name

USD_PER_HOUR = rules.FieldRule(
    expected="a finite number above 0",
    accepts=lambda value: type(value) is float and 0 < value < _MOST,
    schema={"type": "number", "exclusiveMinimum": 0, "description": "US dollars an hour"},
)
_MOST: Final = 1e9

_NAMED: Final = re.compile(r"(?P<card>[A-Za-z0-9][A-Za-z0-9._-]*)=(?P<price>.*)")
_PACKAGE: Final = "llm_perf_opt.planning.price_books"


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return False
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return True


DATE = rules.FieldRule(
    expected="a date in quotes, as '2026-05-07'",
    accepts=_is_date,
    schema={"type": "string", "format": "date"},
)


@frozen(kw_only=True)
class CardPrice:
    """The price of one card.

    Parameters
    ----------
    card
        Its id.
    usd_per_hour
        US dollars for an hour.
    source, date
        Who states it, and when; ``date`` as ``2026-05-07``, and None for a price of the user's own.
    """

    card: str = field(validator=rules.IDENTIFIER)
    usd_per_hour: float = field(converter=rules.as_float, validator=USD_PER_HOUR)
    source: str = field(validator=rules.IDENTIFIER)
    date: str | None = field(default=None, validator=rules.or_none(DATE))


@frozen(kw_only=True)
class PriceBook:
    """Prices of cards.

    Parameters
    ----------
    prices
        One for each card.
    """

    prices: tuple[CardPrice, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(CardPrice), key="card")
    )

    def __attrs_post_init__(self) -> None:
        if not self.prices:
            raise RecordError(
                "there are no prices", place="prices", expected="at least one price of a card", found="an empty list"
            )

    def by_card(self) -> Mapping[str, CardPrice]:
        """Return the prices by the id of the card."""
        return {price.card: price for price in self.prices}


def read_price_book(path: str | None = None) -> PriceBook:
    """Return a price book from a YAML or JSON file; the shipped one without a path.

    Raises
    ------
    RecordError
        If the file cannot be read or holds no price book.
    """
    if path is not None:
        return read_record(path, PriceBook, limit_bytes=LARGEST_RECORD_BYTES)
    with resources.as_file(resources.files(_PACKAGE) / "public.yaml") as shipped:
        return read_record(shipped, PriceBook)


def find_prices(options: Iterable[str], cards: Iterable[str]) -> dict[str, CardPrice]:
    """Return the prices of cards.

    Parameters
    ----------
    options
        Each a number of dollars for every card, ``card=dollars``, or the file of a price book; none for the shipped
        one. Later ones replace earlier ones.
    cards
        The ids of the cards that are planned with.

    Raises
    ------
    WorkloadError
        If an option is none of these.
    UnknownNameError
        If one names a card that is not among them.
    RecordError
        As :func:`read_price_book`, or if a book has a price of a card that is neither shipped nor planned with.
    """
    known = list(cards)
    options = list(options)
    if not options:
        return {card: price for card, price in read_price_book().by_card().items() if card in known}
    found: dict[str, CardPrice] = {}
    for option in options:
        named = _NAMED.fullmatch(option)
        if named is not None:
            if named["card"] not in known:
                raise unknown_name("card of this plan", named["card"], known)
            found[named["card"]] = _state(named["card"], named["price"], option)
        elif re.fullmatch(r"[0-9.eE+-]+", option):
            found |= {card: _state(card, option, option) for card in known}
        elif re.fullmatch(r"[\w-]+", option) and not Path(option).exists():
            raise _no_price(option, option)
        else:
            book = read_price_book(option).by_card()
            for card in book:
                if card not in known and card not in list_hardware():
                    error = unknown_name("card", card, sorted({*known, *list_hardware()}))
                    raise RecordError(error.problem, place=f"{option}: prices", found=card, remedy=error.remedy)
            found |= {card: price for card, price in book.items() if card in known}
    return found


def _state(card: str, text: str, option: str) -> CardPrice:
    try:
        dollars = float(text)
    except ValueError:
        dollars = 0.0
    if not USD_PER_HOUR.accepts(dollars):
        raise _no_price(text, option)
    return CardPrice(card=card, usd_per_hour=dollars, source="given with --price")


def _no_price(text: str, option: str) -> WorkloadError:
    return WorkloadError(
        f"{text or 'nothing'} is no price", place="--price",
        expected="dollars an hour above 0, as 1.69, card=1.69, or the file of a price book", found=option,
    )  # fmt: skip
