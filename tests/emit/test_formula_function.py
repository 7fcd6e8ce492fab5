"""Formulas of unknown sizes as functions: rules come first where they can, and derived sizes after what they need."""

from __future__ import annotations

from attrs import evolve
from small_package import ARCHITECTURE, make_spec

from modelmeter.backends.python.formula_function import print_formula
from modelmeter.core.metrics import METRICS
from modelmeter.evaluators.layers import evaluate_layer
from modelmeter.evaluators.programs import Stages, build_stages
from modelmeter.evaluators.stages import evaluate_stages
from modelmeter.model.stages import REQUEST


def write(stages: Stages, stage: str) -> list[str]:
    (evaluator,) = (found for found in evaluate_stages(stages, "") if found.name == stage)
    return [line.strip() for line in print_formula(evaluator).body]


def test_derived_sizes_follow_from_the_image_tokens() -> None:
    lines = write(build_stages(make_spec(), ARCHITECTURE), REQUEST)
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


def test_rules_of_division_are_checked() -> None:
    """Sizes of the architecture divide each other where they are arguments."""
    lines = write(build_stages(evolve(make_spec(), fixed=frozenset()), {}), "prefill")
    assert [line for line in lines if line.startswith("multiple_of(")] == [
        'multiple_of("hidden_size", hidden_size, "2 * num_attention_heads", 2 * num_attention_heads)',
        'multiple_of("num_attention_heads", num_attention_heads, "num_key_value_heads", num_key_value_heads)',
    ]


def test_sizes_that_say_one_thing_are_compared() -> None:
    lines = write(build_stages(make_spec(), ARCHITECTURE), REQUEST)
    place = lines.index("if decode_steps is None:")
    assert lines[place : place + 6] == [
        "if decode_steps is None:",
        "if max_new_tokens is None:",
        "max_new_tokens = 29",
        "decode_steps = abbreviate(max_new_tokens - 1)",
        "elif max_new_tokens is not None:",
        'agree("decode_steps", decode_steps, "max_new_tokens - 1", max_new_tokens - 1)',
    ]


def test_what_must_not_be_negative_is_tested_before_the_metrics() -> None:
    (layer,) = make_spec().layers
    cost, _ = evaluate_layer(layer, make_spec())
    lines = [line.strip() for line in print_formula(cost).body]
    guard = 'not_negative("height - kernel_size", x1)'
    assert lines.index(guard) < next(place for place, line in enumerate(lines) if "tensor_core_flops =" in line)
