"""Formulas of unknown sizes as functions: rules come first where they can, and derived sizes after what they need."""

from __future__ import annotations

from attrs import evolve
from small_package import ARCHITECTURE, make_spec

from modelmeter.backends.python.formula_function import FormulaFunction, write_formula_function
from modelmeter.backends.python.programs import REQUEST, Stages, build_layer, build_stages
from modelmeter.core.cost import METRICS


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


def test_rules_of_division_are_checked() -> None:
    """Sizes of the architecture divide each other where they are arguments."""
    lines = [line.strip() for line in write(build_stages(evolve(make_spec(), fixed=frozenset()), {}), "prefill").body]
    assert [line for line in lines if line.startswith("multiple_of(")] == [
        'multiple_of("hidden_size", hidden_size, "2 * num_attention_heads", 2 * num_attention_heads)',
        'multiple_of("num_attention_heads", num_attention_heads, "num_key_value_heads", num_key_value_heads)',
    ]


def test_sizes_that_say_one_thing_are_compared() -> None:
    lines = [line.strip() for line in write(build_stages(make_spec(), ARCHITECTURE), REQUEST).body]
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
    built = build_layer(layer, make_spec().image_tokens)
    outputs = {metric: metric for metric in METRICS}
    function = write_formula_function(layer.name, "", built.signature, built.program, outputs, guards=built.guards)
    lines = [line.strip() for line in function.body]
    guard = 'not_negative("height - kernel_size", x1)'
    assert lines.index(guard) < next(place for place, line in enumerate(lines) if "tensor_core_flops =" in line)
