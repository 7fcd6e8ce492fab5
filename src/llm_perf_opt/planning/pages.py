"""The pages that a plan is for: read from CSV or made of one workload, and grouped by what costs the same."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from attrs import frozen

from llm_perf_opt.errors import RecordError
from modelmeter.model.page_views import PageViews
from modelmeter.model.serving import ServingMode
from modelmeter.support.files import describe_failure

LARGEST_SIDE: Final = 2**26
"""Pixels; far above any scan."""

LARGEST_COUNT: Final = 10**12
MOST_TOKENS: Final = 2**24

OUTPUT_TOKENS: Final = ("output_tokens", "max_new_tokens")
"""What the column may be called that has the tokens that are written."""

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "width": ("width", "page_width"),
    "height": ("height", "page_height"),
    "output_tokens": OUTPUT_TOKENS,
    "count": ("count",),
}
"""What a CSV has, each by any of its names; all but ``count`` are needed."""

_LIMITS: Final = {
    "width": LARGEST_SIDE, "height": LARGEST_SIDE, "output_tokens": MOST_TOKENS, "count": LARGEST_COUNT,
}  # fmt: skip
_OTHER_SEPARATORS: Final = ";\t|"
_MOST_DIGITS: Final = 18
_LONGEST_LINE: Final = 2**16
_REMEMBERED: Final = 2**17
"""Pages whose views are remembered, so that memory is bounded whatever a file holds."""

ViewSizes = tuple[tuple[str, int], ...]
"""The sizes of the views of a page, as sorted pairs of name and value."""


class Page(NamedTuple):
    """Pages of the same sides and output; a tuple, as there may be millions.

    Parameters
    ----------
    width, height
        Sides in pixels.
    output_tokens
        Tokens that are written for each, at least 1.
    num_pages
        How many there are.
    """

    width: int
    height: int
    output_tokens: int
    num_pages: int = 1


@frozen(kw_only=True)
class ViewRule:
    """How pages become sizes of the views in one mode.

    Parameters
    ----------
    views
        How the model cuts a page.
    mode
        The sizes that views are made with, and whether pages are cut.
    preprocessing
        The vendor's program that does it, or None for what all of them do.
    """

    views: PageViews
    mode: ServingMode
    preprocessing: str | None

    def make_cut(self) -> Callable[[int, int], ViewSizes]:
        """Return the function from the sides of a page to the sizes of its views; it remembers pages."""
        sizes = {**self.views.defaults, **self.mode.sizes}
        if self.preprocessing is not None:
            self.views.check_preprocessing(self.preprocessing)
        if not self.mode.is_cut:
            whole = self._sort({**sizes, **self.views.keep_whole(sizes, self.preprocessing)})
            return lambda width, height: whole

        def cut(width: int, height: int) -> ViewSizes:
            return self._sort({**sizes, **self.views.cut(width, height, sizes, self.preprocessing)})

        if self.views.make_cut is None or self.preprocessing is None:
            return lru_cache(maxsize=_REMEMBERED)(cut)
        count_tiles, tiles = self.views.make_cut(sizes, self.preprocessing), self.views.tiles

        @cache
        def describe(counts: tuple[int, ...]) -> ViewSizes:
            return self._sort({**sizes, **dict(zip(tiles, counts, strict=True))})

        return lambda width, height: describe(count_tiles(width, height))

    @staticmethod
    def _sort(sizes: Mapping[str, int]) -> ViewSizes:
        return tuple(sorted(sizes.items()))


PageClasses = Counter[tuple[ViewSizes, int]]
"""How many pages there are by the sizes of their views and their output tokens: those cost the same."""


def group_pages(pages: Iterable[Page], rules: Iterable[ViewRule]) -> tuple[PageClasses, ...]:
    """Return the pages grouped by what costs the same, for each rule.

    Raises
    ------
    WorkloadError
        If a page cannot be cut, or the vendor's programs differ and a rule names none.
    """
    groups: list[tuple[Callable[[int, int], ViewSizes], PageClasses]] = [(rule.make_cut(), Counter()) for rule in rules]
    for width, height, output_tokens, num_pages in pages:
        for cut, classes in groups:
            classes[cut(width, height), output_tokens] += num_pages
    return tuple(classes for _, classes in groups)


def read_pages(path: str | os.PathLike[str]) -> Iterator[Page]:
    """Yield the pages of a CSV, row by row.

    The first row names the columns: ``width``, ``height``, ``output_tokens`` and, if there are several pages to a row,
    ``count``.

    Raises
    ------
    RecordError
        If the file cannot be read, lacks a column or has one of another name, or a value is not a whole number in
        range; the message names the row, the first one being 1, and the column.
    """
    with open_csv(path) as file:
        rows = csv.reader(read_lines(file, str(path)))
        header = next(rows, None)
        if not header:
            raise RecordError("there is no row that names the columns", place=str(path), expected=expect_columns())
        places = find_columns(header, str(path))
        shown = {column: header[place].strip() for column, place in places.items()}
        width_at, height_at, output_at = (places[name] for name in ("width", "height", "output_tokens"))
        count_at = places.get("count")
        num_rows = 0
        known: dict[str, dict[str, int]] = {column: {} for column in COLUMNS}
        known_width, known_height, known_output = known["width"], known["height"], known["output_tokens"]

        def parse(text: str, column: str, number: int) -> int:
            value = parse_count(text, column, f"{path}: row {number}", shown[column])
            if len(known[column]) < _REMEMBERED:
                known[column][text] = value
            return value

        for number, row in enumerate(rows, 2):
            if not row:
                continue  # a blank line, as at the end
            if len(row) != len(header):
                raise RecordError(
                    "a row has other columns than the first", place=f"{path}: row {number}", expected=len(header),
                    found=len(row),
                )  # fmt: skip
            num_rows += 1
            # A side is one of some thousands: to look it up takes a quarter of the time that parsing does.
            width = known_width.get(row[width_at]) or parse(row[width_at], "width", number)
            height = known_height.get(row[height_at]) or parse(row[height_at], "height", number)
            output_tokens = known_output.get(row[output_at]) or parse(row[output_at], "output_tokens", number)
            count = 1 if count_at is None else parse(row[count_at], "count", number)
            yield Page(width, height, output_tokens, count)
        if not num_rows:
            raise RecordError("there are no pages", place=str(path), expected="at least one row of sizes")


@contextmanager
def open_csv(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Open a CSV, with errors of its reading as ours."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise RecordError("the pages cannot be read", place=str(path), found=describe_failure(error)) from None
    except UnicodeDecodeError:
        raise RecordError("this is no CSV", place=str(path), expected="text in UTF-8", found="other bytes") from None
    except (csv.Error, ValueError) as error:
        raise RecordError("this is no CSV", place=str(path), found=str(error)) from None


def read_lines(file: TextIO, path: str) -> Iterator[str]:
    """Yield the lines of a file; a device without an end has one that is too long."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise RecordError(
                "this is no CSV", place=path, expected=f"lines of less than {_LONGEST_LINE} characters",
                found="a longer one",
            )  # fmt: skip
        yield line


