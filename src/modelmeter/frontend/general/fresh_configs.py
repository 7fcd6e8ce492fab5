"""Checks formulas in sizes of the config against whole models of further configs, without a symbol anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

from attrs import asdict
from torch import nn

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.frontend.counts import BITS
from modelmeter.frontend.general.config_sizes import DENSE_LAYERS, DEPTHS, HEADS, KEY_HEADS, LAYERS
from modelmeter.frontend.general.small_configs import Family, with_cached
from modelmeter.frontend.recording import record_forward
from modelmeter.frontend.records import TracedModel, describe_sizes
from modelmeter.frontend.refusals import name_line
from modelmeter.frontend.text_stages import learn_stages, list_stages
from modelmeter.frontend.tracing import read_recording
from modelmeter.metrics.cost import Cost, Precision, Work
from modelmeter.metrics.metric import METRICS
from modelmeter.support.errors import CountError, ModelMeterError
from modelmeter.verify.matrix_products import count_matrix_products

FRESH: Final = 4
"""At how many configs drawn by chance whole models are counted."""

Begin = Callable[[str], None]


def check_family(
    family: Family, traced: TracedModel, compiled: CompiledModel, begin: Begin
) -> tuple[int, dict[str, int]]:
    """Count whole models of further configs, and return how many, and the least sizes where those are not 1.

    Every metric has to be equal, and the FLOPs of FlopCounterMode. Sizes of 1 are tried each by itself: code may have
    a view there where it copies elsewhere, and then the size is at least 2.

    Raises
    ------
    CountError
        If a metric differs at a config drawn by chance; the message names the config and the metric.
    """
    chance = random.Random(f"fresh {traced.title}")
    for number in range(FRESH):
        begin(f"count another config, {number + 1} of {FRESH}")
        sizes = _draw(family, compiled, chance)
        if number == FRESH - 1 and KEY_HEADS in sizes:
            sizes[KEY_HEADS] = sizes[HEADS]
        _check_config(family, traced, compiled, sizes, _draw_workload(traced, chance, number))
    begin("try sizes of 1")
    least: dict[str, int] = {}
    sizes = _draw(family, compiled, chance)
    for name in family.varying:
        one = {**sizes, name: 1}
        if name not in compiled.architecture.dimension_values() or not family.is_allowed(one):
            continue
        try:
            _check_config(family, traced, compiled, one, _draw_workload(traced, chance, FRESH))
        except ModelMeterError:
            least[name] = 2
    return FRESH, least


def _draw(family: Family, compiled: CompiledModel, chance: random.Random) -> dict[str, int]:
    """Return sizes by chance, with depths that differ from those that were interpolated at.

    Where no formula has the number of layers, as where kinds of them take turns, it is that of the model.
    """
    sizes = family.draw(chance)
    if LAYERS in family.sizes and LAYERS not in compiled.architecture.dimension_values():
        return {**sizes, **{name: family.sizes[name] for name in DEPTHS if name in family.sizes}}
    depths = family.choose_depths()
    if LAYERS in family.sizes:
        depths[LAYERS] += chance.randint(1, 2)
        if DENSE_LAYERS in depths:
            depths[DENSE_LAYERS] = chance.randint(0, depths[LAYERS])
    return {**sizes, **depths}


def _draw_workload(traced: TracedModel, chance: random.Random, number: int) -> dict[str, int]:
    """Return a step or a prompt: first of a single sequence, every other one beyond all windows of attention."""
    if traced.windows.behind_prompt is not None:
        raise CountError("configs of other sizes are not compared where a window is behind the prompt")
    beyond = max(traced.windows.sizes, default=0) if number % 2 else 0
    return {
        "batch_size": chance.randint(2, 7) if number else 1, "seq_len": beyond + chance.randint(3, 31),
        "decode_step": 1, "decode_steps": 1, "max_new_tokens": 2,
    }  # fmt: skip


def _check_config(
    family: Family, traced: TracedModel, compiled: CompiledModel, sizes: Mapping[str, int], workload: Mapping[str, int]
) -> None:
    model = family.build(sizes, {})
    known = compiled.architecture.dimension_values()
    numbers = {**known, **{name: size for name, size in sizes.items() if name in known}, **workload, **asdict(BITS)}
    with name_line(f"a config of other sizes, {describe_sizes(sizes)},"):
        for stage in traced.runs:
            counted, products = _count(model, stage, workload)
            costs = compiled.totals.by_stage[stage]
            for metric in METRICS:
                # Stages share parameters: those of a request are those of the model.
                formula = compiled.totals.total.weight_bytes if metric == "weight_bytes" else costs[metric]
                _expect(stage, metric, formula, numbers, counted[metric])
            _expect(stage, "FLOPs of FlopCounterMode", costs.tensor_core_flops, numbers, products)


def _count(model: nn.Module, stage: str, workload: Mapping[str, int]) -> tuple[Cost, int | None]:
    """Return what a stage of a model costs, and its matrix products by another counter if that sees all of them."""
    stages = list_stages(learn_stages(model, is_checked=False)[0])

    forward = stages[stage].prepare(model, with_cached(workload))
    recording = record_forward(model, forward.run, cache=forward.cache)
    counted = read_recording(recording, {})
    cost = Cost.of(
        work=Work.of(each.operator for each in counted.operators),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        kv_elements=sum(counted.kv_elements.values()),
        precision=Precision(**asdict(BITS)),
    )
    if recording.insertions:
        return cost, None
    again = stages[stage].prepare(model, with_cached(workload))
    return cost, count_matrix_products(model, again.run).by_path[""]


def _expect(stage: str, metric: str, formula: Size, numbers: Mapping[str, int], measured: Size | None) -> None:
    if measured is None:
        return
    derived = evaluate(formula, numbers)
    if derived != measured:
        raise CountError(
            f"{metric} of the general formula is not what another config was counted at", place=stage,
            expected=f"{measured} at {describe_sizes(numbers)}", found=derived,
        )  # fmt: skip
