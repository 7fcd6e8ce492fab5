"""The numbers in the count of a config by their place, and what has to be the same in all configs of a family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from modelmeter.frontend.general.small_configs import ConfigCount, ForwardCount, ForwardName, Seen
from modelmeter.frontend.operator_parts import PARTS
from modelmeter.support.errors import CountError

COEFFICIENTS: Final = ("constant", "tokens", "experts", "both")
"""Of what a loop over experts does, in tokens and in distinct experts."""

Key = tuple[Any, ...]
"""Where a number is: a region, and a place in it; or ``parameters`` and a path."""


def flatten(count: ConfigCount) -> dict[Key, int]:
    """Return every number of a count by its place."""
    found: dict[Key, int] = {("parameters", path): size for path, size in count.parameters.items()}
    for region, each in count.forwards.items():
        found |= {(region, *key): size for key, size in _flatten_region(each)}
    return found


def _flatten_region(count: ForwardCount) -> Iterator[tuple[Key, int]]:
    for place, seen in enumerate(count.seen):
        yield from (((place, part), size) for part, size in seen.parts.items())
        if seen.experts is None:
            continue
        yield (place, "tokens"), seen.tokens
        for number, (_, formulas) in enumerate(seen.experts.operators):
            for part in PARTS:
                for name in COEFFICIENTS:
                    size = getattr(formulas[part], name) if part in formulas else 0
                    yield (place, number, part, name), size
    yield from ((("kv", path), size) for path, size in count.kv_elements.items())
    for path, shapes in count.output_shapes.items():
        for call, shape in enumerate(shapes):
            yield from ((("shape", path, call, axis), size) for axis, size in enumerate(shape))


def describe_structure(count: ConfigCount) -> dict[ForwardName, tuple[Any, ...]]:
    """Return what has to be the same in all configs: which operators run where, and in which order."""

    def name_loop(seen: Seen) -> tuple[str, ...]:
        return () if seen.experts is None else tuple(name for name, _ in seen.experts.operators)

    return {
        region: tuple((seen.path, seen.name, *name_loop(seen)) for seen in each.seen)
        for region, each in count.forwards.items()
    }


def check_structure(
    ours: Mapping[ForwardName, Sequence[Any]], theirs: Mapping[ForwardName, Sequence[Any]], sizes: Any
) -> None:
    """Raise an error unless two configs call the same operators.

    Raises
    ------
    CountError
        If they do not; it names the first place.
    """
    for region, first in ours.items():
        for one, other in zip(first, theirs[region], strict=False):
            if one != other:
                raise CountError(
                    "another config calls other operators", place=f"{region[0]} {one[0]}", expected=one[1],
                    found=f"{other[1]} in {other[0]} at {', '.join(f'{key} = {size}' for key, size in sizes.items())}",
                )  # fmt: skip
        if len(first) != len(theirs[region]):
            raise CountError("another config calls another number of operators", place=region[0])
