"""The lists of proofs, without running what takes long."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

import pytest
from attrs import evolve
from tiny import TINY

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs import all_proofs, reference_cases
from modelmeter.models.deepseek_ocr.proofs.all_proofs import (
    formulas_of,
    list_deep_cases,
    list_full_proofs,
    list_quick_proofs,
    list_tile_cases,
    with_and_without_casts,
)
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import BATCH_SIZE, positive
from modelmeter.verify.case import Case
from modelmeter.verify.model_formulas import ModelFormulas
from modelmeter.verify.symbolic_trace import SymbolicTrace

PUBLISHED = DeepSeekOCRArchitecture()


class StoppedError(Exception):
    """Ends a proof where its trace would begin."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of the cases in place of running them."""

    def stop(case: Case) -> SymbolicTrace:
        raise StoppedError

    def build(architecture: DeepSeekOCRArchitecture, *, symbolic: Collection[str] = ()) -> ModelFormulas | None:
        # Only training steps come to their formulas: they are no case.
        return formulas_of(architecture, symbolic=symbolic) if symbolic == architecture.dimension_values() else None

    monkeypatch.setattr(Case, "run", stop)
    monkeypatch.setattr(all_proofs, "formulas_of", build)
    return []


def test_a_full_run_has_every_residue_class_and_every_part(names: list[str]) -> None:
    proofs = list(list_full_proofs(TINY))
    for proof in proofs:
        verdicts = proof(names.append)
        try:
            next(verdicts)
        except StoppedError:
            continue
    for residue in range(28):
        side = f"448*k + {16 * residue}" if residue else "448*k"
        assert f"page of {side} pixels, 0 x 0 tiles" in names
        assert f"views of {side} pixels in transformers" in names
    parts = {
        "prefill", "prefill, float32", "decode step", "decode step, float32", "chunk of a prefill",
        "experts on n tokens", "patches of 16*n + 1 pixels", "1 of 2 experts", "2 images, 3 calls", "lifetimes at",
        "live storages at", "training step at", "one more layer at",
    }  # fmt: skip
    assert {part for part in parts if any(part in name for name in names)} == parts
    assert sum(name.startswith("one more layer") for name in names) == 5


def test_a_quick_run_proves_both_implementations_and_the_identities(names: list[str]) -> None:
    for proof in list_quick_proofs(TINY):
        with suppress(StoppedError):
            next(proof(names.append))
    assert [name.partition(" at ")[0] for name in names] == [
        "prefill",
        "page of 448*k + 80 pixels, 0 x 0 tiles",
        "prefill in transformers",
        "live storages",
        "lifetimes",
        "training step",
        "training step",
        "chunk of a prefill",
        "layer formulas in their own sizes",
    ]


def test_what_is_cast_is_proved_with_and_without() -> None:
    case = reference_cases.make_decode_case(TINY)
    as_it_is, plain = with_and_without_casts(case)
    assert as_it_is is case
    assert (as_it_is.casts, plain.casts) == (True, False)
    assert plain.name == "decode step, float32"
    assert evolve(plain, name=case.name, casts=True) == case


def test_tiles_cover_every_shape_of_grid() -> None:
    *_, default = list_tile_cases(TINY)
    shapes = {(str(case.sizes["num_width_tiles"]), str(case.sizes["num_height_tiles"])) for case in default.corners()}
    assert shapes == {(width, height) for width in ("num_width_tiles", "1") for height in ("num_height_tiles", "1")}


def test_deep_cases_give_the_experts_even_shares() -> None:
    for case in list_deep_cases(PUBLISHED):
        assert case.inputs["batch_size"] == 64 * positive("n") == case.sizes["batch_size"]
        assert BATCH_SIZE not in case.symbols
