"""The layers that tokens choose experts in, run in DuckDB: reads are a table there, for the experts of the model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sql_workloads import EXPERT_LAYERS, EXPERT_SIZES, Row, draw_row, evaluate, list_sizes, name_outputs

import deepseek_ocr_costs as costs
from modelmeter.metrics.metric import FUSED_IO

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed: SQL cannot run")

SCRIPT = Path(__file__).parents[3] / "codegen/duckdb/deepseek_ocr_costs_layers.sql"
ROWS = 10_000
"""Of the cost of each class."""
FUSED_ROWS = 1000
"""Of its fused traffic."""

WEIGHTS = 1280 * 896
"""Of one of the three matrices of an expert."""

EXPONENTS = range(40, 127, 3)

SMALL_PAGE = {"base_size": 64, "num_width_tiles": 1, "num_height_tiles": 1}


@pytest.fixture(scope="module")
def database() -> Iterator[Any]:
    with duckdb.connect() as connection:
        connection.execute(SCRIPT.read_text(encoding="utf-8"))
        yield connection


def list_token_sizes(layer: str) -> tuple[str, ...]:
    """Return the sizes that make the tokens of a call."""
    return tuple(
        name for name in ("batch_size", "seq_len", "num_queries", "num_tokens", "logits_tokens", "num_keys")
        if name in list_sizes(layer)
    )  # fmt: skip


def draw_few_tokens(layer: str, draw: random.Random) -> Row:
    """Return sizes with 3 to 400 tokens: up to 298 their reads are in the table, beyond it all experts are read.

    A whole model sees a page of 64 pixels without tiles: 1 x (1 + 1) + 1 = 3 image tokens.
    """
    row: Row = dict.fromkeys(list_sizes(layer))
    row |= {name: size for name, size in SMALL_PAGE.items() if name in row}
    tokens = draw.randint(3, 400)
    batch = draw.choice([size for size in (1, 2, 3, 5) if 3 * size <= tokens])
    values = {"batch_size": batch, "num_keys": tokens + draw.randint(0, 97), "num_tokens": tokens}
    for name in list_token_sizes(layer):
        row[name] = values.get(name, tokens // batch)
    routing = draw.choice(("uniform", "uniform", "even", None))
    return {**row, "expert_routing": routing, "weight_bits": draw.choice((4, 7, 16))}


def draw_answers(evaluator: str, count: int) -> list[tuple[Row, tuple[int, ...]]]:
    """Return rows in the domain, about a half of them of few tokens, and what Python says of them."""
    draw, found = random.Random(evaluator), []
    while len(found) < count:
        row = draw_row(evaluator, draw) if draw.randrange(2) else draw_few_tokens(evaluator, draw)
        try:
            found.append((row, evaluate(evaluator, row)))
        except costs.CostError:
            continue
    return found


def fill(database: Any, rows: list[Row]) -> None:
    """Make the table ``calls``, with a column for each size."""
    columns = ", ".join(
        f"unnest(${place}::{'VARCHAR' if name == 'expert_routing' else 'HUGEINT'}[]) AS {name}"
        for place, name in enumerate(rows[0], start=2)
    )
    database.execute(
        f"CREATE OR REPLACE TABLE calls AS SELECT unnest($1::BIGINT[]) AS id, {columns}",
        [[*range(len(rows))], *([row[name] for row in rows] for name in rows[0])],
    )


def ask(database: Any, evaluator: str) -> list[tuple[int, ...]]:
    columns, macro = ", ".join(name_outputs(evaluator)), evaluator.removeprefix("layers.")
    query = f"SELECT {columns} FROM deepseek_ocr_costs_layers.{macro}('calls') ORDER BY id"
    found: list[tuple[int, ...]] = database.execute(query).fetchall()
    return found


@pytest.mark.parametrize("layer", EXPERT_LAYERS)
def test_ten_thousand_rows_cost_what_python_says(database: Any, layer: str) -> None:
    for evaluator, count in ((layer, ROWS), (f"{layer}_{FUSED_IO}", FUSED_ROWS)):
        answers = draw_answers(evaluator, count)
        fill(database, [row for row, _ in answers])
        found = ask(database, evaluator)
        wrong = [row for (row, said), answer in zip(answers, found, strict=True) if said != answer]
        assert not wrong, (len(wrong), wrong[0])
        assert len({*found}) > count // 4, "calls of many different costs"


def expect_reads(tokens: int) -> int:
    """Return what ``tokens`` are expected to read of one matrix of the experts, in whole numbers: halves round up."""
    missed, all_of_them = 58**tokens, 64**tokens
    return (2 * 64 * WEIGHTS * (all_of_them - missed) + all_of_them) // (2 * all_of_them)


def test_every_row_of_the_table_is_what_is_expected(database: Any) -> None:
    """Bytes of experts at 8 bits: for each of three matrices E W (1 - (1 - 6/64)^N), rounded to the nearest parameter.

    What is left of ``io_bytes`` is a constant and a number of bytes for each token, as nothing else depends on them.
    """
    fill(database, [{"num_tokens": tokens, "weight_bits": 8} for tokens in range(1, 400)])
    found = [io for _, _, io, *_ in ask(database, "layers.deepseek_v2_moe")]
    read = [3 * expect_reads(tokens) for tokens in range(1, 400)]
    assert (read[0], read[-1]) == (3 * 6 * WEIGHTS, 3 * 64 * WEIGHTS), "of one token, and of many"
    rest = [io - experts for io, experts in zip(found, read, strict=True)]
    assert len({after - before for before, after in pairwise(rest)}) == 1


@pytest.mark.parametrize("layer", EXPERT_LAYERS)
@pytest.mark.parametrize("name", EXPERT_SIZES)
def test_other_experts_end_the_query(database: Any, layer: str, name: str) -> None:
    fill(database, [dict(EXPERT_SIZES)])
    assert ask(database, layer) == [evaluate(layer, {})]
    fill(database, [{**EXPERT_SIZES, name: 2 * EXPERT_SIZES[name]}])
    with pytest.raises(duckdb.InvalidInputException, match=f"{name} can only be {EXPERT_SIZES[name]}"):
        ask(database, layer)


@pytest.mark.parametrize("layer", EXPERT_LAYERS)
def test_an_overflow_ends_the_query_and_is_never_a_number(database: Any, layer: str) -> None:
    """The answer is right up to some number of tokens; from there on there is none, and never another one."""
    size = "num_tokens" if "num_tokens" in list_sizes(layer) else "batch_size"
    answered = []
    for exponent in EXPONENTS:
        fill(database, [{size: 2**exponent + 1}])
        try:
            assert ask(database, layer) == [evaluate(layer, {size: 2**exponent + 1})]
            answered.append(exponent)
        except duckdb.OutOfRangeException:
            continue
    assert answered == [*EXPONENTS][: len(answered)], "no number after the first refusal"
    assert 75 < answered[-1] < 110


@pytest.mark.parametrize(
    ("layer", "size", "bits"),
    [("layers.deepseek_v2_moe", "num_tokens", 101), ("layers.deepseek_ocr_for_causal_lm", "seq_len", 55)],
)
def test_numbers_fit_up_to_the_sizes_that_are_promised(database: Any, layer: str, size: str, bits: int) -> None:
    fill(database, [{size: 2**bits}])
    assert ask(database, layer) == [evaluate(layer, {size: 2**bits})]
    fill(database, [{size: 2 ** (bits + 1)}])
    with pytest.raises(duckdb.OutOfRangeException):
        ask(database, layer)


def test_an_altered_read_is_found(database: Any) -> None:
    """One parameter more in the reads of two tokens."""
    text = SCRIPT.read_text(encoding="utf-8")
    begin = text.index("deepseek_ocr_costs_layers.deepseek_v2_moe(pages)")
    two = expect_reads(2)
    place = text.index(str(two), begin)
    try:
        database.execute(f"{text[:place]}{two + 1}{text[place + len(str(two)) :]}")
        fill(database, [{"num_tokens": 2}])
        assert ask(database, "layers.deepseek_v2_moe") != [evaluate("layers.deepseek_v2_moe", {"num_tokens": 2})]
    finally:
        database.execute(text)
