"""Every vendor class: its layer against a counted forward of the torch module, with difference 0."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from layer_case import LAYERS, TORCH_CLASSES, Case
from layer_cases import CASES, NO_TORCH_MODULES

from modelmeter.dtypes import default_dtype
from modelmeter.models.deepseek_ocr.build import build_layers, symbolic_sizes


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


def test_parts_that_are_no_torch_modules_are_parts_of_the_model() -> None:
    model = build_layers(symbolic_sizes())["prefill"].model
    assert {type(model.vision_layer).__name__, type(model.decoder_layer).__name__} == NO_TORCH_MODULES
    assert not NO_TORCH_MODULES & TORCH_CLASSES.keys()


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_classes_have_the_vendors_names_and_evaluators_the_names_of_their_files(name: str) -> None:
    if name not in NO_TORCH_MODULES:
        assert LAYERS[name].torch_class() == TORCH_CLASSES[name].__name__
    assert LAYERS[name].function_name().replace("_", "") == name.lower()
