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

from modelmeter.analysis.peak import PEAK
from modelmeter.core.cost import Elements, Operator, Precision
from modelmeter.core.evaluate import Evaluator
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import build_layers, list_inputs, stage_of
from modelmeter.models.deepseek_ocr.trace_reference import DTYPE, TraceWorkload, make_cache, prepare_runs
from modelmeter.support.errors import CountError
from modelmeter.verify.live_storages import WatchedOperator, watch_storages
from modelmeter.verify.proof import Progress, Verdict
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


def prove_lifetimes(
    architecture: DeepSeekOCRArchitecture, workloads: Iterable[TraceWorkload], progress: Progress
) -> Iterator[Verdict]:
    """Yield a verdict on each module that calls operators, in each run at each workload, with casts and without.

    Parameters
    ----------
    architecture
        With one expert, and one or two alike layers after each other: what a tape records of more stands for all.

    Raises
    ------
    CountError
        If a layer runs other operators than its module, or in another order.
    """
    for workload in workloads:
        for dtype, precision in ((DTYPE, PRECISION), (torch.float32, WIDE)):
            sizes = {**asdict(workload), **asdict(precision)}
            domain = "; ".join(f"{name} = {size}" for name, size in sizes.items())
            progress(f"lifetimes at {domain}")
            numbers = {**architecture.dimension_values(), **sizes, "decode_steps": 1, "decode_step": 1}
            cache = make_cache(architecture, workload, dtype)
            model, runs = prepare_runs(architecture, workload, cache, dtype=dtype)
            layers, inputs = build_layers(numbers), list_inputs(numbers)
            for run, forward in runs.items():
                start = perf_counter()
                watched = watch_storages(model, forward, cache=cache.tensors)
                tape, ids = FullTape(layers[run], casts=dtype == DTYPE), Buffer(inputs[run])
                tape.reserve(ids)
                layers[run].replay(tape, ids)
                tape.keep(ids)
                calls = workload.images_per_prompt * workload.batch_size // workload.vision_batch_size
                replayed = _repeat_towers([*tape.list_all(numbers, precision)], watched, run, calls)
                pairs = _pair(replayed, watched, model)
                seconds = perf_counter() - start
                yield from _judge(pairs, run, precision, domain, tuple(sizes), seconds)


_Pairs = Sequence[tuple[ReplayedOperator, WatchedOperator]]


def _repeat_towers(
    replayed: Sequence[ReplayedOperator], watched: Sequence[WatchedOperator], run: str, calls: int
) -> Sequence[ReplayedOperator]:
    """Return the replay with the operators of each call of the towers: it has those of one, since all do alike.

    What is run once, before the first call, is the sum that tells whether the first page is blank.
    """
    towers = [place for place, seen in enumerate(watched) if stage_of(run, seen.path) in ("vision", "projector")]
    if not towers:
        return replayed
    first, length = towers[1], (len(towers) - 1) // calls
    return [*replayed[:first], *[*replayed[first : first + length]] * calls, *replayed[first + length :]]


def _pair(replayed: Sequence[ReplayedOperator], watched: Sequence[WatchedOperator], model: nn.Module) -> _Pairs:
    """Return each operator of a replay with the one that was seen to run."""
    pairs = list(zip(replayed, watched, strict=False))
    wrong = [seen for ours, seen in pairs if not ours.is_seen_as(seen, model)]
    if wrong or len(replayed) != len(watched):
        place = wrong[0] if wrong else watched[len(pairs) - 1]
        raise CountError(
            "a layer runs other operators than its module", place=place.path or "the model",
            expected=[seen.name for seen in watched if seen.path == place.path],
            found=[ours.name for ours, seen in pairs if seen.path == place.path],
        )  # fmt: skip
    return pairs


def _judge(
    pairs: _Pairs, run: str, precision: Precision, domain: str, dimensions: tuple[str, ...], seconds: float
) -> Iterator[Verdict]:
    """Yield a verdict on each module: at the first operator with a difference, or else with the most beside it."""
    by_path: dict[str, list[tuple[ReplayedOperator, int]]] = {}
    for ours, seen in pairs:
        by_path.setdefault(seen.path, []).append((ours, int(seen.alive.to_bits(precision))))
    for path, found in by_path.items():
        different = [(ours, bits) for ours, bits in found if ours.bits != bits]
        ours, bits = different[0] if different else max(found, key=lambda pair: pair[1])
        yield Verdict(
            implementation="reference",
            subject=path,
            layer=type(ours.layer).function_name(),
            stages=stage_of(run, path),
            metric=PEAK,
            kind="exact at n points",
            domain=domain,
            dimensions=dimensions,
            ours=sympy.Rational(ours.bits, 8),
            theirs=sympy.Rational(bits, 8),
            difference=sympy.Rational(ours.bits - bits, 8),
            seconds=seconds,
            note="what is alive beside every operator of its own; one expert",
        )
