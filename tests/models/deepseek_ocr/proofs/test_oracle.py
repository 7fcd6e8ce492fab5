"""The transformers implementation: its modules, its sizes, and what it does differently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sympy
import torch
from attrs import evolve
from tiny import TINY

from modelmeter.models.deepseek_ocr.proofs import transformers_cases
from modelmeter.models.deepseek_ocr.proofs.all_proofs import formulas_of
from modelmeter.models.deepseek_ocr.proofs.oracle import (
    CLIP_KEYS,
    SAM_KEYS,
    TEXT_KEYS,
    TRANSFORMERS,
    build_oracle,
    find_counterparts,
    symbolic_integers,
)
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import BATCH_SIZE, EARLIER_TOKENS, LOGITS_TOKENS
from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.verify.proof import compare


@pytest.fixture(scope="module")
def oracle() -> Any:
    with torch.device("meta"):
        return build_oracle(TINY, {})


def list_paths() -> Iterator[str]:
    return (path for path, _ in build_reference(TINY, expert_routing="even").named_modules())


def test_every_module_of_ours_has_its_counterpart_or_is_known_to_have_none(oracle: Any) -> None:
    theirs = dict(oracle.named_modules())
    found = {path: find_counterparts(path) for path in list_paths() if "rotary" not in path}
    assert [name for names in found.values() for name in names if name not in theirs] == []
    without = {path.rpartition(".")[2] for path, names in found.items() if not names}
    assert without == {"act", "act_fn", "patch_embedding", "0", "1", "2", "gate_proj", "up_proj", "down_proj"}
    assert all("experts." in path for path, names in found.items() if not names and path.endswith("_proj"))


def test_counterparts_hold_the_same_parameters(oracle: Any) -> None:
    theirs = dict(oracle.named_modules())
    ours = dict(build_reference(TINY, expert_routing="even").named_modules())

    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    unused = count(ours["model.vision_model.embeddings.patch_embedding"])
    for path, module in ours.items():
        names = find_counterparts(path)
        if names and "rotary" not in path:
            left_out = unused if "model.vision_model.embeddings".startswith(path) else 0
            assert sum(count(theirs[name]) for name in names) == count(module) - left_out, path


def test_every_architecture_size_of_the_modules_reaches_the_configuration() -> None:
    depths = {"first_k_dense_replace", "sam_num_global_layers"}  # lists of layer types there
    written = {*TEXT_KEYS, *SAM_KEYS, *CLIP_KEYS, "sam_downsample_channels"}
    assert written == set(TINY.dimension_values()) - depths


def test_the_rotary_products_are_all_that_transformers_lacks() -> None:
    formulas = formulas_of(TINY)
    case = transformers_cases.make_prefill_case(TINY, least={})
    everything = evolve(
        TRANSFORMERS, left_out=(), find=lambda path: () if "rotary" in path else TRANSFORMERS.find(path)
    )
    left = {v.subject: v.difference for v in compare(formulas, case, case.run(), everything) if not v.is_equal}
    tokens = BATCH_SIZE * (LOGITS_TOKENS + EARLIER_TOKENS)
    # A multiplication and an addition for each of the two angles of a pair: 4 channels a token and layer.
    one, two = sympy.expand(4 * tokens), sympy.expand(8 * tokens)
    assert left == {
        "": two, "model": two, "model.layers": two, "model.layers.0": one, "model.layers.1": one,
        "model.layers.0.self_attn": one, "model.layers.1.self_attn": one,
    }  # fmt: skip


def test_int_passes_symbolic_sizes_only_inside_the_context() -> None:
    from transformers.models.unlimited_ocr import modeling_unlimited_ocr as source

    with symbolic_integers():
        assert source.int(3.7) == 3
    assert "int" not in vars(source)
