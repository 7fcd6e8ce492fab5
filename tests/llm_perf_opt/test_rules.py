"""What each rule accepts, and how it words a refusal."""

from __future__ import annotations

import math

import pytest

from llm_perf_opt.data import rules
from llm_perf_opt.errors import RecordError


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (rules.TEXT, ["", "a\nb", "\x00"], [None, 3, b"a", "\udc80"]),
        (rules.IDENTIFIER, ["a", "a b", "1e5"], ["", " ", " a", "a\n", "a\x00b", "\ud800", 3, None]),
        (
            rules.ABSOLUTE_PATH,
            ["/", "/a b", "C:\\x", "c:/x", "\\\\host\\share"],
            ["", "a/b", "./a", "C:x", "\\x", "/a\nb", "/a\x00", None, 3],
        ),
        (rules.FLAG, [True, False], [0, 1, "true", None]),
        (rules.whole_number(), [0, 2**63 - 1], [-1, 2**63, 10**5000, 1.0, True, "1", None]),
        (rules.whole_number(1), [1], [0]),
        (rules.number("metres"), [0.0, 1e308, 5e-324], [-0.5, math.nan, math.inf, -math.inf, 1, True, "1", None]),
        (rules.MEASURED_MILLISECONDS, [5e-324], [0.0, math.nan, math.inf, 1, True]),
        (rules.SHARE, [0.0, 1.0], [1.0000000000000002, -5e-324, math.nan, 1, True]),
        (rules.choice("for", "parfor"), ["for"], ["none", "", None, ["for"]]),
        (rules.or_none(rules.FLAG), [None, True], [0, ""]),
        (rules.record(RecordError), [RecordError("x")], [ValueError("x"), RecordError, None]),
        (rules.sequence(rules.FLAG), [(), (True, True)], [[True], (1,), None, "ab"]),
        (rules.sequence(rules.FLAG, distinct=True), [(True, False)], [(True, True)]),
        (
            rules.ARGUMENTS,
            [{}, {"dim": -1, "eps": 1e-6, "bias": False, "act": "gelu", "k": (3, None), "e": ()}],
            [None, [], {"": 1}, {3: 1}, {"x": math.nan}, {"x": {}}, {"x": [1]}, {"x": ((1,),)}, {"x": -(2**63)}],
        ),
    ],
)  # fmt: skip
def test_a_rule_accepts_what_it_says(rule: rules.FieldRule, good: list[object], bad: list[object]) -> None:
    for value in good:
        rule.check(value, "field")
    for value in bad:
        with pytest.raises(RecordError, match=r"^field"):
            rule.check(value, "field")


def test_a_refusal_tells_text_from_numbers() -> None:
    with pytest.raises(RecordError) as caught:
        rules.whole_number(3).check("3", "modules[1].calls")
    assert str(caught.value) == (
        "modules[1].calls: wrong value; expected a whole number of at least 3, below 2^63; found str '3'"
    )


def test_a_repeated_key_is_found_at_its_item() -> None:
    rule = rules.sequence(rules.record(RecordError), key="problem")
    with pytest.raises(RecordError, match=r"^errors\[2\]\.problem: the same as in errors\[0\]; found str 'a'$"):
        rule.check((RecordError("a"), RecordError("b"), RecordError("a")), "errors")


def test_lists_become_tuples_and_nothing_else_does() -> None:
    assert rules.as_tuple([3, 5]) == (3, 5)
    for kept in ("ab", {"a": 1}, None):
        assert rules.as_tuple(kept) is kept  # type: ignore[arg-type] # what the next rule refuses
    assert rules.as_arguments({"k": [3, 5], "t": "ab"}) == {"k": (3, 5), "t": "ab"}
    assert rules.as_arguments(None) is None  # type: ignore[arg-type] # what the next rule refuses


def test_only_exact_integers_become_floats() -> None:
    assert type(rules.as_float(2**53)) is float
    assert type(rules.as_float(2**53 + 1)) is int
    assert rules.as_float(True) is True
    assert rules.as_float("3") == "3"  # type: ignore[arg-type] # what the next rule refuses
