"""The SQL for Spark, computed by the documented rules of its decimals; see ``spark_semantics``. No Spark runs here."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from spark_query import Query
from spark_semantics import DigitsError, Number, Parser, RaisedError
from sql_workloads import EVALUATORS, LAYERS, draw_answers, draw_refused, evaluate, list_sizes, name_outputs

from modelmeter.backends.sql.dialects import Spark

FOLDER = Path(__file__).parents[3] / "codegen/spark/deepseek_ocr_costs"


@cache
def read(evaluator: str, *, ansi: bool) -> Query:
    return Query((FOLDER / f"{evaluator.replace('.', '/')}.sql").read_text(encoding="utf-8"), ansi=ansi)


@pytest.mark.parametrize("ansi", [True, False])
@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_rows_cost_what_python_says(evaluator: str, ansi: bool) -> None:
    query = read(evaluator, ansi=ansi)
    for row, expected in draw_answers(evaluator, 3, count=12):
        assert tuple(query.run(row).values()) == expected
        assert tuple(query.run(row)) == name_outputs(evaluator)


@pytest.mark.parametrize("evaluator", LAYERS)
def test_layers_cost_what_python_says(evaluator: str) -> None:
    query = read(evaluator, ansi=True)
    for row, expected in draw_answers(evaluator, 3, count=6):
        assert tuple(query.run(row).values()) == expected


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_what_python_refuses_ends_the_query(evaluator: str) -> None:
    for row in draw_refused(evaluator, 4, count=6):
        with pytest.raises(RaisedError, match=r"must be (at least|a multiple)|contradict each other"):
            read(evaluator, ansi=True).run(row)


@pytest.mark.parametrize("ansi", [True, False])
@pytest.mark.parametrize("evaluator", ["prefill", "request", "vision_peak_activation_bytes"])
def test_an_overflow_ends_the_query_and_is_never_a_number(evaluator: str, ansi: bool) -> None:
    """At sizes of up to 10^33 the answer is right, or there is none, with and without ANSI mode."""
    ended = answered = 0
    for digits in range(34):
        row = dict.fromkeys(list_sizes(evaluator)) | {"batch_size": 10**digits + 1}
        try:
            assert tuple(read(evaluator, ansi=ansi).run(row).values()) == evaluate(evaluator, row)
            answered += 1
        except (DigitsError, RaisedError):
            ended += 1
    assert min(ended, answered) > 5


@pytest.mark.parametrize("divisor", [1, 2, 3, 8, 10**6 + 3, 10**9 + 7])
def test_quotients_round_down_and_up_for_negatives_too(divisor: int) -> None:
    """Where ``/`` alone would round up: 5 (10^9 + 7) - 1 over 10^9 + 7 is 4.999999999, to 6 digits 5.000000."""
    spark = Spark()
    for dividend in (-(10**30), -divisor - 1, -7, -1, 0, 1, 7, divisor, 5 * divisor - 1, 10**30 + 1):
        row = {"a": Number(Decimal(dividend), 38, 0), "b": Number(Decimal(divisor), 38, 0)}
        for up, expected in ((False, dividend // divisor), (True, -(-dividend // divisor))):
            assert Parser(spark.divide("a", "b", up=up), ansi=True).parse()(row).value == expected


def test_the_rules_round_where_spark_rounds() -> None:
    """The example above, of ``floor`` on ``/``, would be wrong: so the rules here do see it."""
    row = {"a": Number(Decimal(5 * (10**9 + 7) - 1), 38, 0), "b": Number(Decimal(10**9 + 7), 38, 0)}
    assert Parser("a / b", ansi=True).parse()(row) == Number(Decimal("5.000000"), 38, 6)
    assert Parser("a * a * a * a", ansi=False).parse()(row) is None, "more than 38 digits"
    with pytest.raises(DigitsError):
        Parser("a * a * a * a", ansi=True).parse()(row)


def test_an_altered_coefficient_is_found() -> None:
    text = (FOLDER / "prefill.sql").read_text(encoding="utf-8")
    place = re.compile(r"(\d{4,})(?=BD\*)").search(text, text.index("SELECT _row.*"))
    assert place is not None
    altered = Query(f"{text[: place.start()]}{int(place[0]) + 1}{text[place.end() :]}", ansi=True)
    answers = draw_answers("prefill", 3, count=12)
    assert [tuple(altered.run(row).values()) for row, _ in answers] != [expected for _, expected in answers]


def test_no_query_has_what_spark_rounds_or_cuts() -> None:
    """No double, no ``div`` of 64 bits, no ``bigint``; every literal is a decimal but the places in arrays."""
    for evaluator in EVALUATORS:
        code = re.sub(r"--.*|'[^']*'", "", (FOLDER / f"{evaluator.replace('.', '/')}.sql").read_text(encoding="utf-8"))
        assert not re.search(r"\b(div|double|float|bigint|round|floor|ceil)\b", code, re.IGNORECASE)
        assert not re.search(r"\d\.\d|\de\d", code)
        bare = re.findall(r"(?<![\w.])\d+\b(?!BD)", code)
        assert {*bare} <= {"38", "0", "1"}
