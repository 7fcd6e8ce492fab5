"""Check every statement of every study against brute force: a million integer points in all, with a progress bar.

Each statement says at which integers one formula is at least another. Here both are evaluated, point by point, with
the evaluator of formulas and with nothing that answers or proofs are made of: at the borders, at the ends, and at
points drawn between them. Run it with ``make check-studies``, or ``python -m tests.check_studies --points 10000``.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.scaling.domain import Range
from modelmeter.scaling.studies import Claim, IdentifiedStatement

FARTHEST = 10**7
"""Points are drawn up to here, or to a few times the last border."""


def list_borders(claim: Claim, range_: Range) -> Iterator[int]:
    """Yield the integers around which something changes: the ends of intervals and of the domain."""
    yield range_.first
    if range_.last is not None:
        yield range_.last
    if claim.known_from:
        yield claim.known_from
    for each in claim.intervals or ():
        yield each.first
        if each.last is not None:
            yield each.last


def list_points(claim: Claim, range_: Range, count: int, generator: random.Random) -> list[int]:
    """Return up to ``count`` integers of the domain that the claim says something of: borders first, then drawn."""
    step = range_.multiple_of
    borders = sorted(set(list_borders(claim, range_)))
    near = {border + step * offset for border in borders for offset in (0, -1, 1, -2, 2)}
    end = range_.last if range_.last is not None else max(FARTHEST, 4 * borders[-1])
    end = end if claim.known_to is None else min(end, claim.known_to)
    first = max(range_.first, claim.known_from)
    found = [point for point in sorted(near) if point in range_ and first <= point <= end][:count]
    places = (end - first) // step + 1
    if places <= count:
        return list(range(first + -first % step, end + 1, step))
    while len(found) < count:
        # As many in each power of two: what is small is where borders are.
        width = min(places, 2 ** generator.randint(1, places.bit_length()))
        point = first + -first % step + step * generator.randrange(width)
        if first <= point <= end:
            found.append(point)
    return found


def holds_at(claim: Claim, point: int) -> bool:
    """Tell whether a claim holds at an integer, by evaluating both sides."""
    left, right = (evaluate(side, {claim.over: point}) for side in (claim.left, claim.right))
    return left >= right


def check_statement(statement: IdentifiedStatement, count: int, generator: random.Random) -> int:
    """Return how many points were evaluated.

    Raises
    ------
    AssertionError
        If the statement says something else of one.
    """
    claim = statement.claim
    if claim.intervals is None:
        return 0
    points = list_points(claim, statement.domain.ranges[claim.over], count, generator)
    for point in points:
        said = any(point in each for each in claim.intervals)
        found = holds_at(claim, point)
        assert said == found, f"{statement.id}: at {claim.over} = {point} it says {said}, and brute force {found}"
    return len(points)


def main() -> None:
    """Check all statements about the shipped model, and print how many points were evaluated."""
    from llm_perf_opt.studies import list_cards
    from llm_perf_opt.terminal import track
    from modelmeter import load
    from modelmeter.scaling.studies import write_book

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=10**6, help="how many integers in all")
    parser.add_argument("--seed", type=int, default=0, help="of the points that are drawn")
    options = parser.parse_args()
    generator = random.Random(options.seed)

    began = time.monotonic()
    statements = write_book(load(), list_cards()).statements
    derived = time.monotonic()
    print(f"{len(statements):,} statements derived in {derived - began:.0f} s")
    for each in statements:
        each.check()
    replayed = time.monotonic()
    print(f"all certificates replayed in {replayed - derived:.1f} s")
    checked = [each for each in statements if each.claim.intervals is not None]
    total, left = 0, len(checked)
    wrong: list[str] = []
    with track(checked, total=len(checked), description="brute force") as tracked:
        for each in tracked:
            # What a short domain does not need goes to the others.
            share = -(-(options.points - total) // left)
            left -= 1
            try:
                total += check_statement(each, share, generator)
            except AssertionError as error:
                wrong.append(str(error))
    spent = time.monotonic() - replayed
    print(f"{total:,} integer points of {len(checked):,} statements evaluated in {spent:.0f} s: {len(wrong)} wrong")
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
