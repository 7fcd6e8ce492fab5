"""The module graph as a record: its tree, its JSON, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmeter.graph.module_graph import ModuleCall, ModuleGraph, ModuleNode
from modelmeter.support.errors import GraphError, OutputError

LINEAR = "torch.nn.modules.linear.Linear"


def make_node(path: str, members: tuple[str, ...] | None = None, **changes: object) -> ModuleNode:
    """Return a node of a net with an embedding-like ``head`` and three ``layers`` of 12 parameters each."""
    members = members or (path.rpartition(".")[2],)
    node = ModuleNode(
        path=path,
        members=members,
        class_name="Linear",
        qualified_class_name=LINEAR,
        parameter_count=12,
        own_parameter_count=12,
        calls=(ModuleCall(run="prefill", input_shapes=((5, 3), (7,)), output_shape=(5, 3)),),
        repetition="none" if len(members) == 1 else "for",
        repetition_count=len(members),
        is_torch_builtin=True,
    )
    return evolve(node, **changes)


def make_graph() -> ModuleGraph:
    holder = {"parameter_count": 36, "own_parameter_count": 0, "calls": ()}
    return ModuleGraph(
        workload={"batch_size": 5},
        architecture={"hidden_size": 3, "first_k_dense_replace": 0},
        lists={"sam_global_attn_indexes": (2, 5)},
        call_order=("layers.0-1,4", "", "head"),
        nodes=(
            # 12 of the head, 3 x 12 of the layers, 1 of its own
            make_node("", class_name="Net", qualified_class_name="nets.make.<locals>.Net", parameter_count=49,
                      own_parameter_count=1, is_torch_builtin=False),
            make_node("head"),
            make_node("layers", class_name="ModuleList", qualified_class_name="torch.nn.modules.container.ModuleList",
                      **holder),
            make_node("layers.0-1,4", ("0", "1", "4")),
        ),
    )  # fmt: skip


def test_the_tree_can_be_walked_in_every_direction() -> None:
    graph = make_graph()
    assert graph.root.class_name == "Net"
    assert [node.path for node in graph.children("")] == ["head", "layers"]
    assert [node.path for node in graph.children("layers")] == ["layers.0-1,4"]
    assert graph.parent("layers.0-1,4") == graph.node("layers")
    assert graph.parent("head") == graph.root
    assert graph.parent("") is None
    assert [node.path for node in graph.walk()] == ["", "head", "layers", "layers.0-1,4"]
    assert list(graph.digraph.edges) == [("", "head"), ("", "layers"), ("layers", "layers.0-1,4")]


def test_it_is_frozen() -> None:
    graph = make_graph()
    with pytest.raises(nx.NetworkXError):
        graph.digraph.add_edge("head", "layers")
    with pytest.raises(TypeError):
        graph.workload["batch_size"] = 7  # type: ignore[index]  # that it is refused is the point
    with pytest.raises(AttributeError):
        graph.nodes = ()  # type: ignore[misc]  # the same


def test_an_unknown_path_is_refused() -> None:
    for ask in (make_graph().node, make_graph().children, make_graph().parent):
        with pytest.raises(GraphError, match=r"layers\.5"):
            ask("layers.5")


def test_json_out_in_out_is_the_same_bytes(tmp_path: Path) -> None:
    graph = make_graph()
    text = graph.to_json()
    again = ModuleGraph.from_json(text)
    assert again == graph
    assert again.to_json() == text
    graph.write(tmp_path / "graph.json")
    assert (tmp_path / "graph.json").read_bytes() == text.encode()
    assert ModuleGraph.read(tmp_path / "graph.json") == graph
    assert json.loads(text)["nodes"][3]["members"] == ["0", "1", "4"]


def test_reading_a_graph_imports_neither_torch_nor_sympy(tmp_path: Path) -> None:
    make_graph().write(tmp_path / "graph.json")
    code = (
        "import sys; from modelmeter.graph.module_graph import ModuleGraph; ModuleGraph.read(sys.argv[1]);"
        "print({'torch', 'torchinfo', 'sympy'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "graph.json"], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def changed(place: str, value: object) -> str:
    """Return the graph's JSON with one value replaced, or removed where ``value`` is ``...``."""
    document = json.loads(make_graph().to_json())
    *way, last = (int(key) if key.isdecimal() else key for key in place.split("/"))
    inner = document
    for key in way:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", ""),
        ("{", ""),
        ("[]", ""),
        ("null", ""),
        ('"nodes"', ""),
        ("[" * 100_000, ""),
        ('{"schema_version": 1, "schema_version": 1}', ""),
        ('{"schema_version": ' + "9" * 5000 + "}", ""),
        ("{}", "schema_version"),
        (changed("schema_version", 1), "schema_version"),
        (changed("schema_version", True), "schema_version"),
        (changed("nodes", ...), "nodes"),
        (changed("call_order", ...), "call_order"),
        (changed("nodes", []), "nodes"),
        (changed("nodes", {}), "nodes"),
        (changed("nodes/1", None), "nodes[1]"),
        (changed("nodes/1", []), "nodes[1]"),
        (changed("nodes/1/parameter_count", ...), "nodes[1].parameter_count"),
        (changed("nodes/1/parameter_count", "12"), "nodes[1].parameter_count"),
        (changed("nodes/1/parameter_count", 12.0), "nodes[1].parameter_count"),
        (changed("nodes/1/parameter_count", True), "nodes[1].parameter_count"),
        (changed("nodes/1/parameter_count", None), "nodes[1].parameter_count"),
        (changed("nodes/1/parameter_count", -12), "nodes[1].parameter_count"),
        (changed("nodes/1/parameter_count", 2**63), "nodes[1].parameter_count"),
        (changed("nodes/1/own_parameter_count", 10**400), "nodes[1].own_parameter_count"),
        (changed("nodes/1/is_torch_builtin", 1), "nodes[1].is_torch_builtin"),
        (changed("nodes/1/is_torch_builtin", False), "nodes[1].is_torch_builtin"),
        (changed("nodes/1/repetition", "while"), "nodes[1].repetition"),
        (changed("nodes/1/parent", "layers"), "nodes[1]"),
        (changed("nodes/1/calls/0/output_shape", ""), "nodes[1].calls[0].output_shape"),
        (changed("nodes/1/calls/0/output_shape", [5, -3]), "nodes[1].calls[0]"),
        (changed("nodes/1/calls/0/output_shape", [5, [3]]), "nodes[1].calls[0].output_shape[1]"),
        (changed("nodes/1/calls/0/input_shapes", [5, 3]), "nodes[1].calls[0].input_shapes[0]"),
        (changed("nodes/1/calls/0/input_shapes/1/0", 2**63), "nodes[1].calls[0]"),
        (changed("nodes/1/calls/0/run", "../prefill"), "nodes[1].calls[0].run"),
        (changed("nodes/3/members", "014"), "nodes[3].members"),
        (changed("nodes/3/members", {"0": 0, "1": 1, "4": 4}), "nodes[3].members"),
        (changed("workload/batch_size", "5"), "workload['batch_size']"),
        (changed("workload", [5]), "workload"),
        (changed("workload/batch_size", -5), "workload.batch_size"),
        (changed("architecture/hidden size", 3), "architecture"),
        (changed("lists", {"sizes": [-1]}), "lists.sizes"),
    ],
)
def test_damaged_json_is_refused_with_the_place(text: str, place: str) -> None:
    with pytest.raises(GraphError) as caught:
        ModuleGraph.from_json(text)
    assert caught.value.place == place
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("index", "changes", "problem"),
    [
        (0, {"path": "net", "members": ("net",)}, "not the root"),
        (0, {"members": ("net",)}, "members"),
        (1, {"path": "", "members": ("",)}, "same path"),
        (2, {"path": "head", "members": ("head",)}, "same path"),
        (1, {"path": "tail.head"}, "its parent"),
        (1, {"path": "layers.0-1,4.head"}, "its parent"),
        (1, {"path": "head.head"}, "its parent"),
        (1, {"path": "head.", "members": ("",)}, "cannot be a name"),
        (1, {"path": "../head", "members": ("../head",)}, "cannot be a name"),
        (1, {"path": "he\nad", "members": ("he\nad",)}, "cannot be a name"),
        (1, {"path": "h" * 101, "members": ("h" * 101,)}, "cannot be a name"),
        (1, {"path": "tail"}, "does not end"),
        (1, {"members": ()}, "members"),
        (1, {"repetition_count": 2}, "repetition"),
        (1, {"repetition": "for"}, "repetition"),
        (3, {"repetition": "none"}, "repetition"),
        (3, {"repetition_count": 10**18}, "repetition"),
        (3, {"path": "layers.0,0-1", "members": ("0", "0", "1")}, "members"),
        (3, {"path": "layers.4,0-1", "members": ("4", "0", "1")}, "members"),
        (3, {"path": "layers.0-1,x", "members": ("0", "1", "x")}, "members"),
        (1, {"class_name": "Linear2"}, "qualified name"),
        (1, {"qualified_class_name": "torch.nn.Li near", "class_name": "Li near"}, "qualified name"),
        (1, {"own_parameter_count": 13}, "do not add up"),
        (0, {"parameter_count": 50}, "do not add up"),
        (0, {"parameter_count": 35}, "do not add up"),
    ],
)
def test_an_impossible_tree_is_refused(index: int, changes: dict[str, object], problem: str) -> None:
    """A cycle cannot even be written down: the parent of a node is its path without the last name."""
    graph = make_graph()
    nodes = [*graph.nodes]
    nodes[index] = evolve(nodes[index], **changes)
    with pytest.raises(GraphError, match=problem):
        evolve(graph, nodes=tuple(nodes))


