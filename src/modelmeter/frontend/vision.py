"""The vision stage of a model with a card: formulas through counts of its unmodified modules."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen
from torch import nn

from modelmeter.core.cost import KINDS, Elements
from modelmeter.core.functions import Size
from modelmeter.frontend.card import Tower
from modelmeter.frontend.interpolation import Interpolation, count_independent
from modelmeter.frontend.operator_parts import PARTS, list_alive, list_moved, list_parts, make_operator
from modelmeter.frontend.real_integers import RealIntegers
from modelmeter.frontend.recording import Lines, record_forward
from modelmeter.frontend.records import Lifetime, TracedForward, TracedOperator, describe_sizes
from modelmeter.frontend.tracing import read_recording
from modelmeter.support.errors import CountError

_BESIDE = 4
"""Points beyond those that the terms need: every count has to fit there, too."""

_MOST_DRAWS = 10_000

Key = tuple[str, str, tuple[str, ...]]
"""The path of a module, the name of an operator, and the kinds of what it reads and writes."""

Place = tuple[Key, Lines]
"""An operator, and the lines of code that call it: an operator in a loop over images has one place."""


def run_vision(model: nn.Module, tower: Tower, sizes: Mapping[str, int]) -> Callable[[], object]:
    """Return the forward of the vision stage, with integers that are real."""
    inputs = tower.make_inputs(sizes)
    inner: Any = model.get_submodule("model")

    def run() -> object:
        with RealIntegers():
            return tower.look(inner, sizes, inputs)

    return run


@frozen(kw_only=True)
class VisionCount:
    """What a run did, by operator of a module: the sums of its numbers, and the most that is alive beside each call."""

    sums: Mapping[Key, Mapping[str, int]]
    alive: Mapping[Place, Mapping[str, int]]
    shapes: Mapping[str, list[tuple[int, ...]]]


def count_vision(model: nn.Module, tower: Tower, sizes: Mapping[str, int]) -> VisionCount:
    """Count one run of the vision stage."""
    recording = record_forward(model, run_vision(model, tower, sizes))
    forward = read_recording(recording, {})
    live = list_alive(forward)
    sums: dict[Key, dict[str, int]] = {}
    alive: dict[Place, dict[str, int]] = {}
    for place, (traced, lines) in enumerate(zip(forward.operators, recording.lines, strict=True)):
        parts = list_parts(traced.operator)
        key = traced.path, traced.operator.name, list_moved(parts)
        held = sums.setdefault(key, dict.fromkeys(parts, 0))
        for part, size in parts.items():
            held[part] += int(size)
        most = alive.setdefault((key, lines), live[place])
        if sum(live[place].values()) > sum(most.values()):
            alive[key, lines] = live[place]
    return VisionCount(
        sums=sums, alive=alive,
        shapes={path: [tuple(map(int, shape)) for shape in shapes] for path, shapes in forward.output_shapes.items()},
    )  # fmt: skip


def trace_vision(model: nn.Module, tower: Tower, seed: str, begin: Callable[[str], None]) -> TracedForward:
    """Return the vision stage as formulas: sums of the terms of the card that have all counts.

    Raises
    ------
    CountError
        If a count is no such sum.
    """
    points = choose_images(tower, seed)
    interpolation = Interpolation(tower.terms, points)
    counts = []
    for point in points:
        begin(f"count vision at {describe_sizes(point)}")
        counts.append(count_vision(model, tower, point))
    keys = dict.fromkeys(key for count in counts for key in count.sums)
    places = dict.fromkeys(place for count in counts for place in count.alive)

    def fit(tables: Sequence[Mapping[Any, Mapping[str, int]]], place: Any, key: Key, part: str) -> Size:
        values = [table.get(place, {}).get(part, 0) for table in tables]
        return interpolation.fit(values, f"vision {key[0]} {key[1]} {part}")

    operators: list[TracedOperator] = []
    lifetimes = []
    for key in keys:
        path, name, _ = key
        parts = {part: fit([count.sums for count in counts], key, key, part) for part in PARTS}
        alive = dict.fromkeys(
            Elements(**{kind: fit([count.alive for count in counts], place, key, kind) for kind in KINDS})
            for place in places
            if place[0] == key
        )
        for number, elements in enumerate(alive):
            # What all calls do is put down to the first; the others are there for what is alive beside them.
            operator = make_operator(name, {} if number else parts)
            lifetimes.append(Lifetime(elements=elements, first=len(operators), last=len(operators)))
            operators.append(TracedOperator(path=path, operator=operator))
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


def choose_images(tower: Tower, seed: str) -> list[dict[str, int]]:
    """Return sizes of images, drawn by chance, none twice: enough to tell the terms apart, and some beside.

    Raises
    ------
    CountError
        If no sizes within the bounds of the card tell its terms apart.
    """
    chance = random.Random(seed)
    drawn: dict[tuple[int, ...], dict[str, int]] = {}
    left = _MOST_DRAWS
    while True:
        while len(drawn) < len(tower.terms) + _BESIDE and left:
            left -= 1
            point = {size.name: chance.randint(size.least, size.most) for size in tower.sizes}
            drawn[tuple(point.values())] = point
        points = list(drawn.values())
        missing = len(tower.terms) - count_independent(tower.terms, points)
        if not missing:
            return points
        if not left:
            raise CountError("the sizes within the bounds of a card do not tell its terms apart", found=missing)
        for key in list(drawn)[: missing + 1]:
            del drawn[key]
