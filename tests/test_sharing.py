"""Pairs that occur in several groups get a name, the most frequent first."""

from __future__ import annotations

from modelmeter.algebra.sharing import share_pairs


def share(groups: list[list[str]]) -> tuple[list[list[str]], list[tuple[str, ...]]]:
    named: list[tuple[str, ...]] = []

    def define(key: tuple[str, ...]) -> int:
        named.append(key)
        return len(named)

    share_pairs(groups, lambda _, one, other: tuple(sorted((one, other))), define, lambda _a, _b, name: f"pair {name}")
    return groups, named


def test_a_pair_in_two_groups_is_named_once() -> None:
    groups, named = share([["a", "b", "c"], ["b", "d", "a"], ["c", "d"]])
    assert named == [("a", "b")]
    assert groups == [["c", "pair 1"], ["d", "pair 1"], ["c", "d"]]


def test_named_pairs_are_paired_again() -> None:
    groups, named = share([["a", "b", "c"], ["a", "b", "c"]])
    assert groups == [["pair 2"], ["pair 2"]]
    assert named == [("a", "b"), ("c", "pair 1")]


def test_powers_share_squares() -> None:
    """The fourth power x x x x is the square of a square: two pairs in one group."""
    groups, named = share([["x", "x", "x", "x"]])
    assert groups == [["pair 1", "pair 1"]]
    assert named == [("x", "x")]


def test_a_pair_that_occurs_once_gets_no_name() -> None:
    """In x x y the pair x y can be taken once only, though there are two ways."""
    groups, named = share([["x", "x", "y"], ["z"]])
    assert groups == [["x", "x", "y"], ["z"]]
    assert named == []
