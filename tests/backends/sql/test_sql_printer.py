"""Integer programs as SQL expressions of each database, and what neither can say."""

from __future__ import annotations

import pytest

from modelmeter.algebra.program import Node, Operation
from modelmeter.backends.sql.dialects import Dialect, DuckDB, Spark
from modelmeter.backends.sql.printer import ExpressionPrinter, list_expected_reads
from modelmeter.dimensions.functions import expected_routed_reads
from modelmeter.support.errors import FormulaError

DUCKDB, SPARK = DuckDB("costs"), Spark()


def call(function: str, *operands: Node) -> Operation:
    return Operation(function, operands)


@pytest.mark.parametrize(
    ("node", "duckdb", "spark"),
    [
        (7, "7", "7BD"),
        (2**31, "2147483648::HUGEINT", "2147483648BD"),
        ("size", "size", "size"),
        ("x1", "_x1", "_x1"),
        (call("+", "a", -1, call("*", -2, "b")), "a - 1 + (-2)*b", "a - 1BD + (-2BD)*b"),
        (call("*", 3, call("+", "a", "x1")), "3*(a + _x1)", "3BD*(a + _x1)"),
        (call("max", "a", call("+", "b", 1)), "greatest(a, b + 1)",
         "greatest(a, coalesce(b + 1BD, raise_error('a number has more than 38 digits')))"),
        (call("Exceeds", "a", 1), "(a > 1)::HUGEINT",
         "IF(a > coalesce(1BD, raise_error('a number has more than 38 digits')), 1BD, 0BD)"),
        (call("Differs", "a", "b"), "(a <> b)::HUGEINT", "IF(a <> b, 1BD, 0BD)"),
        (call("Equals", "a", "b"), "(a = b)::HUGEINT", "IF(a = b, 1BD, 0BD)"),
        (call("FloorDiv", "a", 3), "costs.floor_div(a, 3)", "CAST((a - pmod(a, 3BD)) / 3BD AS DECIMAL(38, 0))"),
        (call("CeilDiv", "a", 3), "costs.ceil_div(a, 3)", "CAST((a + pmod(-(a), 3BD)) / 3BD AS DECIMAL(38, 0))"),
        (call("Triangular", "n"), "costs.floor_div(n*(n + 1), 2)",
         "CAST((n*(n + 1BD) - pmod(n*(n + 1BD), 2BD)) / 2BD AS DECIMAL(38, 0))"),
    ],
)  # fmt: skip
def test_each_function(node: Node, duckdb: str, spark: str) -> None:
    steps = frozenset({"x1"})
    assert ExpressionPrinter(DUCKDB, steps).print(node) == duckdb
    assert ExpressionPrinter(SPARK, steps).print(node) == spark


@pytest.mark.parametrize(
    ("dialect", "node"),
    [
        (DUCKDB, 2**127),
        (SPARK, 10**38),
        (DUCKDB, call("*", "a", -(2**127))),
        (DUCKDB, call("sin", "a")),
        (SPARK, call("RoutedReads", "experts", 6, "n", 5)),
        (DUCKDB, call("RoutedReads", 10**6, 1, "n", 5)),
        (DUCKDB, call("RoutedReads", 5, 2, "n", call("*", 4, "m"))),
        (DUCKDB, call("RoutedReads", 5, 2, call("*", 3, "n"), call("*", 4, "n"))),
    ],
)
def test_what_is_not_exact_there_is_an_error(dialect: Dialect, node: Node) -> None:
    with pytest.raises(FormulaError):
        ExpressionPrinter(dialect).print(node)


def test_the_table_of_reads_ends_where_all_are_read() -> None:
    # 5 experts of 7 weights, 2 chosen: 0; 2 * 7 = 14; 35 (1 - 9/25) = 22.4; 35 (1 - 27/125) = 27.44; ...
    reads = list_expected_reads(5, 2, 7)
    assert reads[:4] == (0, 14, 22, 27)
    assert reads[-1] < 35
    assert [expected_routed_reads(5, 2, tokens, 7) for tokens in range(len(reads), len(reads) + 50)] == [35] * 50


def test_the_table_of_reads_that_grow_with_the_tokens_ends_where_all_are_read() -> None:
    # 4 elements of each token for an expert: 0; 2 * 4 = 8; 5 (1 - 9/25) 8 = 25.6; 5 (1 - 27/125) 12 = 47.04; ...
    reads = list_expected_reads(5, 2, 4, is_per_token=True)
    assert reads[:4] == (0, 8, 26, 47)
    after = range(len(reads), len(reads) + 50)
    assert [expected_routed_reads(5, 2, tokens, 4 * tokens) for tokens in after] == [20 * tokens for tokens in after]
    assert reads[-1] < 20 * (len(reads) - 1)
    # 1 of 7: what is missing grows first, 7 (6/7)^N N, so that all that is read of few tokens is not the end.
    assert list_expected_reads(7, 1, 1, is_per_token=True)[:3] == (0, 1, 4)  # 7 (1 - 36/49) 2 = 3.71
