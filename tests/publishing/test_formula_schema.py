"""The schema of the formulas as data: it takes them, finds damage in them, and knows every rule and function."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from modelmeter.dimensions.size_rules import Relation
from modelmeter.publishing.data.formula_data import FUNCTIONS, SCHEMA_FILE

DATA = Path(__file__).parents[2] / "codegen/data"


def test_it_is_as_its_schema_says(document: dict[str, Any]) -> None:
    schema = json.loads((DATA / SCHEMA_FILE).read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    assert [error.message for error in validator.iter_errors(document)] == []


def remove_digest(document: dict[str, Any]) -> None:
    del document["formulas"][3]["digest"]


def put_number(document: dict[str, Any]) -> None:
    document["formulas"][3]["program"]["denominator"] = 8


def put_float(document: dict[str, Any]) -> None:
    document["formulas"][3]["polynomial"][1][0][0][0][0] = "0.5"


def add_function(document: dict[str, Any]) -> None:
    document["formulas"][3]["program"]["numerator"] = ["eval", "1"]


def leave_domain(document: dict[str, Any]) -> None:
    del document["subjects"]["prefill"]["domain"]


@pytest.mark.parametrize("damage", [remove_digest, put_number, put_float, add_function, leave_domain])
def test_the_schema_finds_damage(document: dict[str, Any], damage: Callable[[dict[str, Any]], None]) -> None:
    schema = json.loads((DATA / SCHEMA_FILE).read_text(encoding="utf-8"))
    damaged = {**document, "formulas": copy.deepcopy(document["formulas"][:4]), "subjects": {
        "prefill": copy.deepcopy(document["subjects"]["prefill"])
    }}  # fmt: skip
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(damaged)
    damage(damaged)
    assert not validator.is_valid(damaged)


def test_the_schema_knows_every_rule_and_function() -> None:
    definitions = json.loads((DATA / SCHEMA_FILE).read_text(encoding="utf-8"))["$defs"]
    rule = definitions["subject"]["properties"]["domain"]["properties"]["rules"]["items"]["prefixItems"][1]
    assert {*rule["enum"]} == {*get_args(Relation)}
    assert {*definitions["function"]["enum"]} == FUNCTIONS.keys()
