"""The lists of proofs, without running what takes long."""

from __future__ import annotations

from collections.abc import Iterable
from unittest.mock import Mock

import pytest
from attrs import evolve
from tiny import TINY

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs import all_proofs, random_points, reference_cases
from modelmeter.models.deepseek_ocr.proofs.all_proofs import (
    Proof,
    list_deep_cases,
    list_full_proofs,
    list_quick_proofs,
    list_tile_cases,
    with_and_without_casts,
)
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import BATCH_SIZE, positive
from modelmeter.verify import stage_peaks

PUBLISHED = DeepSeekOCRArchitecture()


class StoppedError(Exception):
    """Ends a proof where it says what it does first."""


@pytest.fixture
def no_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build nothing before a proof begins."""
    monkeypatch.setattr(all_proofs, "formulas_of", Mock())
    monkeypatch.setattr(stage_peaks, "_find_peaks", Mock())
    for module in (all_proofs, random_points):
        monkeypatch.setattr(module, "build_formulas", Mock())
        monkeypatch.setattr(module, "trace_reference", Mock())


def name_firsts(proofs: Iterable[Proof]) -> list[str]:
    """Return what each proof says as it begins, in place of running it."""
    names: list[str] = []

    def stop(name: str) -> None:
        names.append(name)
        raise StoppedError

    for proof in proofs:
        with pytest.raises(StoppedError):
            next(proof(stop))
    return names


@pytest.mark.usefixtures("no_formulas")
def test_a_full_run_has_every_residue_class_and_every_part() -> None:
    names = name_firsts(list_full_proofs(TINY))
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


@pytest.mark.usefixtures("no_formulas")
def test_a_quick_run_proves_both_implementations_and_the_identities() -> None:
    names = name_firsts(list_quick_proofs(TINY))
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
