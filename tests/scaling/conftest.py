"""What tests of studies share: the theorem book of the published model takes long to derive."""

from __future__ import annotations

import pytest

from llm_perf_opt.studies import list_cards
from modelmeter.compiled_model import CompiledModel
from modelmeter.scaling.studies import Book, write_book


@pytest.fixture(scope="session")
def book(published: CompiledModel) -> Book:
    return write_book(published, list_cards())
