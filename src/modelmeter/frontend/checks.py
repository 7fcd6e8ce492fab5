"""What of a traced model is counted without symbols: models of few layers at most points, and the whole one at one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby

import torch
from attrs import evolve, frozen
from torch import nn

from modelmeter.compiled_model import CompiledModel
from modelmeter.frontend.assemble import Begin
from modelmeter.frontend.chunks import guess_chunks
from modelmeter.frontend.configs.quiet import quiet
from modelmeter.frontend.counts import Counted, count_stage, put_in_widths
from modelmeter.frontend.definition import DECODE, PREFILL, VISION
from modelmeter.frontend.evidence import Checked, check_stage, describe_checks, list_paths
from modelmeter.frontend.modules import count_layers
from modelmeter.frontend.points import choose_points
from modelmeter.frontend.prepared import PreparedModel
from modelmeter.frontend.records import TracedModel, describe_sizes
from modelmeter.frontend.shallow import build_shallow
from modelmeter.frontend.text_stages import follow_stages, learn_stages
from modelmeter.frontend.vision import run_vision
from modelmeter.support.beside import run_beside
from modelmeter.verify.symbolic_trace import Forward

Points = list[dict[str, int]]

_PATIENCE = 19
"""How much a process that counts gives way to those that trace."""


@frozen(kw_only=True)
class Checks:
    """What a model is counted at, which needs no formulas: it may begin before the model is traced.

    Its points are those of the traces as long as these find no border that the config does not name.

    Parameters
    ----------
    prepared
        The model.
    name
        What the points are drawn by.
    number
        At how many points it is counted, if there is no border.
    expected
        These points.
    stages
        Those that it should have.
    counts
        Return what was counted of these stages at the expected points.
    """

    prepared: PreparedModel
    name: str
    number: int
    expected: Points
    stages: tuple[str, ...]
    counts: tuple[Callable[[], list[Counted]], ...]

    def choose_points(self, traced: TracedModel) -> Points:
        """Return the points for a model that was traced."""
        return _choose_points(self.prepared, self.name, self.number, traced)

    def describe(self, traced: TracedModel) -> str:
        """Return what is checked, as sentences with code in double backquotes."""
        modules = sum(len(paths) for _, paths in list_paths(traced.graph))
        return describe_checks(self.choose_points(traced), count_layers(self.prepared.whole.config), modules)

    def run(self, traced: TracedModel, compiled: CompiledModel, begin: Begin) -> tuple[Checked, ...]:
        """Compare the formulas with what was counted, or count it now if that is something else.

        Raises
        ------
        CountError
            If nothing accounts for an operator, or a count differs from the formulas.
        """
        points, stages = self.choose_points(traced), tuple(traced.runs)
        counts: Sequence[Callable[[], list[Counted]]] = self.counts
        if points != self.expected or stages != self.stages:
            counts = _list_counts(self.prepared, points, stages, begin)
        if counts:
            begin("compare the formulas with what is counted")
        return tuple(checked for count in counts for checked in _compare(traced, compiled, count()))


@contextmanager
def prepare_checks(
    prepared: PreparedModel, name: str, number: int, begin: Begin, *, parallel: bool
) -> Iterator[Checks]:
    """Choose points, and count at them in other processes where ``parallel``, or else when it is asked for."""
    expected = _choose_points(prepared, name, number)
    stages = (*((VISION,) if prepared.tower is not None else ()), PREFILL, DECODE)
    # A terminal shows the steps of this process alone.
    counts = _list_counts(prepared, expected, stages, (lambda step: None) if parallel else begin)
    with ExitStack() as stack:
        yield Checks(
            prepared=prepared, name=name, number=number, expected=expected, stages=stages,
            counts=tuple(
                stack.enter_context(run_beside(count, parallel=parallel, patience=_PATIENCE)) for count in counts
            ),
        )  # fmt: skip


def _list_counts(
    prepared: PreparedModel, points: Points, stages: Sequence[str], begin: Begin
) -> list[Callable[[], list[Counted]]]:
    """Return what counts models of few layers at all points, the last in float32, and what counts all layers there."""

    def count_few() -> list[Counted]:
        with quiet():
            few = build_shallow(prepared.depth)
            return [each for sizes in points[:-1] for each in _count(prepared, few, sizes, stages, begin)]

    def count_float32() -> list[Counted]:
        with quiet():
            few = build_shallow(prepared.depth, torch.float32)
            learn_stages(few)  # loops over experts; those of the other type were counted before it was traced
            return _count(prepared, few, points[-1], stages, begin)

    def count_whole() -> list[Counted]:
        with quiet():
            return _count(prepared, prepared.whole, points[-1], stages, begin)

    if not points:
        return []
    return [*([count_few] if len(points) > 1 else []), count_float32, count_whole]


def _choose_points(prepared: PreparedModel, name: str, number: int, traced: TracedModel | None = None) -> Points:
    if not number:
        return []
    return choose_points(
        name, number, images=() if prepared.tower is None else prepared.tower.sizes,
        windows=evolve(prepared.windows, chunks=guess_chunks(prepared.config)) if traced is None else traced.windows,
        longest=None if traced is None else traced.longest_context, shortest=prepared.shortest,
    )  # fmt: skip


def _count(
    prepared: PreparedModel, model: nn.Module, sizes: Mapping[str, int], stages: Sequence[str], begin: Begin
) -> list[Counted]:
    """Count stages at a point, in their order: a decode begins with what a prefill kept."""
    tower, prepare = prepared.tower, follow_stages(model)

    def make(module: nn.Module, stage: str, sizes: Mapping[str, int]) -> Forward:
        if tower is not None and stage == VISION:
            return Forward(model=module, run=run_vision(module, tower, tower.add_up(sizes)))
        return prepare(stage, {**sizes, "cached": sizes["seq_len"] + sizes["decode_steps"] - 1})

    counted = []
    for stage in stages:
        begin(f"count {stage} at {describe_sizes(sizes)}")
        counted.append(count_stage(stage, model, make, sizes, is_whole=model is prepared.whole))
    return counted


def _compare(traced: TracedModel, compiled: CompiledModel, counted: Sequence[Counted]) -> list[Checked]:
    peaks, checked = compiled.peaks, []
    for (_, dtype), group in groupby(counted, key=lambda each: (each.sizes, each.dtype)):
        found = list(group)
        numbers = put_in_widths(found[0].sizes, dtype)
        layers_of = compiled.definition.build_layers(numbers)
        checked += [
            check_stage(
                each, traced.graph, layers_of[each.stage], peaks[each.stage], numbers,
                traced=None if each.is_whole else traced.traced_paths,
            )
            for each in found
        ]  # fmt: skip
    return checked
