"""The SQL for Spark, run by Spark against the Python package: ``python -m tests.check_spark --rows 200``.

Random rows in the domain of every evaluator of stages and layers, so many of each, have to cost what the Python package
says; rows that it refuses, and numbers of more than 38 digits, have to end the query. Queries of stages run with ANSI
mode and without. Everything stays on this machine. It prints how many rows differ, and ends with exit code 1 if any
does; without pyspark or Java it says so in one line.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "backends/sql"))
from sql_workloads import (  # beside the tests that share it
    EVALUATORS,
    LAYERS,
    ROOT,
    Row,
    draw_answers,
    draw_refused,
    evaluate,
    list_sizes,
    name_outputs,
)  # fmt: skip

FOLDER = ROOT / "codegen/spark/deepseek_ocr_costs"
WORDS = ("must be", "contradict each other", "can only be", "the sizes make")
"""In the message of every refusal."""
TOO_LARGE = ("more than 38 digits", "NUMERIC_VALUE_OUT_OF_RANGE", "ARITHMETIC_OVERFLOW")
"""In the message of every overflow."""


def main() -> int:
    """Compare, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200, help="rows of each evaluator that have to cost the same")
    parser.add_argument("--refusals", type=int, default=3, help="rows of each evaluator that have to end the query")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    if find_spec("pyspark") is None or shutil.which("java") is None:
        print("skipped: pyspark or java is not installed")
        return 0
    session = start_session()
    wrong = 0
    try:
        for ansi in (True, False):
            session.conf.set("spark.sql.ansi.enabled", str(ansi).lower())
            where = f"Spark {session.version}, ANSI mode {'on' if ansi else 'off'}"
            evaluators = (*EVALUATORS, *LAYERS) if ansi else EVALUATORS
            checks: tuple[tuple[str, str, Callable[[], Iterable[int]]], ...] = (
                (f"{len(evaluators)} evaluators, {arguments.rows:,} rows each", "differ",
                 partial(check_rows, session, evaluators, arguments.rows, arguments.seed)),
                ("columns of other types", "are taken for what they are not", partial(check_types, session)),
                ("numbers of up to 45 digits", "are wrong", partial(check_overflows, session)),
                (f"{arguments.refusals} bad rows for each evaluator", "are answered",
                 partial(check_refusals, session, evaluators, arguments.refusals, arguments.seed)),
            )  # fmt: skip
            for what, verdict, check in checks:
                count = sum(check())
                print(f"{where}: {what}: {count:,} {verdict}", flush=True)
                wrong += count
    finally:
        session.stop()
    return int(wrong > 0)


def start_session() -> Any:
    """Return a session of Spark on this machine, which listens to nobody else."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master("local[1]").appName("costs").config("spark.ui.enabled", "false")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    session = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def fill(session: Any, names: Sequence[str], rows: Sequence[Row]) -> None:
    """Make the view ``pages``, with a column for each size."""
    types = {"expert_routing": "STRING"}
    schema = ", ".join(["id BIGINT", *(f"{name} {types.get(name, 'DECIMAL(38, 0)')}" for name in names)])
    values = [
        (number, *(Decimal(row[name]) if isinstance(row[name], int) else row[name] for name in names))
        for number, row in enumerate(rows)
    ]
    session.createDataFrame(values, schema).createOrReplaceTempView("pages")


def ask(session: Any, evaluator: str) -> list[tuple[int, ...]]:
    """Return what the query of an evaluator says of ``pages``."""
    text = (FOLDER / f"{evaluator.replace('.', '/')}.sql").read_text(encoding="utf-8").strip().removesuffix(";")
    found = session.sql(text).select("id", *name_outputs(evaluator)).collect()
    return [tuple(map(int, row[1:])) for row in sorted(found)]


def check_rows(session: Any, evaluators: Sequence[str], count: int, seed: int) -> Iterator[int]:
    """Yield how many rows of each evaluator differ."""
    for evaluator in evaluators:
        answers = draw_answers(evaluator, seed, count=count)
        fill(session, list_sizes(evaluator), [row for row, _ in answers])
        try:
            found = ask(session, evaluator)
        except refusals() as error:
            print(f"{evaluator}: {shorten(error)}", file=sys.stderr)
            yield count
            continue
        wrong = [row for (row, said), answer in zip(answers, found, strict=True) if said != answer]
        if wrong:
            print(f"{evaluator}: {len(wrong)} rows differ, as {wrong[0]}", file=sys.stderr)
        yield len(wrong)


def check_types(session: Any) -> Iterator[bool]:
    """Yield whether a column of another type of integers has a wrong number, or one of no integers any number."""
    for kind in ("TINYINT", "SMALLINT", "INT", "BIGINT", "DECIMAL(5, 0)"):
        take_columns(session, f"CAST(97 AS {kind}) AS num_tokens")
        yield ask(session, "layers.linear") != [evaluate("layers.linear", {"num_tokens": 97})]
    for column in ("97D", "97.5D", "CAST(97 AS FLOAT)", "97.5BD", "'97'", "true"):
        take_columns(session, f"{column} AS num_tokens")
        yield is_answered(session, "layers.linear", ("must be a column of integers", "DATATYPE_MISMATCH"))


def take_columns(session: Any, column: str) -> None:
    """Make the view ``pages`` of one row of a linear layer, all other columns of no type."""
    others = ", ".join(f"NULL AS {name}" for name in list_sizes("layers.linear") if name != "num_tokens")
    session.sql(f"SELECT 0L AS id, {column}, {others}").createOrReplaceTempView("pages")


def check_refusals(session: Any, evaluators: Sequence[str], count: int, seed: int) -> Iterator[bool]:
    """Yield whether a row that the Python package refuses gets another answer than a refusal."""
    for evaluator in evaluators:
        for row in draw_refused(evaluator, seed, count=count):
            fill(session, list_sizes(evaluator), [row])
            yield is_answered(session, evaluator, WORDS)


def check_overflows(session: Any) -> Iterator[bool]:
    """Yield whether sizes of up to 45 digits have a wrong number, or another message than of an overflow."""
    for evaluator in ("prefill", "request", "training_step", "vision_peak_activation_bytes", "layers.deepseek_v2_moe"):
        names = list_sizes(evaluator)
        size = "num_tokens" if "num_tokens" in names else "batch_size"
        for digits in range(12, 38, 5):
            row = dict.fromkeys(names) | {size: 10**digits + 1}
            fill(session, names, [row])
            yield is_answered(session, evaluator, TOO_LARGE, evaluate(evaluator, row))


def is_answered(session: Any, evaluator: str, words: Sequence[str], expected: tuple[int, ...] = ()) -> bool:
    """Tell whether a row gets another number than is expected, or ends without these words."""
    try:
        found = ask(session, evaluator)
    except refusals() as error:
        if any(word in str(error) for word in words):
            return False
        print(f"{evaluator}: {shorten(error)}", file=sys.stderr)
        return True
    return found != [expected]


def refusals() -> tuple[type[Exception], ...]:
    """Return what Spark raises where a query is wrong or ends."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    return PySparkException, Py4JJavaError


def shorten(error: Exception) -> str:
    """Return what went wrong, without the query."""
    return str(error).partition("== SQL")[0].strip()[:500]


if __name__ == "__main__":
    sys.exit(main())
