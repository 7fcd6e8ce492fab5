"""What holds between two free sizes is said in the domain, and no example is taken where it does not hold."""

from __future__ import annotations

import pytest

import modelmeter
from modelmeter import scaling
from modelmeter.dimensions.size_rules import Rule

SIZES = ("seq_len", "logits_tokens")


@pytest.fixture(scope="module")
def prefill() -> scaling.Source:
    return scaling.stage(modelmeter.load(), "prefill")


def test_a_domain_says_what_holds_between_its_sizes(prefill: scaling.Source) -> None:
    answer = scaling.sign(prefill.tensor_core_flops, SIZES)
    answer.check()
    assert answer.domain.rules == (Rule("logits_tokens", "at_most", "seq_len"),)
    assert "logits_tokens is at most seq_len" in str(answer.domain)
    assert answer.to_json()["domain"]["rules"] == ["logits_tokens is at most seq_len"]


def test_an_example_is_a_point_where_it_holds(prefill: scaling.Source) -> None:
    """Positions less those with logits: never negative in the domain, though it is beyond."""
    size = {name: scaling.size(modelmeter.load(), name) for name in SIZES}
    rest = size["seq_len"] - size["logits_tokens"]
    answer = scaling.sign(rest, SIZES)
    answer.check()
    assert -1 not in answer.signs
    mixed = scaling.sign(rest - 5, SIZES)
    mixed.check()
    assert mixed.signs == {-1, 0, 1}
    for each in mixed.certificates:
        assert mixed.domain.allows({name: at.first for name, at in each.ranges.items()})  # type: ignore[attr-defined]


def test_a_bound_is_attained_where_it_holds(prefill: scaling.Source) -> None:
    part = scaling.size(modelmeter.load(), "logits_tokens")
    whole = scaling.size(modelmeter.load(), "seq_len")
    answer = scaling.rule_of_thumb(part, whole, SIZES, bounds={"seq_len": (7, 31), "logits_tokens": (3, 19)})
    assert answer.highest_at is not None
    assert answer.domain.allows(answer.highest_at)


def test_sizes_that_are_0_together_are_no_example_where_one_is(prefill: scaling.Source) -> None:
    """Of 0 x 3 tiles there is no page: with the difference of both sides as a formula, -3 is none of its values."""
    tiles = [scaling.size(modelmeter.load(), f"num_{side}_tiles") for side in ("width", "height")]
    names = ("num_width_tiles", "num_height_tiles")
    answer = scaling.sign(tiles[0] - tiles[1], names)
    answer.check()
    assert Rule(names[0], "zero_together", names[1]) in answer.domain.rules
    assert "num_width_tiles is 0 together with num_height_tiles" in str(answer.domain)
    for each in answer.certificates:
        point = {name: at.first for name, at in each.ranges.items()}  # type: ignore[attr-defined]
        assert (point[names[0]] == 0) == (point[names[1]] == 0)
