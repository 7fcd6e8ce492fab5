"""The folder of data: formulas, their schema, the list of ids, and a page on how to use and cite them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.evaluators.package import EvaluatorPackage
from modelmeter.model.definition import Model
from modelmeter.publishing.citation import write_bibtex
from modelmeter.publishing.data.formula_data import SCHEMA_FILE, read_schema, render_data
from modelmeter.publishing.data.id_registry import IdRegistry
from modelmeter.publishing.identity import RULES, PublishedFormula
from modelmeter.publishing.pages import open_markdown_templates

FOLDER: Final = "data"
FORMULAS_FILE: Final = "formulas.json"
IDS_FILE: Final = "ids.json"


def render_data_files(
    definition: Model,
    package: EvaluatorPackage,
    formulas: Sequence[PublishedFormula],
    *,
    evidence: Mapping[str, Sequence[str]],
    ids: IdRegistry,
    defaults: Mapping[str, int],
) -> dict[str, str]:
    """Return the files of the folder as text by name.

    Parameters
    ----------
    definition, package, formulas, evidence
        As those of :func:`~modelmeter.publishing.data.formula_data.render_data`.
    ids
        What was published before.
    defaults
        A value for every size, of which the page shows an example.

    Raises
    ------
    FormulaError, IdError
        If a formula has no evaluator, or the id of another one.
    """
    version = package.spec.provenance["modelmeter"]
    return {
        FORMULAS_FILE: render_data(definition, package, formulas, evidence),
        SCHEMA_FILE: read_schema(),
        IDS_FILE: ids.add((entry.id for entry in formulas), version).to_json(),
        "README.md": _render_page(
            package.spec.model, version, formulas, _choose_example(definition, formulas), defaults
        ),
    }


def _choose_example(definition: Model, formulas: Sequence[PublishedFormula]) -> PublishedFormula:
    """Return the traffic of the stage before the last one."""
    stage = definition.stage_names[-2:][0]
    return next(entry for entry in formulas if (entry.id.subject, entry.id.metric) == (stage, "io_bytes"))


def _render_page(
    title: str,
    version: str,
    formulas: Sequence[PublishedFormula],
    example: PublishedFormula,
    defaults: Mapping[str, int],
) -> str:
    template = open_markdown_templates().get_template("data_readme.md.jinja")
    return template.render(
        title=title, count=len(formulas), example=example, example_value=ceil(evaluate(example.formula, defaults)),
        form_rules=RULES, bibtex=write_bibtex(example.id, title=title, version=version),
    )  # fmt: skip
