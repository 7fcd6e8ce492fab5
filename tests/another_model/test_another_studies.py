"""Studies of a model from outside of the source tree: with its own sizes, and without those that it lacks."""

from __future__ import annotations

import random

import pytest
from tests.check_studies import check_statement

import modelmeter
from llm_perf_opt.studies import list_cards, render_files
from modelmeter.scaling.studies import Book, write_book

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def book(distribution: list[str]) -> Book:
    return write_book(modelmeter.compile("tiny-speech"), list_cards(["h100-sxm"]))


def test_what_it_lacks_is_left_out_by_name(book: Book) -> None:
    assert book.left_out == {
        "prompt-length": "the model has no seq_len",
        "chunked-prefill": "the model has no chunk of a prefill",
        "training": "the model says nothing of training",
        "rules-of-thumb": "the model has no seq_len",
    }
    assert {"what-to-optimise", "output-length", "batch-and-experts", "cards", "precision", "architecture"} == {
        found.study.id for found in book.findings
    }


def test_all_statements_replay_and_brute_force_agrees(book: Book) -> None:
    generator = random.Random(11)
    assert len(book.statements) > 50
    for each in book.statements:
        each.check()
        check_statement(each, 25, generator)


def test_sentences_have_its_units(book: Book) -> None:
    statement = book.find("batch-and-experts/h100-sxm-memory-in-audio/largest/batch_size")
    assert " recordings, and at no larger one (batch_size from 1 on; " in statement.sentence
    over = book.find("output-length/text-over-audio-tensor-core-flops/crossover/max_words")
    assert "max_words" in over.sentence


def test_pages_are_made(book: Book) -> None:
    files = render_files(book, list_cards(["h100-sxm"]))
    index = str(files["README.md"])
    assert "left out: the model has no seq_len" in index
    assert r"| $`\eta`$ | `hidden_size` |" not in index
    assert "On the NVIDIA H100 SXM5 80GB, at batch_size = 1 recording and max_words = 150 words, optimise **" in index
    assert "page," not in index.partition("## Output length")[0]
