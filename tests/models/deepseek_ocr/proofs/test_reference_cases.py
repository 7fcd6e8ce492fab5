"""What is traced of the reference model beside prompts, steps and pages: tiles, experts, patches, windows."""

from __future__ import annotations

import pytest
import sympy
from attrs import evolve
from tiny import SHALLOW, TINY

from modelmeter.models.deepseek_ocr.proofs import reference_cases
from modelmeter.models.deepseek_ocr.proofs.all_proofs import formulas_of
from modelmeter.models.deepseek_ocr.proofs.architecture_cases import list_window_sets
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import BATCH_SIZE, list_grids, positive
from modelmeter.verify.proof import Verdict, prove

n = positive("n")


def different(verdicts: list[Verdict]) -> list[tuple[str, str]]:
    return [(verdict.subject, verdict.metric) for verdict in verdicts if not verdict.is_equal]


@pytest.mark.parametrize("width", [1, 3])
def test_tiles_and_a_grid_of_one_tile_that_stands_for_none(width: int) -> None:
    tiles = {"image_size": 16 * 18, "num_width_tiles": width, "num_height_tiles": 1}
    case = reference_cases.make_page_case(SHALLOW, 16 * 22, batch_size=2, tiles=tiles)
    verdicts = list(prove(formulas_of(SHALLOW), [case]))
    assert different(verdicts) == []
    # Sides of ceil(22 / 4) = 6 and ceil(18 / 4) = 5 tokens: 6 * 7 + 1, and 5 * (5 width + 1) where there are tiles.
    image_tokens = 43 + (5 * (5 * width + 1) if width > 1 else 0)
    assert case.sizes["seq_len"] == image_tokens + positive("text_tokens")


def test_experts_that_do_not_share_the_tokens_evenly() -> None:
    # Seven experts, two a token: 7 n + 3 tokens are 14 n + 6 assignments, so six experts take one more.
    architecture = evolve(TINY, n_routed_experts=7, num_experts_per_tok=2)
    cases = list(reference_cases.list_experts_cases(architecture))
    assert [case.inputs["num_tokens"] for case in cases] == [7 * positive("n") + residue for residue in range(7)]
    verdicts = list(prove(formulas_of(architecture), [evolve(cases[3], least={n: 0})]))
    assert different(verdicts) == []
    reads = {
        verdict.domain.partition(";")[0]: verdict.derived.coeff(
            sympy.Symbol("weight_bits", integer=True, positive=True)
        )
        for verdict in verdicts
        if verdict.metric == "io_bytes" and verdict.subject.endswith("mlp.experts")
    }
    # Three matrices of 24 x 11. Three tokens reach six of the experts, ten and more reach all.
    assert reads == {
        "batch_size = 7*n + 3": sympy.Rational(7 * 792, 8),
        "batch_size = 3": sympy.Rational(6 * 792, 8),
        "batch_size = 10": sympy.Rational(7 * 792, 8),
    }


def test_pixels_that_are_no_whole_patch_cost_nothing() -> None:
    cases = list(reference_cases.list_patch_cases(TINY))
    assert [case.inputs["base_size"] for case in cases] == [16 * n + rest for rest in range(1, 16)]
    verdicts = list(prove(formulas_of(SHALLOW), [evolve(cases[6], least={})]))
    assert different(verdicts) == []
    (flops,) = {verdict.measured for verdict in verdicts if verdict.metric == "tensor_core_flops"}
    # n x n patches of 3 * 16 * 16 = 768 values, to 15 channels.
    assert flops == 2 * BATCH_SIZE * n**2 * 768 * 15


def test_a_window_of_any_size_with_any_padding() -> None:
    case_set, _ = list_window_sets(TINY, is_every_corner=False)
    verdicts = list(prove(formulas_of(case_set.architecture, symbolic=case_set.symbolic), case_set.cases))
    assert different(verdicts) == []
    assert "sam_window_size = pad + rest + 1" in verdicts[0].domain


def test_the_residue_classes_are_all_grids() -> None:
    k = positive("k")
    grids = [grid.subs(k, value) for grid, least in list_grids(TINY) for value in range(least[k], 4)]
    assert sorted(grids) == list(range(1, 4 * 28))
