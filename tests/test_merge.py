"""Which siblings become one node, on graphs written by hand."""

from collections.abc import Iterable

from modelmeter.graph.merge import merge_siblings
from modelmeter.graph.module_graph import ModuleCall, ModuleGraph, ModuleNode, Repetition


def make_graph(sizes: dict[str, int | None]) -> ModuleGraph:
    """Return a graph with a node per path; a size is that of its one call, None is no call."""
    nodes = tuple(
        ModuleNode(
            path=path, members=(path.rpartition(".")[2],), class_name="Net", qualified_class_name="nets.Net",
            parameter_count=0, own_parameter_count=0,
            calls=() if size is None else (ModuleCall(run="run", input_shapes=(), output_shape=(size,)),),
            repetition="none", repetition_count=1, is_torch_builtin=False,
        )
        for path, size in sizes.items()
    )  # fmt: skip
    call_order = tuple(path for path, size in sizes.items() if size is not None)
    return ModuleGraph(nodes=nodes, call_order=call_order, workload={}, architecture={}, lists={})


def merge(
    graph: ModuleGraph,
    *,
    details: dict[str, str] | None = None,
    sequences: Iterable[str] = (),
    chains: Iterable[list[str]] = (),
) -> dict[str, Repetition]:
    """Merge, and return the repetition of each node by its path."""
    everywhere = dict.fromkeys((node.path for node in graph.nodes), "") | (details or {})
    merged = merge_siblings(
        graph, details=everywhere, sequences=frozenset(sequences), depend=[*chains].__contains__
    )  # fmt: skip
    return {node.path: node.repetition for node in merged.nodes}


def test_alike_numbered_siblings_are_one_node_wherever_they_stand() -> None:
    graph = make_graph({"": 2, "0": 3, "1": 5, "2": 3, "3": 3, "4": 5})
    assert merge(graph, chains=[["0", "2", "3"]]) == {"": "none", "0,2-3": "for", "1,4": "parfor"}


def test_in_a_sequence_only_neighbours_are() -> None:
    graph = make_graph({"": 2, "0": 3, "1": 5, "2": 3, "3": 3, "4": 5})
    assert list(merge(graph, sequences=[""])) == ["", "0", "1", "2-3", "4"]


def test_siblings_with_names_stay_apart() -> None:
    assert list(merge(make_graph({"": 2, "a": 3, "b": 3}))) == ["", "a", "b"]


def test_siblings_that_nothing_calls_stay_apart() -> None:
    graph = make_graph({"": 2, "0": None, "0.a": None, "1": None, "1.a": None})
    assert list(merge(graph)) == ["", "0", "0.a", "1", "1.a"]


def test_a_list_counts_as_called_where_something_in_it_is() -> None:
    graph = make_graph({"": 2, "0": None, "0.a": 3, "0.b": None, "1": None, "1.a": 3, "1.b": None})
    assert list(merge(graph)) == ["", "0-1", "0-1.a", "0-1.b"]


def test_details_keep_siblings_apart() -> None:
    graph = make_graph({"": 2, "0": 3, "1": 3, "2": 3})
    assert list(merge(graph, details={"1": "wider"})) == ["", "0,2", "1"]


def test_a_difference_deep_inside_keeps_siblings_apart() -> None:
    graph = make_graph(
        {"": 2, "0": 3, "0.a": 7, "0.a.b": 5, "1": 3, "1.a": 7, "1.a.b": 11, "2": 3, "2.a": 7, "2.a.b": 5}
    )
    assert list(merge(graph)) == ["", "0,2", "0,2.a", "0,2.a.b", "1", "1.a", "1.a.b"]


def test_so_does_how_the_siblings_inside_run() -> None:
    graph = make_graph({"": 2, "0": 3, "0.0": 5, "0.1": 5, "1": 3, "1.0": 5, "1.1": 5})
    nested = merge(graph, chains=[["0.0", "0.1"], ["1.0", "1.1"]])
    assert nested == {"": "none", "0-1": "parfor", "0-1.0-1": "for"}
    apart = merge(graph, chains=[["0.0", "0.1"]])
    assert apart == {"": "none", "0": "none", "0.0-1": "for", "1": "none", "1.0-1": "parfor"}


def test_so_does_which_of_the_siblings_inside_are_alike() -> None:
    graph = make_graph({"": 2, "0": 3, "0.0": 5, "0.1": 5, "0.2": 7, "1": 3, "1.0": 5, "1.1": 7, "1.2": 5})
    assert list(merge(graph)) == ["", "0", "0.0-1", "0.2", "1", "1.0,2", "1.1"]


def test_members_ascend_whatever_the_order_of_registration() -> None:
    assert list(merge(make_graph({"": 2, "10": 3, "9": 3, "2": 3}))) == ["", "2,9-10"]


def test_a_group_stands_where_its_first_member_is_called() -> None:
    graph = make_graph({"": 2, "0": 3, "1": 5, "2": 3})
    merged = merge_siblings(graph, details=dict.fromkeys(("", "0", "1", "2"), ""), sequences=(), depend=lambda _: True)
    assert merged.call_order == ("", "0,2", "1")
    assert merged.node("0,2").members == ("0", "2")
    assert merged.node("0,2").repetition_count == 2
