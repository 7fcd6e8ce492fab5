"""Sizes as people type them."""

from __future__ import annotations

from fractions import Fraction

import pytest

import deepseek_ocr_costs as costs
from llm_perf_opt import arguments
from llm_perf_opt.arguments import (
    as_json,
    check_name,
    fill_arguments,
    parse_arguments,
    parse_size,
    write_argument,
)
from modelmeter.support.errors import WorkloadError
from modelmeter.support.suggestions import UnknownNameError


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("seq_len", "1_913", 1913),
        ("seq_len", "-5", -5),
        ("weight_bits", "16", 16),
        ("weight_bits", "5.5", Fraction(11, 2)),
        ("weight_bits", "4.25", Fraction(17, 4)),
        ("kv_bits", "31/7", Fraction(31, 7)),
        ("kv_bits", "32/8", 4),
        ("activation_bits", "8.0", 8),
    ],
)
def test_numbers(name: str, text: str, value: object) -> None:
    found = parse_size(name, text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("seq_len", "1k", "seq_len: the value is not an integer; expected digits: 1913 or 1_913; found '?1k"),
        ("seq_len", "5.5", "not an integer"),
        ("seq_len", "11/2", "not an integer"),
        ("num_tokens", "5.5", "not an integer"),
        ("seq_len", "", "seq_len: the value is not an integer; expected digits: 1913 or 1_913; found nothing$"),
        ("kv_bits", " ", "kv_bits: the value is not a number; expected digits: 16, 5.5 or 11/2; found ' '$"),
        ("weight_bits", "fp8", "weight_bits: the value is not a number; expected digits: 16, 5.5 or 11/2"),
        ("weight_bits", "5.5.5", "not a number"),
        ("weight_bits", "1e1", "not a number"),
        ("weight_bits", "11/0", "not a number"),
        ("weight_bits", ".5", "not a number"),
        ("weight_bits", "inf", "not a number"),
        ("weight_bits", "5." + "5" * 100, "too long; expected at most 100 digits"),
    ],
)
def test_what_is_no_number(name: str, text: str, words: str) -> None:
    with pytest.raises(WorkloadError, match=words):
        parse_size(name, text)


def test_the_name_is_looked_at_before_the_value() -> None:
    """Who writes ``dtype=fp8`` has the name wrong."""
    with pytest.raises(UnknownNameError, match=r"no argument of prefill of this name.*did you mean kv_bits"):
        parse_arguments(["dtype=fp8"], ["seq_len", "kv_bits"], "argument of prefill")


@pytest.mark.parametrize("word", sorted(arguments._MEANT))
def test_words_of_other_programs_stand_for_sizes(word: str) -> None:
    """Each for sizes that there are, of a stage or of a layer."""
    known = {*costs.DIMENSIONS, "num_tokens"}
    assert word not in known
    assert set(arguments._MEANT[word]) <= known
    with pytest.raises(UnknownNameError, match=f"did you mean {' or '.join(arguments._MEANT[word])}"):
        check_name("size", word, known)


def test_defaults_that_count() -> None:
    """That of a size which another follows from does, unless the other is given."""
    defaults = {"seq_len": None, "prompt_tokens": None, "kv_bits": 16, "expert_routing": "uniform"}
    assert fill_arguments(defaults, {}, costs.DIMENSIONS) == {
        "prompt_tokens": 10,
        "kv_bits": 16,
        "expert_routing": "uniform",
    }
    assert fill_arguments(defaults, {"seq_len": 2003, "batch_size": 5}, costs.DIMENSIONS) == {
        "seq_len": 2003, "kv_bits": 16, "expert_routing": "uniform",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "written", "json"),
    [
        (16, "16", 16),
        ("even", "even", "even"),
        (Fraction(11, 2), "5.5", 5.5),
        (Fraction(31, 7), "31/7", "31/7"),
        (Fraction(1, 3) + 5, "16/3", "16/3"),
    ],
)
def test_an_argument_is_written_as_it_is_typed(value: int | str | Fraction, written: str, json: object) -> None:
    assert write_argument(value) == written
    assert as_json(value) == json
    if not isinstance(value, str):
        assert parse_size("weight_bits", written) == value
