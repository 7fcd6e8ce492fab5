"""What must hold for every file that a command writes: it is whole, and text from elsewhere is but text in it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa
import pyarrow.parquet
from markdown_it import MarkdownIt

from llm_perf_opt.data.yaml_text import load_yaml
from llm_perf_opt.errors import RecordError

_FOREIGN: Final = frozenset({"html_inline", "html_block", "image", "code_block", "fence", "hr", "blockquote_open"})
"""What no page of ours has where text from elsewhere may stand."""

_STEERING: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

_SHOWN_PAGES: Final = frozenset({"summary.md"})
"""The pages with text from elsewhere."""


def judge_content(path: str, content: bytes) -> Iterator[str]:
    """Yield what is wrong with a file that was written."""
    judges: dict[str, Callable[[bytes], Iterator[str]]] = {
        ".json": _judge_json, ".yaml": _judge_yaml, ".md": _judge_text, ".csv": _judge_csv, ".parquet": _judge_parquet,
    }  # fmt: skip
    name = PurePosixPath(path)
    judge = judges.get(name.suffix.lower())
    problems = list(judge(content)) if judge else []
    if name.name in _SHOWN_PAGES and not problems:
        problems = list(_judge_page(content.decode()))
    for problem in problems:
        yield f"{path}: {problem}"


def _judge_text(content: bytes) -> Iterator[str]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        yield f"not UTF-8: {error}"
        return
    if not text.endswith("\n"):
        yield "it does not end with a line break"
    steering = sorted(set(_STEERING.findall(text)))
    if steering:
        yield f"it has characters that steer: {steering!r}"


def _judge_json(content: bytes) -> Iterator[str]:
    try:
        json.loads(content)
    except ValueError as error:
        yield f"not JSON: {error}"


def _judge_yaml(content: bytes) -> Iterator[str]:
    try:
        load_yaml(content.decode())
    except (RecordError, UnicodeDecodeError) as error:
        yield f"not YAML: {error}"


def _judge_csv(content: bytes) -> Iterator[str]:
    if content.startswith(b"{"):  # a module graph, or the rows of a verification: --save-graph takes any name
        yield from _judge_json(content)
        return
    rows = list(csv.reader(io.StringIO(content.decode())))
    if not content.endswith(b"\n") or len(rows) < 2 or len({len(row) for row in rows}) != 1:
        yield "not a table with rows of one length"


def _judge_parquet(content: bytes) -> Iterator[str]:
    try:
        pyarrow.parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        yield f"not Parquet: {error}"


def _judge_page(text: str) -> Iterator[str]:
    """Judge how a page with text from elsewhere is shown."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    # The one formula of the page is a code block.
    foreign = [token.type for token in (*tokens, *inline) if token.type in _FOREIGN]
    if foreign not in ([], ["code_block"]):
        yield f"there is markup in it that is not ours: {foreign}"
    targets = [str(token.attrs["href"]) for token in inline if token.type == "link_open"]
    strange = [target for target in targets if not target.startswith("layers/")]
    if strange:
        yield f"it links to {strange[:3]}"
    headings = [token.tag for token in tokens if token.type == "heading_open"]
    if headings.count("h1") != 1 or headings[0] != "h1":
        yield f"its headings are not ours: {headings}"