def test_one_sibling_cannot_be_in_two_groups() -> None:
    graph = make_graph()
    twice = make_node("layers.1")
    with pytest.raises(GraphError, match="same name"):
        evolve(graph, nodes=(*graph.nodes, twice), call_order=(*graph.call_order, twice.path))


def test_nodes_are_listed_depth_first() -> None:
    graph = make_graph()
    root, head, layers, group = graph.nodes
    with pytest.raises(GraphError, match=r"depth first; expected layers\.0-1,4; found head"):
        evolve(graph, nodes=(root, layers, head, group))


@pytest.mark.parametrize("call_order", [(), ("", "head"), ("", "head", "head"), ("", "head", "layers")])
def test_the_call_order_lists_each_called_node_once(call_order: tuple[str, ...]) -> None:
    with pytest.raises(GraphError, match="called"):
        evolve(make_graph(), call_order=call_order)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), value=JSON)
def test_any_other_value_anywhere_is_refused_or_kept(data: st.DataObject, value: object) -> None:
    """Whatever stands in a file: an error of ours, or a graph that comes out as it went in."""
    document = json.loads(make_graph().to_json())
    inner = document
    key = data.draw(st.sampled_from(sorted(inner)))
    while isinstance(inner[key], dict | list) and inner[key] and data.draw(st.booleans()):
        inner = inner[key]
        key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
    inner[key] = value
    try:
        graph = ModuleGraph.from_json(json.dumps(document))
    except GraphError:
        return
    assert json.loads(graph.to_json()) == document


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"{"])
def test_an_unreadable_file_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "graph.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GraphError, match=r"graph\.json"):
        ModuleGraph.read(path)


def test_the_place_in_a_file_follows_its_name(tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(changed("nodes/1/path", 7), encoding="utf-8")
    with pytest.raises(GraphError) as caught:
        ModuleGraph.read(path)
    assert caught.value.place == f"{path}: nodes[1].path"


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (
        tmp_path / "folder",
        tmp_path / "file" / "graph.json",
        tmp_path / "missing" / "graph.json",
        tmp_path / "graph\0.json",
    ):
        with pytest.raises(OutputError, match="cannot be written"):
            make_graph().write(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="only Unix has a file without an end")
def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(GraphError, match=r"^/dev/zero: the file cannot be read as text; found it has more than"):
        ModuleGraph.read("/dev/zero")
