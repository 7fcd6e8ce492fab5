"""The vision stage of a model with a card: formulas through counts of its unmodified modules."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from torch import nn

from modelmeter.core.cost import KINDS, Elements
from modelmeter.core.functions import Size
from modelmeter.frontend.cards import NUM_IMAGES, Card
from modelmeter.frontend.interpolation import Interpolation
from modelmeter.frontend.operator_parts import PARTS, list_alive, list_moved, list_parts, make_operator
from modelmeter.frontend.real_integers import RealIntegers
from modelmeter.frontend.recording import record_forward
from modelmeter.frontend.records import Lifetime, TracedForward, TracedOperator, describe_sizes
from modelmeter.frontend.tracing import read_recording

_BESIDE = 4
"""Points beyond those that the terms need: every count has to fit there, too."""

Key = tuple[str, str, tuple[str, ...]]
"""The path of a module, the name of an operator, and the kinds of what it reads and writes."""


def run_vision(model: nn.Module, card: Card, sizes: Mapping[str, int]) -> Callable[[], object]:
    """Return the forward of the vision stage, with integers that are real."""
    inputs = card.make_inputs(sizes["num_images"], sizes["grid_height"], sizes["grid_width"])
    inner: Any = model.get_submodule("model")

    def run() -> object:
        with RealIntegers():
            return inner.get_image_features(*inputs)

    return run


@frozen(kw_only=True)
class VisionCount:
    """What a run did, by operator of a module: the sums of its numbers, and the most that is alive beside it."""

    sums: Mapping[Key, Mapping[str, int]]
    alive: Mapping[Key, Mapping[str, int]]
    shapes: Mapping[str, list[tuple[int, ...]]]


def count_vision(model: nn.Module, card: Card, sizes: Mapping[str, int]) -> VisionCount:
    """Count one run of the vision stage."""
    forward = read_recording(record_forward(model, run_vision(model, card, sizes)), {})
    live = list_alive(forward)
    sums: dict[Key, dict[str, int]] = {}
    alive: dict[Key, dict[str, int]] = {}
    for place, traced in enumerate(forward.operators):
        parts = list_parts(traced.operator)
        key = traced.path, traced.operator.name, list_moved(parts)
        held = sums.setdefault(key, dict.fromkeys(parts, 0))
        for part, size in parts.items():
            held[part] += int(size)
        most = alive.setdefault(key, live[place])
        if sum(live[place].values()) > sum(most.values()):
            alive[key] = live[place]
    return VisionCount(
        sums=sums, alive=alive,
        shapes={path: [tuple(map(int, shape)) for shape in shapes] for path, shapes in forward.output_shapes.items()},
    )  # fmt: skip


def trace_vision(model: nn.Module, card: Card, begin: Callable[[str], None]) -> TracedForward:
    """Return the vision stage as formulas: sums of the terms of the card that have all counts.

    Raises
    ------
    CountError
        If a count is no such sum.
    """
    terms = [*card.terms, *(NUM_IMAGES * term for term in card.terms)]
    points = _choose_points(card, len(card.terms) + _BESIDE)
    interpolation = Interpolation(terms, points)
    counts = []
    for point in points:
        begin(f"count vision at {describe_sizes(point)}")
        counts.append(count_vision(model, card, point))
    keys = dict.fromkeys(key for count in counts for key in count.sums)

    def fit(table: str, key: Key, part: str) -> Size:
        values = [getattr(count, table).get(key, {}).get(part, 0) for count in counts]
        return interpolation.fit(values, f"vision {key[0]} {key[1]} {part}")

    operators, lifetimes = [], []
    for place, key in enumerate(keys):
        path, name, _ = key
        operators.append(
            TracedOperator(path=path, operator=make_operator(name, {part: fit("sums", key, part) for part in PARTS}))
        )
        alive = Elements(**{kind: fit("alive", key, kind) for kind in KINDS})
        lifetimes.append(Lifetime(elements=alive, first=place, last=place))
    paths = dict.fromkeys(path for count in counts for path in count.shapes)
    shapes = {
        path: tuple(
            tuple(
                interpolation.fit([count.shapes[path][call][axis] for count in counts], f"vision {path}")
                for axis in range(len(counts[0].shapes[path][call]))
            )
            for call in range(len(counts[0].shapes[path]))
        )
        for path in paths
    }
    return TracedForward(
        condition=1, at={}, operators=tuple(operators), lifetimes=tuple(lifetimes), kv_elements={},
        output_shapes=shapes, copies={},
    )  # fmt: skip


def _choose_points(card: Card, count: int) -> list[dict[str, int]]:
    """Return grids of one and of two images, drawn by chance, none twice."""
    chance = random.Random(card.name)
    grids: dict[tuple[int, int], None] = {}
    while len(grids) < count:
        grids[chance.randint(card.least, card.most), chance.randint(card.least, card.most)] = None
    return [
        {"num_images": images, "grid_height": grid[0], "grid_width": grid[1]} for images in (1, 2) for grid in grids
    ]
