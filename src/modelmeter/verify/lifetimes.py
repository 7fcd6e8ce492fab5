"""What is alive beside every operator of a forward, against a walk over the live storages of the reference model.

The proof of a stage's peak sees the largest operator of the stage. Here every operator counts, so that a tensor that a
layer holds for too long, or not long enough, is found in that layer, however small it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter

import sympy
import torch
from attrs import asdict, frozen
from torch import nn

from modelmeter.dimensions.evaluate import Evaluator
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Operator, Precision
from modelmeter.metrics.metric import PEAK
from modelmeter.support.errors import CountError
from modelmeter.verify.live_storages import WatchedOperator, watch_storages
from modelmeter.verify.proof import Progress, Verdict
from modelmeter.verify.proved_model import Point, ProvedModel
from modelmeter.verify.stage_peaks import PRECISION, WIDE


@frozen(kw_only=True)
class ReplayedOperator:
    """An operator of a replay at sizes that are numbers.

    Parameters
    ----------
    layer
        Whose operator it is.
    name
        Its ATen name.
    bits
        What is alive when it has run.
    """

    layer: BaseLayer
    name: str
    bits: int

    def is_seen_as(self, watched: WatchedOperator, model: nn.Module) -> bool:
        """Tell whether a module of the same class called the same operator."""
        return (self.name, self.layer.torch_class()) == (watched.name, type(model.get_submodule(watched.path)).__name__)


class FullTape(Tape):
    """A tape that leaves no operator out which does something.

    Parameters
    ----------
    root
        What is replayed.
    casts
        As of every tape.
    """

    def __init__(self, root: BaseLayer, *, casts: bool) -> None:
        super().__init__(type(root).__name__, casts=casts)
        self._running = [root]
        self._called: list[tuple[BaseLayer, Operator]] = []

    def run_all(self, operator: Operator, written: Iterable[Elements], *reads: Buffer) -> tuple[Buffer, ...]:
        """Do as every tape, and remember the operator."""
        self._called.append((self._running[-1], operator))
        return super().run_all(operator, written, *reads)

    @contextmanager
    def inside(self, name: str, layer: BaseLayer) -> Iterator[None]:
        """Do as every tape, and remember the layer."""
        self._running.append(layer)
        with super().inside(name, layer):
            yield
        self._running.pop()

    def list_all(self, values: Mapping[str, int], precision: Precision) -> Iterator[ReplayedOperator]:
        """Yield the operators that read or write something at sizes ``values``, in the order of their calls."""
        evaluate = Evaluator(values)
        alive_beside = self._find_alive()
        for place, (recorded, (layer, operator)) in enumerate(zip(self._operators, self._called, strict=True)):
            moved = (operator.reads + operator.writes).scale(recorded.factor)
            if evaluate(moved.to_bits(precision)) == 0:
                continue
            alive = Elements.total([recorded.held, *(buffer.elements for buffer in alive_beside[place])])
            yield ReplayedOperator(layer=layer, name=operator.name, bits=int(evaluate(alive.to_bits(precision))))


def prove_lifetimes(proved: ProvedModel, points: Iterable[Point], progress: Progress) -> Iterator[Verdict]:
    """Yield a verdict on each module that calls operators, in each run at each point, with casts and without.

    Parameters
    ----------
    points
        Of models with one expert, and one or two alike layers after each other: what a tape records of more stands
        for all.

    Raises
    ------
    CountError
        If a layer runs other operators than its module, or in another order.
    """
    for point in points:
        for dtype, precision in ((proved.dtype, PRECISION), (torch.float32, WIDE)):
            sizes = {**point.workload, **asdict(precision)}
            progress(f"lifetimes at {_describe(sizes)}")
            numbers = proved.at_first_step({**point.architecture, **sizes})
            prepared = point.prepare(dtype)
            layers, inputs = proved.model.build_layers(numbers), proved.model.list_inputs(numbers)
            for run, forward in prepared.forwards.items():
                start = perf_counter()
                watched = watch_storages(prepared.module, forward, cache=prepared.cache)
                tape, ids = FullTape(layers[run], casts=dtype == proved.dtype), Buffer(inputs[run])
                tape.reserve(ids)
                layers[run].replay(tape, ids)
                tape.keep(ids)
                stages = [proved.model.stage_of(run, seen.path) for seen in watched]
                repeated = [place for place, stage in enumerate(stages) if stage in proved.repeated_stages]
                replayed = _repeat_calls([*tape.list_all(numbers, precision)], repeated, point)
                pairs = _pair(replayed, watched, prepared.module)
                seconds = perf_counter() - start
                by_path = {seen.path: stage for seen, stage in zip(watched, stages, strict=True)}
                yield from _judge(pairs, by_path, point, precision, seconds)


_Pairs = Sequence[tuple[ReplayedOperator, WatchedOperator]]


def _repeat_calls(
    replayed: Sequence[ReplayedOperator], repeated: Sequence[int], point: Point
) -> Sequence[ReplayedOperator]:
    """Return the replay with the operators of each call of the repeated stages: it has those of one, as all do alike.

    Parameters
    ----------
    repeated
        The places of the operators of these stages among those that were seen to run.
    """
    if not repeated:
        return replayed
    first, length = repeated[point.first_operators], (len(repeated) - point.first_operators) // point.calls
    return [*replayed[:first], *[*replayed[first : first + length]] * point.calls, *replayed[first + length :]]


def _pair(replayed: Sequence[ReplayedOperator], watched: Sequence[WatchedOperator], model: nn.Module) -> _Pairs:
    """Return each operator of a replay with the one that was seen to run."""
    pairs = list(zip(replayed, watched, strict=False))
    wrong = [seen for derived, seen in pairs if not derived.is_seen_as(seen, model)]
    if wrong or len(replayed) != len(watched):
        place = wrong[0] if wrong else watched[len(pairs) - 1]
        raise CountError(
            "a layer runs other operators than its module", place=place.path or "the model",
            expected=[seen.name for seen in watched if seen.path == place.path],
            found=[derived.name for derived, seen in pairs if seen.path == place.path],
        )  # fmt: skip
    return pairs


def _judge(
    pairs: _Pairs,
    stages: Mapping[str, str],
    point: Point,
    precision: Precision,
    seconds: float,
) -> Iterator[Verdict]:
    """Yield a verdict on each module: at the first operator with a difference, or else with the most beside it."""
    sizes = {**point.workload, **asdict(precision)}
    by_path: dict[str, list[tuple[ReplayedOperator, int]]] = {}
    for derived, seen in pairs:
        by_path.setdefault(seen.path, []).append((derived, int(seen.alive.to_bits(precision))))
    for path, found in by_path.items():
        different = [(derived, bits) for derived, bits in found if derived.bits != bits]
        derived, bits = different[0] if different else max(found, key=lambda pair: pair[1])
        yield Verdict(
            implementation="reference",
            subject=path,
            layer=type(derived.layer).function_name(),
            stages=stages[path],
            metric=PEAK,
            kind="exact at n points",
            domain=_describe(sizes),
            dimensions=tuple(sizes),
            derived=sympy.Rational(derived.bits, 8),
            measured=sympy.Rational(bits, 8),
            difference=sympy.Rational(derived.bits - bits, 8),
            seconds=seconds,
            note=f"what is alive beside every operator of its own; {point.note}",
        )


def _describe(sizes: Mapping[str, int]) -> str:
    return "; ".join(f"{name} = {size}" for name, size in sizes.items())
