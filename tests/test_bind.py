"""Binding a module graph to layers: every module gets its formulas, and whatever does not fit is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from bound_net import (
    LAYERS,
    NET,
    PROMPT,
    SIZES,
    STEP,
    Block,
    Module,
    batch,
    bind_net,
    make_block,
    to_graph,
    tokens,
    width,
)
from modelmeter.analysis.bind import bind
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size, divide
from modelmeter.graph.module_graph import Shape
from modelmeter.layers.activation import SiLU
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import Child, Routing, repeat
from modelmeter.layers.container import ModuleList, Sequential
from modelmeter.layers.linear import Linear
from modelmeter.support.errors import BindError, FormulaError

# --- what fits ---------------------------------------------------------------------------------------------


def test_every_module_gets_the_layer_of_its_name_and_class() -> None:
    bound = {module.node.path: module for module in bind_net(NET).walk()}
    assert list(bound) == [node.path for node in NET.nodes()]
    assert {path: (type(module.layer).__name__, module.count) for path, module in bound.items()} == {
        "": ("Net", 1),
        "embed": ("Embedding", 1),
        "blocks": ("ModuleList", 1),
        "blocks.0,2-3": ("Block", 3),
        "blocks.0,2-3.inner": ("Linear", 3),
        "blocks.1,4": ("Block", 2),
        "blocks.1,4.inner": ("Linear", 2),
        "tower": ("Linear", 1),
        "spare": ("Linear", 1),
    }
    assert bound["blocks.1,4.inner"].layer.bias


def test_calls_are_those_of_every_run_with_repetition_and_times() -> None:
    bound = {module.node.path: module for module in bind_net(NET).walk()}

    def calls(path: str) -> list[tuple[str, Size, Size]]:
        return [(call.run, call.times, call.member_times) for call in bound[path].calls]

    assert calls("blocks.0,2-3.inner") == [("prefill", 3, 1), ("decode", 3, 1)]
    assert calls("tower") == [("prefill", 1, 1), ("prefill", 2, 2)]
    assert calls("spare") == [("prefill", 0, 0)]
    # 2 pages: 6 rows once, and 2 rows twice; 13 x 5 products of 2 FLOPs each. The weights are read in each call.
    works = [call.own_work() for call in bound["tower"].calls]
    assert sum(evaluate(work.tensor_core_flops, SIZES) for work in works) == 2 * 13 * 5 * (6 + 2 * 2)
    assert sum(evaluate(work.reads.weight, SIZES) for work in works) == 3 * 70


def test_the_published_model_is_bound_from_end_to_end(published: CompiledModel) -> None:
    bound = list(published.model.walk())
    assert [module.node.path for module in bound] == [node.path for node in published.graph.nodes]
    sizes = {**published.graph.architecture, **published.graph.workload, "decode_step": 1}
    # The checkpoint's parameters, from the parts that the modules hold themselves.
    assert sum(evaluate(module.count * module.layer.own_parameters, sizes) for module in bound) == 3_336_106_240
    for module in bound:
        if not isinstance(module.layer, ModuleList):
            times = sum(evaluate(call.times, sizes) for call in module.calls)
            assert times == len(module.node.calls) * evaluate(module.count, sizes), module.node.path
    experts = next(module for module in bound if module.node.path == "model.layers.1-11.mlp.experts.0-63")
    assert evaluate(experts.count, sizes) == 11 * 64
    # Of 64 routed siblings the reads are counted once for all of them, in each of 11 layers.
    assert [evaluate(call.weight_times, sizes) for call in experts.calls] == [11, 11]


# --- what does not fit -------------------------------------------------------------------------------------


def remove(module: Module) -> None:
    return None


def rename_class(module: Module) -> Module:
    return evolve(module, class_name="Impostor")


def add(*extra: Module) -> Callable[[Module], Module]:
    return lambda module: evolve(module, children=[*module.children, *extra])


def hold(difference: int) -> Callable[[Module], Module]:
    return lambda module: evolve(module, own=module.own + difference)


def call(*calls: tuple[str, Shape]) -> Callable[[Module], Module]:
    return lambda module: evolve(module, calls=calls)


def set_members(*members: str) -> Callable[[Module], Module]:
    return lambda module: evolve(module, members=members)


DAMAGE = {
    "an extra module": ("", add(Module(("extra",), "SiLU")), r"^extra: no layer models this module; .*extra .SiLU"),
    "an extra module deep inside": (
        "blocks/1,4", add(Module(("extra",), "SiLU")), r"^blocks\.1,4\.extra: no layer models this module",
    ),
    "a renamed module": ("embed", set_members("embedding"), "^embedding: no layer models this module"),
    "siblings where one module is expected": ("embed", set_members("0", "1"), "^0-1: no layer models this module"),
    "a missing module": ("tower", remove, r"^Net: the layer has a child .* module lacks; expected tower .Linear"),
    "a missing module that is never called": ("spare", remove, "^Net: the layer has a child .* lacks; expected spare"),
    "missing siblings": ("blocks/1,4", remove, r"^blocks: the layer has a child .* lacks; expected 1 .Block"),
    "another class": ("embed", rename_class, "^embed: the class .*; expected Impostor; found Embedding"),
    "another class of siblings": (
        "blocks/1,4", rename_class, r"^blocks\.1,4: not exactly one group .*; found 2 x Impostor of 30 parameters",
    ),
    "another class of the root": ("", rename_class, "^Impostor: the class of .*; expected Impostor; found Net"),
    "one parameter more": ("embed", hold(1), "^embed: the own parameters .* expected 56; found 55"),
    "one parameter less of what is never called": ("spare", hold(-1), "^spare: the own parameters"),
    "one parameter less in a sibling": (
        "blocks/1,4/inner", hold(-1), r"^blocks\.1,4: not exactly one group .* found 2 x Block of 29 parameters",
    ),
    "a parameter of the root": ("", hold(1), "^Net: the own parameters .* expected 4; found 3"),
    "another sibling": ("blocks/1,4", set_members("1", "4", "5"), r"^blocks\.1,4-5: not exactly one group"),
    "siblings that fit no group": ("blocks", add(make_block("5", own=0)), r"^blocks\.5: not exactly one group"),
    "another output shape": ("embed", call(PROMPT, ("decode", (2, 1, 6))), r"^embed: the calls .*\(2, 1, 6\)"),
    "an output with another number of dimensions": ("", call(PROMPT, ("decode", (2, 5))), r"^Net: the calls .run, out"),
    "a call less": ("tower", call(("prefill", (6, 5)), ("prefill", (2, 5))), "^tower: the calls"),
    "a call more": ("embed", call(PROMPT, STEP, STEP), "^embed: the calls"),
    "the right calls in the wrong run": ("embed", call(PROMPT, PROMPT), "^embed: the calls"),
    "a call of what is never called": ("spare", call(("prefill", (34, 5))), "^spare: the calls"),
    "a call of a list": ("blocks", call(PROMPT), "^blocks: the calls of a list"),
    "a call of what the layers of the run leave out": (
        "tower", call(("prefill", (6, 5)), ("decode", (2, 5))), "^tower: the layers of a run lack a module .*'decode'",
    ),
    "an unknown run": ("embed", call(PROMPT, ("training", (2, 1, 5))), "a run of the graph has no layers; .*training"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_whatever_does_not_fit_is_an_error_that_names_it(
    path: str, damage: Callable[[Module], Module | None], message: str
) -> None:
    net = NET.change(path, damage)
    with pytest.raises(BindError, match=message):
        bind_net(net)


def test_parameters_that_two_modules_share_are_named_where_they_are_counted_once() -> None:
    """Each child has what its layer says; only together they have fewer, which no layer here models."""
    graph = to_graph(NET)
    root = evolve(graph.root, parameter_count=graph.root.parameter_count - 70)
    with pytest.raises(BindError, match=r"^Net: the parameters .* expected 263; found 333"):
        bind(evolve(graph, nodes=(root, *graph.nodes[1:])), LAYERS, SIZES)


def make_layers(bias: bool, count: Size) -> dict[str, BaseLayer]:
    """Return the layers of both runs with two blocks with a bias, and a group of ``count`` others."""

    def make_groups(positions: Size) -> tuple[Child, ...]:
        rows = (batch, positions)
        return (repeat(Block(rows=rows, bias=True), 2), repeat(Block(rows=rows, bias=bias), count))

    return {run: evolve(layer, groups=make_groups(layer.positions)) for run, layer in LAYERS.items()}


def test_two_groups_that_fit_the_same_siblings_are_an_error() -> None:
    """They could differ below; which is which would be a guess."""
    blocks = [make_block("0", "1", own=30), make_block("2", "3", own=30)]
    net = NET.change("blocks", lambda module: evolve(module, children=blocks))
    with pytest.raises(BindError, match=r"^blocks\.0-1: not exactly one group of layers fits these siblings"):
        bind_net(net, make_layers(bias=True, count=2))


def test_a_group_of_no_siblings_needs_no_modules() -> None:
    """As the dense layers of a model that has none."""
    net = NET.change("blocks/0,2-3", remove)
    bound = {module.node.path: module for module in bind_net(net, make_layers(bias=False, count=width - 5)).walk()}
    assert [path for path in bound if path.startswith("blocks.")] == ["blocks.1,4", "blocks.1,4.inner"]


def test_alike_neighbours_of_a_sequence_are_not_taken_for_the_first_of_them() -> None:
    """A trace makes one node of them, and a ``Sequential`` has a child for each."""
    inner = Linear(leading_shape=(batch, tokens), in_features=width, out_features=width)
    graph = to_graph(Module(("",), "Sequential", (PROMPT,), children=[Module(("0", "1"), "Linear", (PROMPT,), 30)]))
    with pytest.raises(BindError, match=r"^0-1: no layer models this module; .*found 0/1"):
        bind(graph, {"prefill": Sequential(layers=(inner, inner))}, SIZES)


# --- layers of a later run that contradict the first -------------------------------------------------------


def test_a_later_run_cannot_have_a_child_that_the_first_lacks() -> None:
    layers = {"prefill": LAYERS["decode"], "decode": LAYERS["prefill"]}
    with pytest.raises(BindError, match=r"^Net: the layers of a run have a child .*found spare, tower in run 'decode'"):
        bind_net(NET, layers)


def test_a_later_run_cannot_have_another_class() -> None:
    layers = {**LAYERS, "decode": SiLU(shape=(batch, 1, width))}
    with pytest.raises(BindError, match=r"^Net: the class of layer and module differ; expected Net; found SiLU"):
        bind_net(NET, layers)


def test_a_later_run_cannot_have_another_number_of_siblings() -> None:
    layers = {**LAYERS, "decode": make_layers(bias=False, count=4)["decode"]}
    net = NET.change("blocks", lambda blocks: evolve(blocks, children=blocks.children[:1]))
    with pytest.raises(BindError, match=r"^blocks\.0,2-3: the siblings .* differ; expected 3; found 2"):
        bind_net(net, layers)


# --- sizes -------------------------------------------------------------------------------------------------


def test_sizes_that_are_not_whole_at_the_traced_workload_are_an_error() -> None:
    """As the mean share of experts is where the tokens cannot be split evenly."""
    layer = SiLU(shape=(divide(tokens, 2), width))
    graph = to_graph(Module(("",), "SiLU", (("prefill", (3, 5)),)))
    with pytest.raises(BindError, match=r"^SiLU: a size is not whole .*found 7/2; trace a workload"):
        bind(graph, {"prefill": layer}, SIZES)


def test_a_size_without_a_value_is_an_error() -> None:
    with pytest.raises(FormulaError, match="hidden_size: a symbol of the formula has no value"):
        bind(to_graph(NET), LAYERS, {"batch_size": 2, "seq_len": 7})


def test_routing_reaches_the_calls_below_the_routed_siblings() -> None:
    """Their weight reads are counted for all siblings at once, everything else for each of them."""
    routing = Routing(n_routed_experts=3, num_experts_per_tok=1, num_tokens=2)
    expert = Block(rows=(1,), bias=False)
    experts = ModuleList(groups=(Child(calls=((expert, 1),), repetition="parfor", count=3, routing=routing),))
    calls = (("prefill", (1, 5)),)
    graph = to_graph(
        Module(
            ("",), "ModuleList",
            children=[Module(("0", "1", "2"), "Block", calls, children=[Module(("inner",), "Linear", calls, 25)])],
        )
    )  # fmt: skip
    *_, inner = bind(graph, {"prefill": experts}, SIZES).walk()
    (one,) = inner.calls
    assert (one.times, one.weight_times, one.routing) == (3, 1, routing)
    work = one.own_work()
    assert evaluate(work.tensor_core_flops, SIZES) == 3 * 2 * 25
    assert evaluate(work.reads.activation, SIZES) == 3 * 5
    # Two tokens choose one of 3 experts each: 3 (1 - (2/3)^2) = 5/3 of them; times 25 weights 41.7, rounded.
    assert evaluate(work.reads.weight, SIZES) == 42
