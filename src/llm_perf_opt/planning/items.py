"""What a model is served that does not look at pages: its own sizes, from CSV."""

from __future__ import annotations

import csv
import os

from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.pages import (
    PageClasses,
    expect_columns,
    find_columns,
    open_csv,
    parse_count,
    read_lines,
)
from modelmeter.model.serving import Serving


def read_items(path: str | os.PathLike[str], serving: Serving) -> PageClasses:
    """Return the items of a CSV by what costs the same.

    The first row names the columns: the sizes of an item, the size that counts steps, or ``output_tokens`` for it, and,
    if there are several items to a row, ``count``.

    Raises
    ------
    RecordError
        If the file cannot be read, lacks a column or has one of another name, or a value is not a whole number in
        range; the message names the row, the first one being 1, and the column.
    """
    columns = {
        **{name: (name,) for name in serving.item_sizes},
        serving.steps: (serving.steps, "output_tokens"),
        "count": ("count",),
    }
    with open_csv(path) as file:
        rows = csv.reader(read_lines(file, str(path)))
        header = next(rows, None)
        if not header:
            raise RecordError(
                "there is no row that names the columns", place=str(path), expected=expect_columns(columns)
            )
        places = find_columns(header, str(path), columns)
        found = PageClasses()
        for number, row in enumerate(rows, 2):
            if not row:
                continue  # a blank line, as at the end
            if len(row) != len(header):
                raise RecordError(
                    "a row has other columns than the first", place=f"{path}: row {number}", expected=len(header),
                    found=len(row),
                )  # fmt: skip
            value = {name: parse_count(row[at], name, f"{path}: row {number}") for name, at in places.items()}
            sizes = tuple(sorted((name, value[name]) for name in serving.item_sizes))
            found[sizes, value[serving.steps]] += value.get("count", 1)
    if not found:
        raise RecordError(f"there are no {serving.items}", place=str(path), expected="at least one row of sizes")
    return found
