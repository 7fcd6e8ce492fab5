"""How the project and its formulas are cited."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelmeter.publishing.citation import AUTHORS, write_bibtex
from modelmeter.publishing.identity import FormulaId

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

# From the schema of the Citation File Format 1.2.0: what a file must have, and all that it may have.
REQUIRED = {"authors", "cff-version", "message", "title"}
ALLOWED = REQUIRED | {
    "abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license", "license-url",
    "preferred-citation", "references", "repository", "repository-artifact", "repository-code", "type", "url",
    "version",
}  # fmt: skip


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return found


def test_the_file_has_what_the_format_asks_for(citation: dict[str, Any]) -> None:
    assert REQUIRED <= citation.keys() <= ALLOWED
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("software", "dataset")
    texts = [citation[name] for name in ("message", "title", "abstract", "version", "license")]
    assert all(isinstance(text, str) and text for text in texts)
    assert len({*citation["keywords"]}) == len(citation["keywords"]) > 0
    for author in citation["authors"]:
        assert author.keys() == {"name"}, "an entity; a person has family-names"


def test_the_file_is_of_this_version(citation: dict[str, Any]) -> None:
    assert re.findall(r'^version = "(.*)"$', PROJECT, re.MULTILINE) == [citation["version"]]
    assert re.findall(r'^license = "(.*)"$', PROJECT, re.MULTILINE) == [citation["license"]]
    assert [author["name"] for author in citation["authors"]] == [AUTHORS]


def test_bibtex_has_the_version_and_the_whole_digest() -> None:
    formula = FormulaId(model="m-1", subject="prefill", metric="io_bytes", digest="0123456789abcdef" * 4)
    text = write_bibtex(formula, title="M_1", version="0.1.0")
    assert text.splitlines()[0] == "@misc{m-1-prefill-io-bytes-01234567,"
    fields = dict(re.findall(r"^  (\w+) += \{(.*)\},?$", text, re.MULTILINE))
    assert fields == {
        "author": "{The modelmeter developers}",
        "title": r"io\_bytes of prefill: exact cost formula of {M\_1}",
        "note": r"modelmeter 0.1.0, formula \texttt{m-1/prefill/io\_bytes@01234567}, SHA-256 of the canonical "
        rf"polynomial \texttt{{{formula.digest}}}",
        "version": "0.1.0",
    }
    assert text.count("{") == text.count("}")
    assert text.endswith("\n}")
