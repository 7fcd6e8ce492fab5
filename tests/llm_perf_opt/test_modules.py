"""Modules that are not one tree are refused where the tree breaks."""

from __future__ import annotations

import pytest
from records import make_node, make_snapshot

from llm_perf_opt.data import AnalyticModuleNode
from llm_perf_opt.data.modules import check_module_tree
from llm_perf_opt.errors import RecordError


def test_a_tree_in_any_order_is_accepted() -> None:
    check_module_tree([make_node("b", "a", []), make_node("a", None, ["c", "b"]), make_node("c", "a", [])])


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([], r"^modules: .* expected one root; found 0 roots$"),
        ([make_node("a", None, []), make_node("b", None, [])], r"^modules\[1\]\.parent_id: .* found 2 roots$"),
        ([make_node("a", "b", [])], r"^modules\[0\]\.parent_id: no module has this id; found b$"),
        ([make_node("a", None, ["b"])], r"^modules\[0\]\.children\[0\]: no module has this id; found b$"),
        (
            [make_node("a", None, ["b"]), make_node("b", None, [])],
            r"^modules\[0\]\.children\[0\]: .*modules\[1\]\.parent_id names another .* expected a; found no parent$",
        ),
        (
            [make_node("a", None, []), make_node("b", "a", [])],
            r"^modules\[1\]\.parent_id: .*modules\[0\]\.children does not name the child; found a$",
        ),
        (
            [make_node("a", None, ["c"]), make_node("b", "c", []), make_node("c", "a", [])],
            r"^modules\[1\]\.parent_id: .*modules\[2\]\.children does not name the child",
        ),
        ([make_node("a", "a", ["a"])], r"^modules: .* found 0 roots$"),
        (
            [make_node("a", None, []), make_node("b", "c", ["c"]), make_node("c", "b", ["b"])],
            r"^modules\[1\]\.parent_id: the parents of this module lead in a circle; found c$",
        ),
    ],
)
def test_what_is_no_tree_is_refused_by_place(modules: list[AnalyticModuleNode], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        check_module_tree(modules)


def test_a_deep_tree_is_no_recursion() -> None:
    depth = 3001
    chain = [
        make_node(f"m{level}", f"m{level - 1}" if level else None, [f"m{level + 1}"] if level < depth - 1 else [])
        for level in range(depth)
    ]
    check_module_tree(chain)


def test_only_a_repetition_has_a_count() -> None:
    with pytest.raises(RecordError, match=r"^repetition_count: the module does not repeat; expected 1; found 3$"):
        make_node("a", None, [], repetition_count=3)
    assert make_node("a", None, [], repetition="parfor", repetition_count=64).repetition_count == 64


def test_children_are_distinct_and_keep_their_order() -> None:
    assert make_node("a", None, ["c", "b"]).children == ("c", "b")
    with pytest.raises(RecordError, match=r"^children\[2\]: the same as in children\[0\]"):
        make_node("a", None, ["b", "c", "b"])


def test_a_category_appears_once_in_a_breakdown() -> None:
    operators = make_snapshot("a").operator_breakdown[0]
    with pytest.raises(RecordError, match=r"^operator_breakdown\[1\]\.category_id: the same"):
        make_snapshot("a", operator_breakdown=[operators, operators])
