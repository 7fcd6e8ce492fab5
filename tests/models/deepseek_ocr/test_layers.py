"""Every vendor class: its layer against a counted forward of the torch module, with difference 0."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction

import pytest
import sympy
import torch
from attrs import astuple
from layer_case import LAYERS, TORCH_CLASSES, Case
from layer_cases import CASES, NO_TORCH_MODULES

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import BRACKETS, Differs
from modelmeter.dimensions.symbols import STORAGE
from modelmeter.graph.dtypes import default_dtype
from modelmeter.layers.base import BaseLayer
from modelmeter.models.deepseek_ocr.build import build_layers, symbolic_sizes
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_layer_is_what_the_counted_forward_does(case: Case, check_layer: Callable[..., None]) -> None:
    with default_dtype(case.dtype):
        check_layer(
            case.layer, case.sizes, case.module, case.forward, cache=case.cache, stored=case.stored,
            summed=case.summed,
        )  # fmt: skip


WITHOUT_BACKWARD = {"LlamaRotaryEmbedding"}
"""Nothing in it wants a gradient."""


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.train and type(case.layer).__name__ not in WITHOUT_BACKWARD],
    ids=str,
)
def test_the_backward_of_the_layer_is_what_autograd_does(case: Case, check_training: Callable[..., None]) -> None:
    with default_dtype(case.dtype):
        check_training(case.layer, case.sizes, case.module, case.train)


# --- no class and no size is forgotten ---------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - NO_TORCH_MODULES))
def test_every_class_has_cases_in_which_every_size_of_it_varies(name: str) -> None:
    """A size that never changes could be missing from a formula, or be there with another exponent."""
    cases = [case for case in CASES if type(case.layer) is LAYERS[name]]
    assert len(cases) >= 2
    varied = {size for case in cases for size in case.sizes if case.sizes[size] != cases[0].sizes[size]}
    # Images have three colours. The model without its LM head is run in the prefill only, where there is no step.
    assert cases[0].sizes.keys() - varied <= {"image_channels", "decode_step"}


NEVER_IN_A_COUNT = {Differs(symbol("kv_bits"), symbol("activation_bits"))}
"""The cache of the reference model has the type of its activations; see below."""


@pytest.mark.parametrize("name", sorted(LAYERS.keys() - NO_TORCH_MODULES))
def test_every_condition_of_an_operator_holds_in_a_case_and_does_not_in_another(name: str) -> None:
    """What runs only at some sizes, and what only moves other bytes at some."""
    seen: defaultdict[sympy.Expr, set[int]] = defaultdict(set)
    for case in CASES:
        if type(case.layer) is LAYERS[name]:
            width = 32 if case.dtype == torch.float32 else 16
            for condition in find_conditions(case.layer):
                seen[condition].add(int(evaluate(condition, {**case.sizes, **dict.fromkeys(STORAGE, width)})))
    open_questions = {condition for condition, answers in seen.items() if answers != {0, 1}}
    assert open_questions <= NEVER_IN_A_COUNT


def find_conditions(layer: BaseLayer) -> set[sympy.Expr]:
    """Return the brackets in the numbers of a layer's own operators."""
    numbers = [
        number
        for operator in layer.operators()
        for moved in (operator.reads, operator.writes)
        for number in (*astuple(moved), operator.tensor_core_flops, operator.cuda_core_flops)
    ]
    return {bracket for number in numbers for bracket in sympy.sympify(number).atoms(*BRACKETS)}


@pytest.mark.parametrize(("kv_bits", "copies"), [(13, 0), (8, 2)])
def test_keys_and_values_of_a_prefill_are_copied_only_into_a_cache_of_another_width(kv_bits: int, copies: int) -> None:
    """Those of a later position always are: into their place.

    2 sequences of 3 positions with 7 channels for each of 5 heads, and 11 query heads that share them.
    """
    sizes = {
        "batch_size": 2, "num_queries": 3, "hidden_size": 77, "num_attention_heads": 11, "num_key_value_heads": 5,
        "activation_bits": 13, "kv_bits": kv_bits, "weight_bits": 13,
    }  # fmt: skip
    layer = LAYERS["LlamaFlashAttention2"].canonical(DIMENSIONS)
    for num_keys, expected in ((3, copies), (8, 2)):
        appended = [
            tuple(evaluate(size, {**sizes, "num_keys": num_keys}) for size in (read.reads.activation, read.writes.kv))
            for read in layer.operators()
            if read.name == "copy_"
        ]
        # 2 x 3 x 5 x 7 = 210 keys, and as many values.
        assert appended == [(210, 210)] * expected + [(0, 0)] * (2 - expected)
        moved = evaluate(sum(each.writes.kv for each in layer.operators()), {**sizes, "num_keys": num_keys})
        assert moved == 210 * expected
    # All that a layer caches has the width of the cache: 2 x 2 x 8 x 35 elements.
    cached = evaluate(layer.forward_kv_cache_bytes(), {**sizes, "num_keys": 8})
    assert cached == Fraction(2 * 2 * 8 * 35 * kv_bits, 8)


def test_parts_that_are_no_torch_modules_are_parts_of_the_model() -> None:
    model = build_layers(symbolic_sizes())["prefill"].model
    assert {type(model.vision_layer).__name__, type(model.decoder_layer).__name__} == NO_TORCH_MODULES
    assert not NO_TORCH_MODULES & TORCH_CLASSES.keys()


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_classes_have_the_vendors_names_and_evaluators_the_names_of_their_files(name: str) -> None:
    if name not in NO_TORCH_MODULES:
        assert LAYERS[name].torch_class() == TORCH_CLASSES[name].__name__
    assert LAYERS[name].function_name().replace("_", "") == name.lower()
