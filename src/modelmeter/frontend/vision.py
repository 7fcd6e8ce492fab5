"""The vision stage of a model with a card: formulas through counts of its unmodified modules."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from attrs import frozen
from torch import nn

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.frontend.cards.card import Tower
from modelmeter.frontend.interpolation import IndependentRows, Interpolation, evaluate_terms
from modelmeter.frontend.operator_parts import PARTS, list_alive, list_moved, list_parts, make_operator
from modelmeter.frontend.real_integers import RealIntegers
from modelmeter.frontend.recording import Lines, record_forward
from modelmeter.frontend.records import Lifetime, TracedForward, TracedOperator, describe_sizes
from modelmeter.frontend.tracing import DTYPE, read_recording
from modelmeter.frontend.turns import Views, split_calls
from modelmeter.graph.dtypes import default_dtype
from modelmeter.layers.base import Shape
from modelmeter.metrics.cost import KINDS, Elements
from modelmeter.support.errors import CountError

_BESIDE = 4
"""Points beyond those that the terms need: every count has to fit there, too."""

_MOST_DRAWS = 10_000

Key = tuple[str, str, tuple[str, ...]]
"""The path of a module, the name of an operator, and the kinds of what it reads and writes."""

Place = tuple[Key, Lines]
"""An operator, and the lines of code that call it: an operator in a loop over images has one place."""


def run_vision(model: nn.Module, tower: Tower, sizes: Mapping[str, int]) -> Callable[[], object]:
    """Return the forward of the vision stage at sizes of all prompts together, with integers that are real."""
    with default_dtype(next(model.parameters()).dtype):
        inputs = tower.make_inputs(sizes)
    inner: Any = model.get_submodule("model")

    def run() -> object:
        with RealIntegers():
            return tower.look(inner, sizes, inputs)

    return run


@frozen(kw_only=True)
class VisionCount:
    """What a run did, by operator of a module: the sums of its numbers, and what is alive beside each call."""

    sums: Mapping[Key, Mapping[str, int]]
    alive: Mapping[Place, Sequence[Mapping[str, int]]]
    shapes: Mapping[str, list[tuple[int, ...]]]


def count_vision(model: nn.Module, tower: Tower, sizes: Mapping[str, int]) -> VisionCount:
    """Count one run of the vision stage."""
    recording = record_forward(model, run_vision(model, tower, sizes), finds_lines=True)
    forward = read_recording(recording, {})
    live = list_alive(forward)
    sums: dict[Key, dict[str, int]] = {}
    alive: dict[Place, list[dict[str, int]]] = {}
    for place, (traced, lines) in enumerate(zip(forward.operators, recording.lines, strict=True)):
        parts = list_parts(traced.operator)
        key = traced.path, traced.operator.name, list_moved(parts)
        held = sums.setdefault(key, dict.fromkeys(parts, 0))
        for part, size in parts.items():
            held[part] += int(size)
        alive.setdefault((key, lines), []).append(live[place])
    return VisionCount(
        sums=sums, alive=alive,
        shapes={path: [tuple(map(int, shape)) for shape in shapes] for path, shapes in forward.output_shapes.items()},
    )  # fmt: skip


def trace_vision(
    build: Callable[[torch.dtype], nn.Module], tower: Tower, seed: str, begin: Callable[[str], None]
) -> TracedForward:
    """Return the vision stage as formulas in sizes of a workload: sums of the terms of the card that have all counts.

    ``build`` returns the modules that compute with a type. What is alive is counted with one that has casts, and with
    one that has none.

    Raises
    ------
    CountError
        If a count is no such sum.
    """
    points = choose_images(tower, seed)
    interpolation = Interpolation(tower.terms, points, tower.totals)
    views = [count_views(tower, point) for point in points]
    counts: list[VisionCount] = []
    uncast: list[VisionCount] = []
    for dtype, counted in ((DTYPE, counts), (torch.float32, uncast)):
        model = build(dtype)
        for point in points:
            begin(f"count vision in {str(dtype).removeprefix('torch.')} at {describe_sizes(point)}")
            counted.append(count_vision(model, tower, point))
    keys = dict.fromkeys(key for count in counts for key in count.sums)

    def fit(held: Sequence[Mapping[str, int]], key: Key, part: str) -> Size:
        return interpolation.fit([each.get(part, 0) for each in held], f"vision {key[0]} {key[1]} {part}")

    def fit_alive(counted: Sequence[VisionCount]) -> dict[Key, list[Elements]]:
        """Return what is alive beside each operator, without what is alive beside another call of it.

        Of the calls in a loop over views, the most that is alive beside those of each turn is such a sum.
        """
        found: dict[Key, dict[Elements, None]] = {}
        for place in dict.fromkeys(place for count in counted for place in count.alive):
            for calls in split_calls([count.alive.get(place, ()) for count in counted], views):
                if any(calls):
                    most = [max(held, key=lambda each: sum(each.values()), default={}) for held in calls]
                    elements = Elements(**{kind: fit(most, place[0], kind) for kind in KINDS})
                    found.setdefault(place[0], {})[elements] = None
        return {key: list(held) for key, held in found.items()}

    operators: list[TracedOperator] = []

    def place_alive(key: Key, alive: Sequence[Elements], parts: Mapping[str, Size]) -> Iterator[Lifetime]:
        """Add an operator for all that it does, and others that do nothing for what is alive beside other calls."""
        for elements in alive:
            yield Lifetime(elements=elements, first=len(operators), last=len(operators))
            operators.append(TracedOperator(path=key[0], operator=make_operator(key[1], parts)))
            parts = {}

    alive = fit_alive(counts)
    sums = {key: [count.sums.get(key, {}) for count in counts] for key in keys}
    lifetimes = [
        life
        for key in keys
        for life in place_alive(key, alive[key], {part: fit(sums[key], key, part) for part in PARTS})
    ]
    uncast_lifetimes = [life for key, held in fit_alive(uncast).items() for life in place_alive(key, held, {})]
    paths = dict.fromkeys(path for count in counts for path in count.shapes)
    calls = {
        path: _fit_calls(interpolation, [count.shapes.get(path, []) for count in counts], views, path) for path in paths
    }
    return TracedForward(
        condition=1, at={}, operators=tuple(operators), lifetimes=tuple(lifetimes), kv_elements={},
        output_shapes={path: shapes for path, (shapes, _) in calls.items()}, copies={},
        call_counts={path: sizes for path, (_, sizes) in calls.items() if sizes != (1,) * len(sizes)},
        uncast_lifetimes=tuple(uncast_lifetimes),
    )  # fmt: skip


def _fit_calls(
    interpolation: Interpolation, called: Sequence[Sequence[tuple[int, ...]]], views: Sequence[Views], path: str
) -> tuple[tuple[Shape, ...], tuple[Size, ...]]:
    """Return the shapes of the output of a module, and how often each happens, from those of its calls at each point.

    A module is called as often at all points, or has a first call and any number of others: of one shape for first
    views of images, and of one for the views behind them.

    Raises
    ------
    CountError
        If it is called in another way.
    """
    place = f"vision {path}"
    fewest, most = min(map(len, called)), max(map(len, called))

    def fit_shape(shapes: Sequence[tuple[int, ...]]) -> Shape:
        known = [shape for shape in shapes if shape]
        axes = [[shape[axis] if shape else 0 for shape in shapes] for axis in range(len(known[0]))]
        same = [{shape[axis] for shape in known} for axis in range(len(known[0]))]
        return tuple(
            min(values) if len(values) == 1 else interpolation.fit(sizes, place)
            for values, sizes in zip(same, axes, strict=True)
        )

    if fewest == most:
        return tuple(fit_shape([calls[number] for calls in called]) for number in range(most)), (1,) * most
    of_first, *of_others = split_calls(called, views)
    others = [[calls[1:] for calls in of_first], [[*second, *later] for second, later in zip(*of_others, strict=True)]]
    if not fewest or any(len(set(calls)) > 1 for other in others for calls in other):
        raise CountError(
            "a module is called as often as no formula says", place=place, found=f"{fewest} to {most} times"
        )
    first = fit_shape([calls[0] for calls in called])
    shapes, counts = [first], list[Size]([1])
    for other in filter(any, others):
        is_same = all({calls[0], *more} == {calls[0]} for calls, more in zip(called, other, strict=True))
        shapes.append(first if is_same else fit_shape([calls[0] if calls else () for calls in other]))
        counts.append(interpolation.fit([len(calls) for calls in other], place))
    return tuple(shapes), tuple(counts)


def count_views(tower: Tower, sizes: Mapping[str, int]) -> Views:
    """Return how many views a tower goes through at sizes of all prompts together."""
    images, *_ = tower.sizes
    of_image = int(evaluate(tower.views, sizes))
    return Views(of_all=sizes[images.name] * of_image, of_image=of_image)


def choose_images(tower: Tower, seed: str) -> list[dict[str, int]]:
    """Return sizes of all images, none twice: all corners, and more by chance, to tell the terms apart and some beside.

    A corner has each size at its least or one more: there code is special, such as a copy that one row does not need.

    Raises
    ------
    CountError
        If no sizes within the bounds of the card tell its terms apart.
    """
    chance = random.Random(seed)
    names = [size.name for size in tower.sizes]
    corners = product(*((size.least, size.least + 1) for size in tower.sizes))
    points = dict.fromkeys(corners)
    told = IndependentRows()

    def tell(point: Sequence[int]) -> bool:
        return told.add(evaluate_terms(tower.terms, dict(zip(names, point, strict=True))))

    for corner in points:
        tell(corner)
    beside = _BESIDE
    for _ in range(_MOST_DRAWS):
        missing = len(tower.terms) - len(told)
        if not missing and not beside:
            return [dict(zip(names, point, strict=True)) for point in points]
        drawn = tuple(chance.randint(size.least, size.most) for size in tower.sizes)
        if drawn in points:
            continue
        if tell(drawn):
            points[drawn] = None
        elif not missing and beside:
            points[drawn], beside = None, beside - 1
    raise CountError("the sizes within the bounds of a card do not tell its terms apart", found=names)
