"""Rules between sizes, where some of them are known."""

from __future__ import annotations

import pytest

from modelmeter.dimensions.size_rules import Rule, substitute_sizes
from modelmeter.support.errors import WorkloadError


def test_known_sizes_become_numbers_and_rules_on_them_are_left_out() -> None:
    rules = (
        Rule("sam_patch_size", "at_most", "base_size"),
        Rule("sam_patch_size", "at_most", "sam_image_size"),
        Rule("logits_tokens", "at_most", "seq_len"),
        Rule(2, "divides", "head_dim"),
    )
    known = {"sam_patch_size": 13, "sam_image_size": 211}
    assert list(substitute_sizes(rules, known)) == [
        Rule(13, "at_most", "base_size"),
        Rule("logits_tokens", "at_most", "seq_len"),
        Rule(2, "divides", "head_dim"),
    ]


def test_the_names_of_a_rule_are_its_unknown_sizes() -> None:
    assert Rule("patch_size", "at_most", "view_size").names == {"patch_size", "view_size"}
    assert Rule(2, "divides", "head_dim").names == {"head_dim"}


@pytest.mark.parametrize(
    ("rule", "kept", "broken", "of_b", "of_a"),
    [
        (Rule("a", "at_most", "b"), (7, 7), (8, 7), "b: .*at least a = 8; found 7", "a: .*at most b = 7; found 8"),
        (Rule("a", "divides", "b"), (3, 9), (3, 7), "b: .*a multiple of a = 3; found 7", "a: .*a divisor of b = 7"),
        (
            Rule("a", "divides_evenly", "b"),
            (3, 12),
            (3, 9),
            "b: .*an even multiple of a = 3",
            "a: .*a half of b = 9",
        ),
        (Rule("a", "zero_together", "b"), (0, 0), (0, 7), "b: .*0 together with a = 0; found 7", "a: .*b = 7; found 0"),
        (Rule("a", "zero_together", "b"), (3, 7), (3, 0), "b: .*0 together with a = 3; found 0", "a: .*b = 0; found 3"),
        (Rule("a", "divides", "b"), (3, 0), (5, 3), "b: .*a multiple of a = 5; found 3", "a: .*a divisor of b = 3"),
    ],
)
def test_a_rule_is_kept_or_says_which_size_breaks_it(
    rule: Rule, kept: tuple[int, int], broken: tuple[int, int], of_b: str, of_a: str
) -> None:
    rule.check(dict(zip("ab", kept, strict=True)), WorkloadError)
    sizes = dict(zip("ab", broken, strict=True))
    assert not rule.holds(sizes)
    with pytest.raises(WorkloadError, match=f"^{of_b}"):
        rule.check(sizes, WorkloadError)
    with pytest.raises(WorkloadError, match=f"^{of_a}"):
        rule.check(sizes, WorkloadError, at="a")


def test_a_rule_may_have_a_number() -> None:
    Rule(2, "divides", "b").check({"b": 6}, WorkloadError)
    with pytest.raises(WorkloadError, match=r"^b: .*a multiple of 2; found 7"):
        Rule(2, "divides", "b").check({"b": 7}, WorkloadError)
