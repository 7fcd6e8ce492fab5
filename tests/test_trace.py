"""Tracing small nets, each of which hides one hazard; what must come out is counted by hand."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from modelmeter.graph import trace
from modelmeter.graph.module_graph import ModuleCall
from modelmeter.support.errors import TraceError, WorkloadError
from traced_nets import Net, empty, linear, paths, repetitions, run_in_turn, shapes, trace_one


def test_a_module_used_twice_has_two_calls_and_one_set_of_parameters() -> None:
    net = Net(lambda net, x: net.again(net.again(net.first(x))), first=linear(3, 5), again=linear(5, 5))
    graph = trace_one(net, empty(7, 3))
    assert shapes(graph, "again") == [(((7, 5),), (7, 5))] * 2
    assert shapes(graph, "first") == [(((7, 3),), (7, 5))]
    assert graph.node("again").parameter_count == 5 * 5 + 5
    assert graph.root.parameter_count == (3 * 5 + 5) + (5 * 5 + 5)
    assert graph.root.own_parameter_count == 0


def test_every_node_says_what_it_is() -> None:
    graph = trace_one(Net(lambda net, x: net.layer(x), layer=linear(3, 5)), empty(7, 3))
    net, layer = graph.nodes
    assert (net.class_name, net.is_torch_builtin) == ("Net", False)
    assert net.qualified_class_name == "traced_nets.Net"
    assert (layer.class_name, layer.is_torch_builtin) == ("Linear", True)
    assert layer.qualified_class_name == "torch.nn.modules.linear.Linear"
    assert layer.calls == (ModuleCall(run="run", input_shapes=((7, 3),), output_shape=(7, 5)),)
    assert layer.own_parameter_count == layer.parameter_count == 3 * 5 + 5


def test_a_module_with_two_names_is_one_node_under_the_first() -> None:
    shared = Net(lambda net, x: net.inner(x), inner=linear(3, 3))
    graph = trace_one(Net(lambda net, x: net.second(net.first(x)), first=shared, second=shared), empty(5, 3))
    assert paths(graph) == ["", "first", "first.inner"]
    assert shapes(graph, "first.inner") == [(((5, 3),), (5, 3))] * 2
    assert graph.root.parameter_count == 3 * 3 + 3


def test_one_module_in_all_places_of_a_list_is_one_module() -> None:
    same = linear(3, 3)
    graph = trace_one(nn.Sequential(same, same, same), empty(5, 3))
    assert paths(graph) == ["", "0"]
    assert repetitions(graph) == {}
    assert len(graph.node("0").calls) == 3
    assert graph.root.parameter_count == 3 * 3 + 3


def test_a_parameter_of_two_modules_counts_once() -> None:
    net = Net(
        lambda net, x: net.head(net.embedding(x)),
        embedding=nn.Embedding(7, 5, device="meta"),
        head=nn.Linear(5, 7, bias=False, device="meta"),
    )
    net.head.weight = net.embedding.weight
    graph = trace_one(net, torch.empty((3,), dtype=torch.int64, device="meta"))
    assert graph.root.parameter_count == 7 * 5
    assert [graph.node(path).own_parameter_count for path in ("embedding", "head")] == [7 * 5, 7 * 5]


def test_siblings_that_share_a_parameter_do_not_collapse() -> None:
    """As one node with a count they would stand for three weights."""
    layers = [linear(3, 3) for _ in range(3)]
    for layer in layers:
        layer.weight = layers[0].weight
    graph = trace_one(nn.Sequential(*layers), empty(5, 3))
    assert paths(graph) == ["", "0", "1", "2"]
    assert graph.root.parameter_count == 3 * 3 + 3 * 3


def test_a_module_that_is_never_called_is_there_with_its_parameters() -> None:
    net = Net(lambda net, x: net.used(x), unused=nn.Conv2d(3, 5, 7, bias=False, device="meta"), used=linear(3, 5))
    graph = trace_one(net, empty(11, 3))
    assert paths(graph) == ["", "unused", "used"]
    assert graph.node("unused").calls == ()
    assert graph.node("unused").class_name == "Conv2d"
    assert graph.node("unused").parameter_count == 3 * 5 * 7 * 7
    assert graph.root.parameter_count == 3 * 5 * 7 * 7 + 3 * 5 + 5
    assert graph.call_order == ("", "used")


def test_an_expert_that_is_not_called_stands_apart_from_those_that_are() -> None:
    experts = nn.ModuleList(linear(3, 3) for _ in range(5))
    net = Net(lambda net, x: torch.cat([net.experts[index](x) for index in (0, 1, 3)]), experts=experts)
    graph = trace_one(net, empty(7, 3))
    assert repetitions(graph) == {"experts.0-1,3": ("parfor", 3)}
    assert paths(graph) == ["", "experts", "experts.0-1,3", "experts.2", "experts.4"]


def test_containers_that_are_not_called_hold_their_children() -> None:
    """A list has no forward; the holder has one that nobody calls."""
    net = Net(
        lambda net, x: net.holder.inner(net.layers[0](x)),
        layers=nn.ModuleList([linear(3, 5)]),
        holder=Net(lambda net, x: None, inner=linear(5, 7)),
    )
    graph = trace_one(net, empty(11, 3))
    assert paths(graph) == ["", "layers", "layers.0", "holder", "holder.inner"]
    assert [graph.node(path).calls for path in ("layers", "holder")] == [(), ()]
    assert graph.node("holder").parameter_count == 5 * 7 + 7
    assert shapes(graph, "holder.inner") == [(((11, 5),), (11, 7))]
    assert graph.call_order == ("", "layers.0", "holder.inner")


def make_expert() -> nn.Module:
    """Return an expert that reads its tokens through views."""
    return Net(lambda net, x: net.down(net.up(x.view(-1, 3).t().t())), up=linear(3, 5), down=linear(5, 3))


def run_experts(net: Any, x: Tensor) -> Tensor:
    parts = x.split(7)
    outputs = [expert(part) for expert, part in zip(net.experts, parts, strict=True)]
    return torch.cat(outputs)


def test_nested_repetition() -> None:
    """5 layers in turn, each with 7 experts side by side; the layers are joined by a residual."""

    def run_layers(net: Any, x: Tensor) -> Tensor:
        for layer in net.layers:
            x = x + layer(x)
        return x

    layers = nn.ModuleList(
        Net(run_experts, experts=nn.ModuleList(make_expert() for _ in range(7))) for _ in range(5)
    )  # fmt: skip
    graph = trace_one(Net(run_layers, layers=layers), empty(49, 3))
    expert = "layers.0-4.experts.0-6"
    assert repetitions(graph) == {"layers.0-4": ("for", 5), expert: ("parfor", 7)}
    assert paths(graph)[-2:] == [f"{expert}.up", f"{expert}.down"]
    assert graph.node(expert).members == ("0", "1", "2", "3", "4", "5", "6")
    assert graph.node(expert).parameter_count == (3 * 5 + 5) + (5 * 3 + 3)
    assert shapes(graph, expert) == [(((7, 3),), (7, 3))]
    assert graph.root.parameter_count == 5 * 7 * 38


def test_siblings_that_differ_in_shapes_stay_apart() -> None:
    """Same class and same parameters, but not the same rows, or not the same inner size."""
    rows = nn.ModuleList(linear(3, 3) for _ in range(3))
    net = Net(lambda net, x: net.rows[2](x) + net.rows[0](x) + net.rows[1](x[:5]).sum(), rows=rows)
    assert paths(trace_one(net, empty(7, 3))) == ["", "rows", "rows.0,2", "rows.1"]
    widths = [nn.Sequential(linear(3, width), linear(width, 3)) for width in (5, 11, 5)]
    graph = trace_one(
        Net(lambda net, x: net.list[2](net.list[1](net.list[0](x))), list=nn.ModuleList(widths)), empty(7, 3)
    )
    assert repetitions(graph) == {"list.0,2": ("for", 2)}
    assert [graph.node(f"list.{name}").parameter_count for name in ("0,2", "1")] == [15 + 5 + 15 + 3, 33 + 11 + 33 + 3]


def test_siblings_that_differ_in_a_buffer_stay_apart() -> None:
    layers = [Net(lambda net, x: x + net.table.sum()) for _ in range(3)]
    for layer, rows in zip(layers, (5, 5, 7), strict=True):
        layer.register_buffer("table", empty(rows))
    assert paths(trace_one(nn.Sequential(*layers), empty(3))) == ["", "0-1", "2"]


def test_in_a_sequential_only_neighbours_collapse() -> None:
    graph = trace_one(nn.Sequential(linear(3, 3), nn.GELU(), linear(3, 3), linear(3, 3)), empty(7, 3))
    assert paths(graph) == ["", "0", "1", "2-3"]


def test_real_tensors_give_the_same_bytes_as_meta() -> None:
    def trace_on(device: str) -> str:
        layers = nn.ModuleList(nn.Linear(3, 3, device=device) for _ in range(3))
        return trace_one(Net(run_in_turn, layers=layers), torch.zeros(7, 3, device=device)).to_json()

    assert trace_on("cpu") == trace_on("meta") == trace_on("meta")


def test_the_model_is_left_as_it_was() -> None:
    net = Net(lambda net, x: net.b(net.a(x)), a=linear(3, 3), b=linear(3, 3))
    net.b.eval()
    trace_one(net, empty(7, 3))
    assert [module.training for module in net.modules()] == [True, True, False]
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in net.modules())
    assert next(net.parameters()).device.type == "meta"
    alive = weakref.ref(net)
    del net
    gc.collect()
    assert alive() is None


def test_the_forward_runs_in_evaluation_mode_without_gradients() -> None:
    seen = []
    net = Net(lambda net, x: seen.append((net.training, torch.is_grad_enabled())) or x)
    trace_one(net, empty(3))
    assert seen == [(False, False)]


def test_an_error_of_our_own_passes_through() -> None:
    def refuse(net: Any) -> Tensor:
        raise WorkloadError("too small")

    with pytest.raises(WorkloadError, match="too small"):
        trace_one(Net(refuse))


def test_parameters_that_torchinfo_counts_differently_are_refused() -> None:
    """Of a pruned weight TorchInfo counts the ones in its mask: here 2 of 15, and 5 of the bias."""
    net = nn.Sequential(nn.Linear(3, 5))
    mask = torch.zeros(5, 3)
    mask[1, :2] = 1
    prune.custom_from_mask(net[0], "weight", mask)
    with pytest.raises(TraceError, match="number of parameters") as caught:
        trace_one(net, torch.zeros(7, 3))
    assert (caught.value.place, caught.value.expected, caught.value.found) == ("", 20, 7)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda rows: rows.pop(), "another number of calls"),
        (lambda rows: rows.append(rows[-1]), "another number of calls"),
        (lambda rows: setattr(rows[-1], "output_size", [7, 11]), "another output"),
        (lambda rows: setattr(rows[-1], "var_name", "third"), "in another place"),
        (lambda rows: setattr(rows[-1], "depth", 1), "in another place"),
    ],
)
def test_rows_that_contradict_the_hooks_are_refused(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[list[Any]], object], problem: str
) -> None:
    def summary(*args: Any, **kwargs: Any) -> Any:
        statistics = original(*args, **kwargs)
        spoil(statistics.summary_list)
        return statistics

    original = trace.summary
    monkeypatch.setattr(trace, "summary", summary)
    net = Net(lambda net, x: net.second(net.first(x)), first=linear(3, 5), second=linear(5, 5))
    with pytest.raises(TraceError, match=problem):
        trace_one(net, empty(7, 3))
