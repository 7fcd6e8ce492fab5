"""Programs: no dead steps, no step that is used once, and parts that stand alone."""

from __future__ import annotations

import pytest

from modelmeter.algebra.program import (
    MAXIMUM,
    PRODUCT,
    SUM,
    Node,
    Operation,
    Output,
    Program,
    arrange,
    count_operations,
    find_weights,
    select,
    split,
    tidy,
)
from modelmeter.support.errors import FormulaError

# first = (a + 2) b; second = (a + 2) (a + 2) + [c > 1]
SHARED = Operation(SUM, ("a", 2))
PROGRAM = tidy(
    ("a", "b", "c", "unused"),
    [("s", SHARED), ("t", Operation(PRODUCT, ("s", "b"))), ("u", Operation("Exceeds", ("c", 1))), ("dead", SHARED)],
    [
        Output("first", "t", 8),
        Output("second", Operation(SUM, (Operation(PRODUCT, ("s", "s")), "u")), 1),
    ],
)


def test_steps_that_are_used_once_or_never_are_no_steps() -> None:
    assert (
        Program(
            inputs=("a", "b", "c"),
            steps=(("x1", SHARED),),
            outputs=(
                Output("first", Operation(PRODUCT, ("x1", "b")), 8),
                Output("second", Operation(SUM, (Operation(PRODUCT, ("x1", "x1")), Operation("Exceeds", ("c", 1)))), 1),
            ),
        )
        == PROGRAM
    )


def test_operations_count_sums_products_calls_and_divisions() -> None:
    # a + 2; times b; divided by 8; squared; a comparison; a sum.
    assert PROGRAM.operations == 6
    assert count_operations(Operation(MAXIMUM, ("a", "b", "c"))) == 2
    assert count_operations(Operation("CeilDiv", ("a", 16))) == 1


def test_a_part_keeps_only_what_it_needs() -> None:
    part = select(PROGRAM, "first")
    assert part == Program(
        inputs=("a", "b"), steps=(), outputs=(Output("first", Operation(PRODUCT, (SHARED, "b")), 8),)
    )
    assert not part.calls("Exceeds")
    assert select(PROGRAM, "second").calls("Exceeds")
    with pytest.raises(FormulaError, match="no such output"):
        select(PROGRAM, "third")


def test_steps_split_into_those_of_some_outputs_and_the_rest() -> None:
    program = tidy(
        ("a",),
        [("s", SHARED), ("t", Operation(PRODUCT, ("s", "s"))), ("u", Operation(PRODUCT, ("a", "a")))],
        [Output("early", Operation(SUM, ("t", "t")), 1), Output("late", Operation(SUM, ("s", "u", "u")), 1)],
    )
    first, rest = split(program, "early")
    assert [name for name, _ in first] == ["x1", "x2"]
    assert [name for name, _ in rest] == ["x3"]


def test_nested_sums_and_products_are_flat_and_integers_stand_where_people_write_them() -> None:
    assert arrange(PRODUCT, ["a", Operation(PRODUCT, (3, "b"))]) == Operation(PRODUCT, (3, "a", "b"))
    assert arrange(SUM, [5, "a", Operation(SUM, ("b", "c"))]) == Operation(SUM, ("a", "b", "c", 5))
    assert arrange("CeilDiv", [5, "a"]) == Operation("CeilDiv", (5, "a"))


@pytest.mark.parametrize(
    ("weights", "tokens", "expected"),
    [
        (12, "n", (12, False)),
        (Operation(PRODUCT, (12, "n")), "n", (12, True)),
        ("n", "n", (1, True)),
        (Operation(PRODUCT, (12, "n", "b")), Operation(PRODUCT, ("b", "n")), (12, True)),
        (Operation(PRODUCT, (12, "n")), Operation(PRODUCT, (3, "n")), (4, True)),
        (Operation(PRODUCT, (12, "n", "n")), "n", None),
        (Operation(SUM, (12, "n")), "n", None),
    ],
)
def test_weights_are_a_number_or_one_for_each_token(weights: Node, tokens: Node, expected: object) -> None:
    assert find_weights(weights, tokens) == expected
