"""How groups of siblings are named."""

from contextlib import nullcontext

import pytest

from modelmeter.graph.module_node import ModuleNode, check_node, is_inside, is_number, join_path, name_group
from modelmeter.support.errors import GraphError


@pytest.mark.parametrize(
    ("members", "name"),
    [
        (("lm_head",), "lm_head"),
        (("7",), "7"),
        (("0", "1"), "0-1"),
        (("0", "2"), "0,2"),
        (("0", "1", "3", "4", "6", "7", "9", "10"), "0-1,3-4,6-7,9-10"),
        (("2", "5", "8", "11"), "2,5,8,11"),
        (("1", "9", "10", "11"), "1,9-11"),
    ],
)
def test_a_group_is_named_by_the_ranges_of_its_members(members: tuple[str, ...], name: str) -> None:
    assert name_group(members) == name


def test_only_plain_indexes_are_numbers() -> None:
    assert [name for name in ("0", "10", "01", "", "-1", "1a", "٣", "1" * 5000) if is_number(name)] == ["0", "10"]


def test_a_path_joins_names_with_dots() -> None:
    assert join_path("", "model") == "model"
    assert join_path("model.layers", "1-11") == "model.layers.1-11"


def test_a_module_is_inside_itself_and_what_contains_it_but_not_a_namesake() -> None:
    """A path that only begins with the same letters is another module's."""
    inside = {outer: is_inside("model.layers.1", outer) for outer in ("", "model", "model.layers.1", "model.layer")}
    assert inside == {"": True, "model": True, "model.layers.1": True, "model.layer": False}
    assert is_inside("", "")
    assert not is_inside("", "model")
    assert not is_inside("model.layers.11", "model.layers.1")


def test_a_module_deeper_than_torch_calls_is_refused() -> None:
    """What walks down a tree, or draws it, relies on it."""
    for depth, is_refused in ((100, False), (101, True)):
        path = ".".join(["a"] * depth)
        node = ModuleNode(
            path=path, members=("a",), class_name="Net", qualified_class_name="x.Net", parameter_count=0,
            own_parameter_count=0, calls=(), repetition="none", repetition_count=1, is_torch_builtin=False,
        )  # fmt: skip
        with pytest.raises(GraphError, match="too deep") if is_refused else nullcontext():
            check_node(node, "nodes[3]")