def find_columns(header: list[str], path: str, known: Mapping[str, tuple[str, ...]] = COLUMNS) -> dict[str, int]:
    """Return the place of each column by its name; a count may be missing.

    Raises
    ------
    RecordError
        If another one is missing, there twice, or not known.
    """
    names = [name.strip().lower().replace(" ", "_") for name in header]
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        column = next((column for column, each in known.items() if name in each), None)
        if column is None or column in places:
            separators = [mark for mark in _OTHER_SEPARATORS if len(header) == 1 and mark in header[0]]
            raise RecordError(
                "a column has a name that means nothing here" if column is None else "a column is there twice",
                place=f"{path}: row 1", expected=expect_columns(known), found=header[place],
                remedy="separate columns with commas" if separators else "",
            )  # fmt: skip
        places[column] = place
    missing = [column for column in known if column not in places and column != "count"]
    if missing:
        raise RecordError(
            f"the column {missing[0]} is missing", place=f"{path}: row 1", expected=expect_columns(known),
            found=", ".join(header),
        )  # fmt: skip
    return places


def expect_columns(known: Iterable[str] = COLUMNS) -> str:
    """Return which columns a CSV has to have."""
    return f"columns {', '.join(name for name in known if name != 'count')} and, if wanted, count"


def parse_count(text: str, column: str, place: str, shown: str) -> int:
    """Return the whole number of a field, in the range of its column, which the file calls ``shown``.

    Raises
    ------
    RecordError
        If it is none.
    """
    # Python's int reads 1_000 and other scripts' digits too, which no program that writes CSV means.
    value = int(text) if text.isdigit() and text.isascii() and len(text) <= _MOST_DIGITS else _parse_blanks(text)
    most = _LIMITS.get(column, MOST_TOKENS)
    if not 1 <= value <= most:
        raise RecordError(
            f"the value of {shown} is wrong", place=place,
            expected=f"a whole number from 1 to {most}", found=text,
        )  # fmt: skip
    return value


def _parse_blanks(text: str) -> int:
    """Return a number with blanks around it; 0, which no column may have, for anything else."""
    inner = text.strip()
    return int(inner) if inner.isdigit() and inner.isascii() and len(inner) <= _MOST_DIGITS else 0
