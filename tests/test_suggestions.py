"""Names that do not exist: what comes close is offered, and long lists are not printed."""

from __future__ import annotations

import pytest

import modelmeter
from modelmeter.support.errors import FormulaError
from modelmeter.support.suggestions import MOST_LISTED, unknown_name

MANY = [f"layer_{number}" for number in range(MOST_LISTED + 7)]


@pytest.mark.parametrize(
    ("name", "names", "remedy"),
    [
        ("stagf", ["stage", "layer"], "did you mean stage; known are stage, layer"),
        ("xyz", ["stage", "layer"], "known are stage, layer"),
        ("layer_2x", MANY[:3], "did you mean layer_2 or layer_1 or layer_0; known are layer_0, layer_1, layer_2"),
        ("xyz", MANY, f"known are {', '.join(MANY[:MOST_LISTED])} and 7 more"),
    ],
)
def test_an_unknown_name(name: str, names: list[str], remedy: str) -> None:
    assert str(unknown_name("thing", name, names)) == f"there is no thing of this name; found {name}; {remedy}"


def test_a_name_that_comes_twice_is_offered_once() -> None:
    message = str(unknown_name("size", "seqlen", ["seq_len", "batch_size", "seq_len"], aliases=["seq_len"]))
    assert message.endswith("found seqlen; did you mean seq_len; known are seq_len, batch_size")


def test_of_many_names_only_those_that_come_close_are_listed() -> None:
    message = str(unknown_name("thing", "layer_7x", MANY))
    assert "did you mean layer_7" in message
    assert "known are" not in message


def test_a_misspelt_size_of_a_formula() -> None:
    with pytest.raises(FormulaError, match="found seqlen; did you mean seq_len"):
        modelmeter.symbol("seqlen")
