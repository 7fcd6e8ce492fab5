"""The SQL files: evaluators of stages and of layers in, ``{path: text}`` out, nothing read and nothing written."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Final

from attrs import frozen
from jinja2 import Template

from modelmeter.backends.sql.dialects import OVERFLOW, Dialect, DuckDB, Spark
from modelmeter.backends.sql.query import Query, make_query
from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.package import EvaluatorPackage
from modelmeter.evaluators.signature import ROUTING
from modelmeter.support.errors import FormulaError
from modelmeter.support.templates import open_templates

LINE_LENGTH: Final = 120

LAYERS: Final = "layers"
"""What the schema or folder of layers is called, after that of the package."""


@frozen(kw_only=True)
class DuckDBBackend:
    """Table macros on HUGEINT, in a schema of the name of the package; those of layers in one of their own."""

    package: str
    name: str = "duckdb"

    def files(self, package: EvaluatorPackage) -> dict[str, str]:
        """Return a file for each schema, in a folder of the database."""
        schemas = {self.package: list_evaluators(package), f"{self.package}_{LAYERS}": package.layers_of_known_experts}
        template = _open_template("duckdb")
        return {
            f"{self.name}/{schema}.sql": _tidy(
                template.render(
                    spec=package.spec, schema=schema, routing=ROUTING,
                    queries=list(_list_queries(package, evaluators, DuckDB(schema))),
                )
            )
            for schema, evaluators in schemas.items()
            if evaluators
        }  # fmt: skip


@frozen(kw_only=True)
class SparkBackend:
    """Queries on DECIMAL(38, 0), a file each."""

    package: str
    name: str = "spark"

    def files(self, package: EvaluatorPackage) -> dict[str, str]:
        """Return a file for each evaluator, in a folder of the database; those of layers in one inside it."""
        template = _open_template("spark")
        folders = {self.package: list_evaluators(package), f"{self.package}/{LAYERS}": package.layers_of_known_experts}
        return {
            f"{self.name}/{folder}/{query.evaluator.name}.sql": _tidy(
                template.render(spec=package.spec, query=query, routing=ROUTING, overflow=OVERFLOW)
            )
            for folder, evaluators in folders.items()
            for query in _list_queries(package, evaluators, Spark())
        }


def list_evaluators(package: EvaluatorPackage) -> tuple[Evaluator, ...]:
    """Return the evaluators of stages, of a request, and of a training step; the architecture is numbers."""
    return (*package.stages, *package.traffic, *package.peaks, *package.training, *package.derived)


def _list_queries(package: EvaluatorPackage, evaluators: Iterable[Evaluator], dialect: Dialect) -> Iterator[Query]:
    for text in (package.spec.model, *package.spec.conventions):
        if not text.isprintable():
            raise FormulaError("this text cannot stand in a comment", found=text)
    for evaluator in evaluators:
        yield make_query(evaluator, dialect)


@cache
def _open_template(name: str) -> Template:
    environment = open_templates(
        "modelmeter.backends.sql", comment=_comment, hidden=_list_hidden, columns=_list_columns
    )
    return environment.get_template(f"{name}.sql.jinja")


@lru_cache(maxsize=1024)  # the same conventions stand in every file
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
