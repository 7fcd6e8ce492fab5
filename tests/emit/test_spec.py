"""The rules between sizes speak of sizes that exist."""

from __future__ import annotations

from modelmeter.emit.function import IMAGE_TOKENS
from modelmeter.emit.spec import RULES
from modelmeter.symbols import DIMENSIONS, LOCAL_SIZES


def test_rules_are_between_known_sizes() -> None:
    names = {name for rule in RULES for name in (rule.a, rule.b)}
    assert names - {IMAGE_TOKENS} <= DIMENSIONS.keys() | LOCAL_SIZES.keys()
    assert len(set(RULES)) == len(RULES)
