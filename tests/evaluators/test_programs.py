"""The programs of evaluators: one for all stages, parts of it, and what each evaluator takes."""

from __future__ import annotations

import pytest
from attrs import evolve
from small_package import ARCHITECTURE, DEFAULTS, make_spec

from modelmeter.evaluators.programs import build_layer, build_stages
from modelmeter.metrics.metric import METRICS
from modelmeter.model.stages import REQUEST
from modelmeter.support.errors import FormulaError

SPEC = make_spec()
STAGES = build_stages(SPEC, SPEC.architecture)


def names_of(stage: str) -> list[str]:
    return [parameter.name for parameter in STAGES.signature(stage).parameters]


def test_a_stage_takes_the_sizes_in_its_formulas_in_the_order_of_the_documentation() -> None:
    assert names_of("prefill") == [
        "batch_size", "seq_len", "logits_tokens", "weight_bits", "activation_bits", "kv_bits",
    ]  # fmt: skip
    assert names_of("projector") == [
        "batch_size", "base_size", "image_size", "num_width_tiles", "num_height_tiles", "weight_bits",
        "activation_bits",
    ]  # fmt: skip
    assert STAGES.signature("prefill").has_routing
    assert not STAGES.signature("vision").has_routing


def test_a_request_takes_all_of_them_and_what_others_follow_from() -> None:
    assert set(names_of(REQUEST)) == DEFAULTS.keys()
    derived = {size.name for size in STAGES.signature(REQUEST).parameters if size.derivation}
    assert derived == {"seq_len", "logits_tokens", "decode_steps"}


def test_the_general_program_takes_the_architecture_too() -> None:
    general = build_stages(SPEC, {})
    taken = {size.name for size in general.signature(REQUEST).parameters}
    assert taken == DEFAULTS.keys() | ARCHITECTURE.keys()


def test_a_part_has_only_its_outputs() -> None:
    part = STAGES.part("decode", "kv_cache_bytes")
    assert [output.name for output in part.outputs] == ["decode_kv_cache_bytes"]
    assert set(part.inputs) == {"batch_size", "seq_len", "decode_steps", "kv_bits"}
    assert STAGES.part(REQUEST, *METRICS).outputs[0].name == "image_tokens"


def test_a_dividend_with_negative_terms_is_guarded() -> None:
    layer = build_layer(SPEC.layers[0], SPEC)
    # floor((height - kernel_size + stride) / stride) is at least 1 where the kernel fits.
    assert list(layer.guards.values()) == ["height - kernel_size"]
    assert [size.default for size in layer.signature.parameters if size.name == "stride"] == [3]


def test_every_size_needs_a_default() -> None:
    layer = SPEC.layers[0]
    sizes = {name: size for name, size in layer.sizes.items() if name != "stride"}
    with pytest.raises(FormulaError, match="stride"):
        build_layer(evolve(layer, sizes=sizes), SPEC)


def test_the_sizes_of_a_layer_are_said_to_be_its_own() -> None:
    """But a layer that is made of a whole model has the model's."""
    layer = next(layer for layer in SPEC.layers if "batch_size" in layer.sizes)
    words = {
        whole: next(
            size.words
            for size in build_layer(evolve(layer, holds_layers=whole), SPEC).signature.parameters
            if size.name == "batch_size"
        )
        for whole in (False, True)
    }
    assert words[False] == "Sequences or images side by side (items, at least 1)."
    assert words[True] == "Pages processed side by side (pages, at least 1)."
