"""What a model is served that does not look at pages: its own sizes, from CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator

from llm_perf_opt.errors import RecordError
from llm_perf_opt.planning.pages import (
    OUTPUT_TOKENS,
    PageClasses,
    ViewSizes,
    expect_columns,
    find_columns,
    open_csv,
    parse_count,
    read_lines,
)
from modelmeter.model.serving import Serving


def name_output(serving: Serving) -> str:
    """Return what the tokens that are written are called: of a model with a prompt, its steps are one less."""
    return serving.steps if serving.prompt_stage is None else OUTPUT_TOKENS[0]


def read_items(path: str | os.PathLike[str], serving: Serving) -> PageClasses:
    """Return the items of a CSV by what costs the same.

    The first row names the columns: the sizes of an item, ``output_tokens``, or of a model without a prompt the size
    that counts steps, and, if there are several items to a row, ``count``.

    Raises
    ------
    RecordError
        If the file cannot be read, lacks a column or has one of another name, or a value is not a whole number in
        range; the message names the row, the first one being 1, and the column.
    """
    found = PageClasses()
    for _, sizes, output_tokens, count in _list_rows(path, serving):
        found[sizes, output_tokens] += count
    if not found:
        raise RecordError(f"there are no {serving.items}", place=str(path), expected="at least one row of sizes")
    return found


def find_row(path: str | os.PathLike[str], serving: Serving, sizes: ViewSizes) -> int:
    """Return the first row of a CSV with an item of these sizes; the row of the names is the first one, 1."""
    return next((number for number, found, *_ in _list_rows(path, serving) if found == sizes), 1)


def _list_rows(path: str | os.PathLike[str], serving: Serving) -> Iterator[tuple[int, ViewSizes, int, int]]:
    """Yield the rows of a CSV: number, sizes, output tokens and how many."""
    output = name_output(serving)
    columns = {
        **{name: (name,) for name in serving.item_sizes},
        output: (serving.steps, OUTPUT_TOKENS[0]) if serving.prompt_stage is None else OUTPUT_TOKENS,
        "count": ("count",),
    }
    with open_csv(path) as file:
        rows = csv.reader(read_lines(file, str(path)))
        header = next(rows, None)
        if not header:
            raise RecordError(
                "there is no row that names the columns", place=str(path), expected=expect_columns(columns)
            )
        if serving.prompt_stage is not None and serving.steps in [name.strip().lower() for name in header]:
            raise RecordError(
                f"{serving.steps} are the steps after the first token, and a plan is of the tokens that are written",
                place=f"{path}: row 1", expected=expect_columns(columns), found=serving.steps,
                remedy=f"{output} = {serving.steps} + 1",
            )  # fmt: skip
        places = find_columns(header, str(path), columns)
        for number, row in enumerate(rows, 2):
            if not row:
                continue  # a blank line, as at the end
            if len(row) != len(header):
                raise RecordError(
                    "a row has other columns than the first", place=f"{path}: row {number}", expected=len(header),
                    found=len(row),
                )  # fmt: skip
            value = {
                name: parse_count(row[at], name, f"{path}: row {number}", header[at].strip())
                for name, at in places.items()
            }
            sizes = tuple(sorted((name, value[name]) for name in serving.item_sizes))
            yield number, sizes, value[output], value.get("count", 1)
