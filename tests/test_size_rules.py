"""Rules between sizes, where some of them are known."""

from __future__ import annotations

from modelmeter.core.size_rules import Rule, substitute_sizes


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
