"""Greedy search for pairs of items that occur together in many groups."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from typing import Any, TypeAlias

Item: TypeAlias = Any
"""Whatever the groups hold; comparable, so that the result does not depend on hashes."""

Key: TypeAlias = tuple[Any, ...]
"""What two pairs have in common when one new item can stand for both."""

KeyOf: TypeAlias = Callable[[int, Item, Item], Key]
"""From the number of a group and two of its items to the key of the pair."""


def share_pairs(
    groups: list[list[Item]],
    key_of: KeyOf,
    define: Callable[[Key], int],
    replace: Callable[[Item, Item, int], Item],
    is_part: Callable[[Item, Key], bool] = lambda _item, _key: True,
) -> None:
    """Replace, while some pair occurs at least twice, the most frequent pair by a new item, in place.

    Parameters
    ----------
    groups
        Lists of items whose order means nothing.
    key_of
        Tells which pairs are alike.
    define
        Makes what a key stands for, once, and returns its number.
    replace
        From two items and the number of their key to the item that takes their place.
    is_part
        Tells of an item, faster than ``key_of`` of all its pairs, whether it may be in a pair with a key.
    """
    counts: defaultdict[Key, int] = defaultdict(int)
    # The first group with such a pair, and the others: most pairs stay alone.
    first: dict[Key, int] = {}
    holders: defaultdict[Key, set[int]] = defaultdict(set)
    heap: list[tuple[int, Key]] = []

    def count(number: int, item: Item, others: list[Item], change: int) -> None:
        for other in others:
            key = key_of(number, item, other)
            counts[key] = found = counts[key] + change
            if change > 0 and first.setdefault(key, number) != number:
                holders[key].add(number)
            if found > 1:
                heapq.heappush(heap, (-found, key))

    for number, group in enumerate(groups):
        for position, item in enumerate(group):
            count(number, item, group[:position], 1)
    while heap:
        negative, key = heapq.heappop(heap)
        if counts[key] != -negative:
            continue  # an entry from before the count changed
        pairs = [
            (number, pair)
            for number in sorted({first[key], *holders[key]})
            for pair in _find_pairs([item for item in groups[number] if is_part(item, key)], number, key, key_of)
        ]
        counts[key] = 0
        if len(pairs) < 2:
            continue  # in x * x * y, x * y is counted twice but occurs once
        name = define(key)
        for number, pair in pairs:
            group = groups[number]
            for item in pair:
                group.remove(item)
                count(number, item, group, -1)
            new = replace(*pair, name)
            count(number, new, group, 1)
            group.append(new)
        counts[key] = 0


def _find_pairs(group: list[Item], number: int, key: Key, key_of: KeyOf) -> list[tuple[Item, Item]]:
    """Return the pairs of a group that have this key, no item in two of them."""
    taken: set[int] = set()
    found = []
    for (place, one), (other_place, other) in combinations(enumerate(group), 2):
        if place not in taken and other_place not in taken and key_of(number, one, other) == key:
            found.append((one, other))
            taken |= {place, other_place}
    return found
