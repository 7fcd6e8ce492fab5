"""The SQL files: evaluators of stages in, ``{path: text}`` out, nothing read and nothing written."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from attrs import frozen
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from modelmeter.backends.sql.dialects import OVERFLOW, Dialect, DuckDB, Spark
from modelmeter.backends.sql.query import Query, make_query
from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.package import EvaluatorPackage
from modelmeter.evaluators.signature import ROUTING
from modelmeter.support.errors import FormulaError

LINE_LENGTH: Final = 120


@frozen(kw_only=True)
class DuckDBBackend:
    """Table macros on HUGEINT, in a schema of the name of the package."""

    package: str
    name: str = "duckdb"

    def files(self, package: EvaluatorPackage) -> dict[str, str]:
        """Return one file, in a folder of the database."""
        queries = list(_list_queries(package, DuckDB(self.package)))
        text = _open_template("duckdb").render(spec=package.spec, schema=self.package, queries=queries, routing=ROUTING)
        return {f"{self.name}/{self.package}.sql": _tidy(text)}


@frozen(kw_only=True)
class SparkBackend:
    """Queries on DECIMAL(38, 0), a file each."""

    package: str
    name: str = "spark"

    def files(self, package: EvaluatorPackage) -> dict[str, str]:
        """Return a file for each evaluator, in a folder of the database."""
        template = _open_template("spark")
        return {
            f"{self.name}/{self.package}/{query.evaluator.name}.sql": _tidy(
                template.render(spec=package.spec, query=query, routing=ROUTING, overflow=OVERFLOW)
            )
            for query in _list_queries(package, Spark())
        }


def list_evaluators(package: EvaluatorPackage) -> tuple[Evaluator, ...]:
    """Return the evaluators that have SQL: those of stages, of a request, and of a training step.

    Others take sizes of the architecture, for which the reads of experts are no table.
    """
    return (*package.stages, *package.traffic, *package.peaks, *package.training, *package.derived)


def _list_queries(package: EvaluatorPackage, dialect: Dialect) -> Iterator[Query]:
    for text in (package.spec.model, *package.spec.conventions):
        if not text.isprintable():
            raise FormulaError("this text cannot stand in a comment", found=text)
    for evaluator in list_evaluators(package):
        yield make_query(evaluator, dialect)


def _open_template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("modelmeter.backends.sql", "templates"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    environment.filters.update(comment=_comment, hidden=_list_hidden, columns=_list_columns)
    return environment.get_template(f"{name}.sql.jinja")


def _comment(text: str) -> str:
    return textwrap.fill(text, LINE_LENGTH, initial_indent="-- ", subsequent_indent="--   ", break_long_words=False)


def _list_hidden(query: Query) -> list[str]:
    """Return the columns that are steps of the computation."""
    flags = [f"_has_{name}" for name in query.sources]
    return [*flags, *(name for level in (*query.derived, *query.levels) for name, _ in level if name.startswith("_"))]


def _list_columns(query: Query) -> list[str]:
    """Return the columns before any size follows from others."""
    return [
        "_row", *(parameter.name for parameter in query.parameters), *([ROUTING] if query.has_routing else []),
        *(f"_has_{name}" for name in query.sources), *(name for level in query.derived for name, _ in level),
    ]  # fmt: skip


def _tidy(text: str) -> str:
    """Return a text without spaces at the ends of lines, and with one newline at its end."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"
