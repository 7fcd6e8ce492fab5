"""Proofs with symbols for the sizes of the architecture."""

from __future__ import annotations

from attrs import evolve
from tiny import TINY

from modelmeter.models.deepseek_ocr.proofs.all_proofs import formulas_of
from modelmeter.models.deepseek_ocr.proofs.architecture_cases import (
    EXPERT_POINTS,
    CaseSet,
    keep_pairs,
    list_decoder_sets,
    list_expert_sets,
    list_vision_sets,
)
from modelmeter.verify.proof import Verdict, prove


def run_first(case_set: CaseSet, index: int = 0) -> list[Verdict]:
    """Return the verdicts of one case of a set, without its corners."""
    formulas = formulas_of(case_set.architecture, symbolic=case_set.symbolic)
    case = evolve(case_set.cases[index], least={})
    return list(prove(formulas, [case], counterparts=case_set.counterparts))


def test_pairs_are_two_layers_of_each_kind_one_after_the_other() -> None:
    pairs = keep_pairs(TINY)
    assert (pairs.first_k_dense_replace, pairs.num_hidden_layers) == (2, 4)
    assert (pairs.sam_global_attn_indexes, pairs.sam_num_hidden_layers) == ((2, 3), 4)
    assert (pairs.clip_num_hidden_layers, pairs.n_routed_experts, pairs.num_experts_per_tok) == (2, 1, 1)
    depths = {name: size for name, size in TINY.dimension_values().items() if "layers" in name}
    kept = (
        TINY.dimension_values().keys() - depths - {"first_k_dense_replace", "n_routed_experts", "num_experts_per_tok"}
    )
    assert all(pairs.dimension_values()[name] == TINY.dimension_values()[name] for name in kept)


def test_a_decoder_of_any_sizes() -> None:
    reference, _ = list_decoder_sets(TINY)
    verdicts = run_first(reference)
    assert all(verdict.is_equal for verdict in verdicts)
    assert "num_attention_heads = heads_per_key_value_head*num_key_value_heads;" in verdicts[0].domain
    root = {symbol.name for verdict in verdicts if verdict.subject == "" for symbol in verdict.measured.free_symbols}
    assert {"half_head_dim", "intermediate_size", "moe_intermediate_size", "n_shared_experts", "vocab_size"} < root


def test_experts_of_any_number_in_transformers() -> None:
    _, transformers = list_decoder_sets(TINY)
    assert [len(case.assumed) for case in transformers.cases] == [1, 1, 1, 1]
    verdicts = run_first(transformers, index=2)
    assert all(verdict.is_equal for verdict in verdicts)
    (experts,) = [verdict for verdict in verdicts if verdict.subject.endswith("mlp.experts")]
    assert {"num_experts_per_tok", "moe_intermediate_size"} < {symbol.name for symbol in experts.measured.free_symbols}
    assert "; 2*half_head_dim <= 256; " in experts.domain


def test_numbers_of_experts_are_points_and_no_proof() -> None:
    sets = list(list_expert_sets(TINY))
    assert len(sets) == len(EXPERT_POINTS)
    # Enough for a formula of degree 1 in each number: four points in a square.
    assert {(2, 1), (2, 2), (3, 1), (3, 2)} <= set(EXPERT_POINTS)
    verdicts = run_first(sets[3])
    assert all(verdict.is_equal for verdict in verdicts)
    assert {verdict.kind for verdict in verdicts} == {"exact at n points"}
    assert "n_routed_experts = 3; num_experts_per_tok = 2;" in verdicts[0].domain


def test_towers_of_any_sizes() -> None:
    reference, _ = list_vision_sets(TINY, [5])
    verdicts = run_first(reference)
    assert all(verdict.is_equal for verdict in verdicts)
    assert "; sam_pretrain_grid_size != 28*k + 5; clip_pretrain_grid_size != 7*k + 2; " in verdicts[0].domain


def test_trained_grids_are_cases_of_their_own_in_the_first_class() -> None:
    reference, transformers = list_vision_sets(TINY, [5, 0])
    assert [len(case.assumed) for case in reference.cases] == [2, 1, 1, 1, 1, 2]
    assert str(reference.cases[1].inputs["sam_image_size"]) == "28*k*sam_patch_size + 5*sam_patch_size"
    assert str(reference.cases[2].inputs["clip_image_size"]) == "77*k + 22"
    assert len(transformers.cases) == 2
