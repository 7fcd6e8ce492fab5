"""The SQL for DuckDB, run: what it says of a table of workloads is what the Python package says, or an error."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sql_workloads import (
    EVALUATORS,
    EXPERT_LAYERS,
    LAYERS,
    Row,
    draw_answers,
    draw_refused,
    evaluate,
    find_function,
    list_sizes,
    name_outputs,
)

import deepseek_ocr_costs as costs

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed: SQL cannot run")

SCRIPT = Path(__file__).parents[3] / "codegen/duckdb/deepseek_ocr_costs.sql"
LAYERS_SCRIPT = SCRIPT.with_name("deepseek_ocr_costs_layers.sql")
ROWS = 60
"""Of each of the 17 evaluators: 1,020 points."""


@pytest.fixture(scope="module")
def database() -> Iterator[Any]:
    with duckdb.connect() as connection:
        connection.execute(SCRIPT.read_text(encoding="utf-8"))
        connection.execute(LAYERS_SCRIPT.read_text(encoding="utf-8"))
        yield connection


def fill(database: Any, names: Sequence[str], rows: Iterable[Row]) -> None:
    """Make the table of workloads, in another order of columns and with one that is no size."""
    types = {"expert_routing": "VARCHAR"}
    columns = ", ".join(f"{name} {types.get(name, 'HUGEINT')}" for name in reversed(names))
    database.execute(f"CREATE OR REPLACE TABLE pages (id BIGINT{', ' if names else ''}{columns})")
    values = [
        f"({', '.join([str(number), *(write(row[name]) for name in reversed(names))])})"
        for number, row in enumerate(rows)
    ]
    database.execute(f"INSERT INTO pages VALUES {', '.join(values)}")


def write(value: object) -> str:
    return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else f"{value}::HUGEINT"


def ask(database: Any, evaluator: str) -> list[tuple[int, ...]]:
    columns = ", ".join(name_outputs(evaluator))
    macro = f"deepseek_ocr_costs.{evaluator}" if evaluator not in LAYERS else f"deepseek_ocr_costs_{evaluator}"
    found: list[tuple[int, ...]] = database.execute(f"SELECT {columns} FROM {macro}('pages') ORDER BY id").fetchall()
    return found


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_a_table_of_workloads_costs_what_python_says(database: Any, evaluator: str) -> None:
    answers = draw_answers(evaluator, 1, count=ROWS)
    fill(database, list_sizes(evaluator), [row for row, _ in answers])
    assert ask(database, evaluator) == [expected for _, expected in answers]


@pytest.mark.parametrize("evaluator", LAYERS)
def test_layers_cost_what_python_says(database: Any, evaluator: str) -> None:
    answers = draw_answers(evaluator, 1, count=ROWS)
    fill(database, list_sizes(evaluator), [row for row, _ in answers])
    assert ask(database, evaluator) == [expected for _, expected in answers]


def test_every_layer_has_sql() -> None:
    functions = {name for name in dir(costs.layers) if callable(getattr(costs.layers, name)) and name[0] != "_"}
    taken = {f"layers.{name}" for name in functions if name in costs.layers.__all__}
    # An older name of a function is of one that has the new name.
    assert {find_function(name).__name__ for name in taken} == {find_function(name).__name__ for name in LAYERS}
    routed = {name.removesuffix("_fused_io_bytes") for name in taken if "expert_routing" in list_sizes(name)}
    assert routed == {*EXPERT_LAYERS}


@pytest.mark.parametrize("evaluator", ["layers.conv2d", "layers.moe_gate", "layers.sam_attention", "layers.linear"])
def test_what_a_layer_refuses_ends_the_query(database: Any, evaluator: str) -> None:
    words = r"must be (at least|a multiple|an even multiple)|the sizes make .* negative"
    for row in draw_refused(evaluator, 2, count=12):
        fill(database, list_sizes(evaluator), [row])
        with pytest.raises(duckdb.InvalidInputException, match=words):
            ask(database, evaluator)


def test_an_overflow_of_a_layer_ends_the_query(database: Any) -> None:
    """2^122 FLOPs are a number, and 2^128 are none."""
    sizes = {"num_tokens": 2**61, "in_features": 2**30, "out_features": 2**30}
    fill(database, (*sizes, "activation_bits", "weight_bits"), [{**sizes, "activation_bits": 1, "weight_bits": 1}])
    assert ask(database, "layers.linear")[0][0] == 2**122
    fill(database, tuple(sizes), [{**sizes, "num_tokens": 2**67}])
    with pytest.raises(duckdb.OutOfRangeException):
        ask(database, "layers.linear")


def test_an_altered_coefficient_of_a_layer_is_found(database: Any) -> None:
    """A multiply-accumulate of 3 FLOPs in the linear layer."""
    text = LAYERS_SCRIPT.read_text(encoding="utf-8")
    begin = text.index("deepseek_ocr_costs_layers.linear(pages)")
    place = re.compile(r"THEN (2)\*").search(text, begin)
    assert place is not None
    answers = draw_answers("layers.linear", 1, count=ROWS)
    try:
        database.execute(f"{text[: place.start(1)]}3{text[place.end(1) :]}")
        fill(database, list_sizes("layers.linear"), [row for row, _ in answers])
        assert ask(database, "layers.linear") != [expected for _, expected in answers]
    finally:
        database.execute(text)


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_what_python_refuses_ends_the_query(database: Any, evaluator: str) -> None:
    for row in draw_refused(evaluator, 2, count=12):
        fill(database, list_sizes(evaluator), [row])
        with pytest.raises(duckdb.InvalidInputException, match=r"must be (at least|a multiple)|contradict each other"):
            ask(database, evaluator)


@pytest.mark.parametrize("evaluator", ["prefill", "request", "training_step", "vision_peak_activation_bytes"])
def test_an_overflow_ends_the_query_and_is_never_a_number(database: Any, evaluator: str) -> None:
    """At sizes of up to 130 bits the answer is right, or there is none."""
    draw = random.Random(evaluator)
    answered = ended = 0
    while min(answered, ended) < 5:
        sizes = [name for name in list_sizes(evaluator) if name in ("batch_size", "weight_bits", "activation_bits")]
        row = dict.fromkeys(list_sizes(evaluator)) | {name: 2 ** draw.randint(0, 110) for name in sizes}
        fill(database, list_sizes(evaluator), [row])
        try:
            assert ask(database, evaluator) == [evaluate(evaluator, row)]
            answered += 1
        except duckdb.OutOfRangeException:
            ended += 1


def test_numbers_beyond_doubles_and_beyond_64_bits_are_exact(database: Any) -> None:
    row = {"batch_size": 3**40, "seq_len": 919}
    fill(database, ("batch_size", "seq_len"), [row])
    (found,) = ask(database, "prefill")
    assert found == tuple(costs.prefill(**row))
    assert found[0] > 2**64
    assert float(found[0]) != found[0]


def test_a_table_without_sizes_has_the_defaults(database: Any) -> None:
    database.execute("CREATE OR REPLACE TABLE pages AS SELECT 7 AS id, 'a.pdf' AS file")
    found = database.execute("FROM deepseek_ocr_costs.request('pages')").fetchone()
    names = [column[0] for column in database.description]
    row = dict(zip(names, found, strict=True))
    assert (row["id"], row["file"], row["image_tokens"], row["seq_len"], row["decode_steps"]) == (
        7,
        "a.pdf",
        903,
        913,
        1023,
    )
    assert tuple(row[name] for name in costs.Cost._fields) == tuple(costs.request())
    assert not [name for name in names if name.startswith("_")]


@pytest.mark.parametrize("tokens", [0, 1, 2, 191, 192, 193, 194, 195, 297, 298, 299, 10**20])
def test_expected_experts_are_exact_at_both_ends_of_the_table(database: Any, tokens: int) -> None:
    """One token a sequence in ``decode``: the tokens of a step are the batch."""
    for routing in ("uniform", "even"):
        row = {"batch_size": max(tokens, 1), "decode_steps": 1, "expert_routing": routing}
        fill(database, tuple(row), [row])
        assert ask(database, "decode") == [evaluate("decode", row)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1.5::DOUBLE", "batch_size must be a column of integers, not of DOUBLE"),
        ("1::DOUBLE", "batch_size must be a column of integers, not of DOUBLE"),
        ("1.5::DECIMAL(10, 2)", "batch_size must be a column of integers, not of DECIMAL"),
        ("0", "batch_size must be at least 1, not 0"),
        ("-3", "batch_size must be at least 1, not -3"),
    ],
)
def test_what_is_no_size_ends_the_query(database: Any, value: str, words: str) -> None:
    database.execute(f"CREATE OR REPLACE TABLE pages AS SELECT 1 AS id, {value} AS batch_size")
    with pytest.raises(duckdb.InvalidInputException, match=re.escape(words)):
        ask(database, "prefill")


def test_a_text_or_an_unknown_routing_ends_the_query(database: Any) -> None:
    database.execute("CREATE OR REPLACE TABLE pages AS SELECT 1 AS id, 'two' AS batch_size")
    with pytest.raises(duckdb.Error):
        ask(database, "prefill")
    database.execute("CREATE OR REPLACE TABLE pages AS SELECT 1 AS id, 'odd' AS expert_routing")
    with pytest.raises(duckdb.InvalidInputException, match="expert_routing must be uniform or even, not odd"):
        ask(database, "prefill")


@pytest.mark.parametrize("divisor", [1, 2, 3, 7, 16, 2**40 + 1, 10**20])
def test_quotients_round_down_and_up_for_negatives_too(database: Any, divisor: int) -> None:
    largest = 2**127 - 1
    for dividend in (
        -largest,
        -divisor - 1,
        -divisor,
        -7,
        -2,
        -1,
        0,
        1,
        2,
        7,
        divisor - 1,
        divisor,
        divisor + 1,
        largest,
    ):
        calls = [
            f"deepseek_ocr_costs.{name}_div({dividend}::HUGEINT, {divisor}::HUGEINT)" for name in ("floor", "ceil")
        ]
        found = database.execute(f"SELECT {', '.join(calls)}").fetchone()
        assert found == (dividend // divisor, -(-dividend // divisor))


def test_an_altered_coefficient_is_found(database: Any) -> None:
    """The first coefficient of the program of ``prefill``, one more."""
    text = SCRIPT.read_text(encoding="utf-8")
    begin = text.index("deepseek_ocr_costs.prefill(pages)")
    place = re.compile(r"(?<=\()(\d{4,})(?=\*)").search(text, text.index("CASE WHEN _is_valid", begin))
    assert place is not None
    altered = f"{text[: place.start()]}{int(place[0]) + 1}{text[place.end() :]}"
    answers = draw_answers("prefill", 1, count=ROWS)
    try:
        database.execute(altered)
        fill(database, list_sizes("prefill"), [row for row, _ in answers])
        assert ask(database, "prefill") != [expected for _, expected in answers]
    finally:
        database.execute(text)
