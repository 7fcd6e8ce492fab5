"""The module tree of a report."""

from __future__ import annotations

from evaluations import make_evaluation

from llm_perf_opt.data.modules import check_module_tree
from llm_perf_opt.reporting.modules import build_modules


def test_the_model_stands_below_the_request_once_for_each_stage() -> None:
    nodes = build_modules(make_evaluation())
    check_module_tree(nodes)
    assert [(node.module_id, node.children) for node in nodes] == [
        ("request", ("vision", "projector", "prefill", "decode")),
        ("vision", ("vision.eye", "vision.unused")),  # what is held but never called is there too
        ("vision.eye", ()),
        ("vision.unused", ()),
        ("projector", ()),  # nothing works or holds anything here
        ("prefill", ("prefill.block",)),
        ("prefill.block", ("prefill.block.0-4",)),
        ("prefill.block.0-4", ("prefill.block.0-4.fc",)),
        ("prefill.block.0-4.fc", ()),
        ("decode", ("decode.block",)),
        ("decode.block", ("decode.block.0-4",)),
        ("decode.block.0-4", ("decode.block.0-4.fc",)),
        ("decode.block.0-4.fc", ()),
    ]


def test_a_node_keeps_what_is_known_of_its_module() -> None:
    nodes = {node.module_id: node for node in build_modules(make_evaluation())}
    block, eye, root = nodes["decode.block.0-4"], nodes["vision.eye"], nodes["request"]
    assert (block.repetition, block.repetition_count, block.stage) == ("for", 5, "decode")
    assert (block.name, block.qualified_class_name, block.parent_id) == ("0-4", "tower.Block", "decode.block")
    assert dict(eye.constructor_params) == {"kernel_size": 3}
    assert (root.stage, root.parent_id, root.qualified_class_name) == ("other", None, "tower.Tower")
    assert (nodes["vision"].name, nodes["vision"].stage) == ("vision", "vision")
