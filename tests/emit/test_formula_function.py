"""Formulas of unknown sizes as functions: rules come first where they can, and derived sizes after what they need."""

from __future__ import annotations

import pytest
from attrs import evolve
from small_package import ARCHITECTURE, make_spec

from modelmeter.cost import METRICS
from modelmeter.emit.formula_function import FormulaFunction, write_formula_function
from modelmeter.emit.programs import REQUEST, Stages, build_stages
from modelmeter.errors import FormulaError


def write(stages: Stages, stage: str) -> FormulaFunction:
    results = {metric: f"{stage}_{metric}" for metric in METRICS}
    return write_formula_function(stage, "", stages.signature(stage), stages.part(stage, *METRICS), results)


def test_derived_sizes_follow_from_the_image_tokens() -> None:
    lines = [line.strip() for line in write(build_stages(make_spec(), ARCHITECTURE), REQUEST).body]
    order = [
        'at_most("sam_patch_size", 9, "base_size", base_size)',
        "if seq_len is None:",
        "seq_len = abbreviate(image_tokens + prompt_tokens)",
        "logits_tokens = abbreviate(seq_len)",
        'at_most("logits_tokens", logits_tokens, "seq_len", seq_len)',
        "return (",
        *(f"{metric}," for metric in METRICS),
    ]
    assert [line for line in lines if line in order] == order
    assert any(line.startswith("image_tokens = ") for line in lines[: lines.index(order[1])])


def test_a_rule_without_a_check_is_refused() -> None:
    """Sizes of the architecture divide each other; where they are arguments, formulas of unknown sizes cannot check."""
    spec = evolve(make_spec(), fixed=frozenset())
    with pytest.raises(FormulaError, match="no check for this rule"):
        write(build_stages(spec, {}), "prefill")
