"""Totals by stage, module and class: what adds up, what stands once, and the decode loop in closed form."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmeter.analysis.bind import BoundCall, BoundModule
from modelmeter.analysis.totals import add_up, close_loop, sum_over_steps
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import CeilDiv, Differs, Exceeds, Size
from modelmeter.graph.module_node import ModuleNode
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.container import Sequential
from modelmeter.layers.linear import Linear
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import FLOWS, METRICS, MetricName
from modelmeter.model.loop import Loop
from modelmeter.model.stages import Stage
from modelmeter.models.deepseek_ocr.build import build_layers, symbolic_sizes
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.stages import stage_of
from modelmeter.support.errors import FormulaError

STATES = [metric for metric in METRICS if metric not in FLOWS]
RUNS = build_layers(symbolic_sizes())
LOOP = Loop(stage="decode", index=symbol("decode_step"), count=symbol("decode_steps"))
step, steps, prompt = symbol("decode_step"), symbol("decode_steps"), symbol("seq_len")


def values(cost: Cost, sizes: dict[str, int]) -> dict[MetricName, int | Fraction]:
    return {metric: evaluate(cost[metric], sizes) for metric in METRICS}


# --- the decode loop ---------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    batch_size=st.integers(1, 5),
    seq_len=st.integers(1, 97),
    count=st.integers(0, 23),
    bits=st.tuples(*[st.integers(1, 33)] * 3),
)
def test_the_closed_form_of_decode_equals_the_loop(
    other: CompiledModel, batch_size: int, seq_len: int, count: int, bits: tuple[int, int, int]
) -> None:
    """Each step is evaluated by itself, from the layers and not from the totals."""
    widths = dict(zip(("weight_bits", "activation_bits", "kv_bits"), bits, strict=True))
    sizes = {**other.defaults, **widths, "batch_size": batch_size, "seq_len": seq_len, "decode_steps": count}
    loop = [values(RUNS["decode"].cost, {**sizes, "decode_step": index}) for index in range(1, count + 1)]
    closed = values(other.totals.by_stage["decode"], sizes)
    for metric in FLOWS:
        assert closed[metric] == sum(each[metric] for each in loop)
    if loop:
        assert {metric: closed[metric] for metric in STATES} == {metric: loop[-1][metric] for metric in STATES}


def test_a_sum_over_steps_is_written_by_hand() -> None:
    # sum of a + b t over t = 1 ... T is a T + b T (T + 1) / 2.
    total = sum_over_steps(7 * prompt + 3 * prompt * step, LOOP)
    for count in (0, 1, 2, 11):
        assert evaluate(total, {"seq_len": 5, "decode_steps": count}) == sum(35 + 15 * t for t in range(1, count + 1))
    assert sum_over_steps(0, LOOP) == 0
    assert sum_over_steps(13, LOOP) == 13 * steps


@pytest.mark.parametrize("window", [3, 7, 40])
def test_a_sum_over_steps_from_a_step_on_is_the_sum_of_each(window: int) -> None:
    # From the step at which prompt + step exceeds the window on, what a window takes away, and 11 for a mask.
    beyond = Exceeds(prompt + step, window)
    flow = 5 * (prompt + step) - beyond * 5 * (prompt + step - window) + 11 * beyond * prompt
    total = sum_over_steps(flow, LOOP)
    for count in (0, 1, 2, 5, 6, 50):
        keys = [min(5 + t, window) for t in range(1, count + 1)]
        expected = sum(5 * each for each in keys) + 11 * 5 * sum(5 + t > window for t in range(1, count + 1))
        assert evaluate(total, {"seq_len": 5, "decode_steps": count}) == expected


@pytest.mark.parametrize(
    "flow",
    [
        step**2,
        step**2 * Exceeds(step, 3),
        Exceeds(2 * step, prompt),
        Exceeds(prompt, step),
        Exceeds(step, 3) * Exceeds(step, prompt),
        step * (step + prompt),
        prompt / step,
        2**step,
        CeilDiv(step, 2),
        step * Differs(step, 7),
        Differs(step + 1, prompt) + step,
    ],
    ids=str,
)
def test_a_step_that_is_not_linear_in_its_index_is_refused(flow: Size) -> None:
    with pytest.raises(FormulaError, match="decode: a step is not linear in its index"):
        sum_over_steps(flow, LOOP)


def test_without_steps_nothing_flows_and_no_activation_is_written_but_the_prompt_is_cached() -> None:
    flows = {"tensor_core_flops": step, "cuda_core_flops": 3, "io_bytes": step + 5}
    closed = close_loop(Cost(**flows, weight_bytes=7, activation_bytes=11, kv_cache_bytes=prompt + step), LOOP)
    sizes = {"seq_len": 13, "decode_steps": 0}
    assert list(values(closed, sizes).values()) == [0, 0, 0, 7, 0, 13]
    assert list(values(closed, {**sizes, "decode_steps": 2}).values()) == [3, 6, 13, 7, 11, 15]


# --- what adds up ------------------------------------------------------------------------------------------


def test_the_stages_add_up_to_their_runs(other: CompiledModel) -> None:
    """The layers add up their children by themselves; the totals, module by module."""
    sizes = {**other.defaults, "decode_steps": 1, "decode_step": 1}
    stages = {stage: values(cost, sizes) for stage, cost in other.totals.by_stage.items()}
    assert list(stages) == ["vision", "projector", "prefill", "decode"]
    assert stages["decode"] == values(RUNS["decode"].cost, sizes)
    prefill = values(RUNS["prefill"].cost, sizes)
    for metric in METRICS:
        assert sum(stages[stage][metric] for stage in ("vision", "projector", "prefill")) == prefill[metric]


def test_the_total_is_all_stages_chained(other: CompiledModel) -> None:
    sizes = {**other.defaults, "decode_steps": 7}
    stages = {stage: values(cost, sizes) for stage, cost in other.totals.by_stage.items()}
    total = values(other.totals.total, sizes)
    for metric in FLOWS:
        assert total[metric] == sum(stage[metric] for stage in stages.values())
    assert total["activation_bytes"] == max(stage["activation_bytes"] for stage in stages.values())
    assert total["kv_cache_bytes"] == stages["decode"]["kv_cache_bytes"] > stages["prefill"]["kv_cache_bytes"]
    # Decode uses the parameters of prefill: they stand once.
    held = sum(stages[stage]["weight_bytes"] for stage in ("vision", "projector", "prefill"))
    assert total["weight_bytes"] == held == 2 * other.graph.root.parameter_count


@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
def test_sam_holds_its_parameters_once_though_it_is_called_twice(other: CompiledModel, grid: tuple[int, int]) -> None:
    sizes = {**other.defaults, "num_width_tiles": grid[0], "num_height_tiles": grid[1]}
    sam = other.totals.by_module["model.sam_model"]["vision"]
    held = other.graph.node("model.sam_model").parameter_count
    assert evaluate(sam.weight_bytes, sizes) == 2 * held
    without_tiles = {**sizes, "num_width_tiles": 1, "num_height_tiles": 1}
    twice = evaluate(sam.io_bytes, sizes) > evaluate(sam.io_bytes, without_tiles)
    assert twice == (grid != (1, 1)), "but it reads them in each call"


def test_a_module_is_its_own_work_and_its_children(other: CompiledModel) -> None:
    """What the children leave over in a stage is what the module does itself in the calls of that stage."""
    sizes = {**other.defaults, "decode_steps": 1, "decode_step": 1}
    metrics: tuple[MetricName, ...] = ("tensor_core_flops", "cuda_core_flops")
    for bound in other.model.walk():
        own: Counter[tuple[str, MetricName]] = Counter()
        for call in bound.calls:
            for operator in call.layer.operators():
                for metric in metrics:
                    work = evaluate(call.times * getattr(operator, metric), sizes)
                    own[stage_of(call.run, bound.node.path), metric] += int(work)
        for stage, cost in other.totals.by_module[bound.node.path].items():
            below = [other.totals.by_module[child.node.path].get(stage, Cost()) for child in bound.children]
            for metric in metrics:
                rest = cost[metric] - sum(child[metric] for child in below)
                assert evaluate(rest, sizes) == own[stage, metric], (bound.node.path, stage, metric)


@pytest.mark.parametrize("name", ["DeepseekV2MLP", "Linear", "Block", "LayerNorm2d"])
def test_a_class_is_all_its_modules(other: CompiledModel, name: str) -> None:
    """None of these contains another of its class."""
    modules = [other.totals.by_module[node.path] for node in other.graph.nodes if node.class_name == name]
    assert len(modules) > 1
    for stage, cost in other.totals.by_class[name].items():
        sums = [values(stages[stage], other.defaults) for stages in modules if stage in stages]
        assert values(cost, other.defaults) == {metric: sum(each[metric] for each in sums) for metric in METRICS}


# --- a class inside itself ---------------------------------------------------------------------------------


def bind_by_hand(path: str, layer: BaseLayer, *children: BoundModule) -> BoundModule:
    """Return a bound module that is called once, with the children that are given."""
    name = layer.torch_class()
    node = ModuleNode(
        path=path, members=(path.rpartition(".")[2],), class_name=name, qualified_class_name=f"net.{name}",
        parameter_count=0, own_parameter_count=0, calls=(), repetition="none", repetition_count=1,
        is_torch_builtin=False,
    )  # fmt: skip
    return BoundModule(
        node=node, layer=layer, count=1, calls=(BoundCall(run="prefill", layer=layer),), children=children
    )


def test_a_module_inside_another_of_its_class_is_not_counted_twice() -> None:
    small, large = (Linear(leading_shape=(2,), in_features=size, out_features=3, bias=False) for size in (5, 7))
    inner = Sequential(layers=(small,))
    outer = Sequential(layers=(inner, large))
    model = bind_by_hand(
        "", outer,
        bind_by_hand("0", inner, bind_by_hand("0.0", small)),
        bind_by_hand("1", large),
    )  # fmt: skip
    totals = add_up(model, lambda run, path: run, stages=[Stage(name="prefill", words="", meaning="")])
    sizes = {"decode_steps": 1, "weight_bits": 8, "activation_bits": 8}
    # 2 rows: 2 * 2 * 3 * (5 + 7) FLOPs, and 3 * (5 + 7) parameters of a byte.
    for name in ("Linear", "Sequential"):
        cost = totals.by_class[name]["prefill"]
        assert evaluate(cost.tensor_core_flops, sizes) == 144
        assert evaluate(cost.weight_bytes, sizes) == 36
