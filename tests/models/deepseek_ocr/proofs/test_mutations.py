"""Slips in the formulas, one at a time: the verifier notices every one that makes a difference.

The checks are those of a full run, on a small architecture and a few residue classes; the comparison is the verifier's
own. Sizes of the architecture are numbers unlike each other, so that one in the place of another is noticed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest
import sympy
from attrs import evolve
from mutation_checks import Check, bind_layers, describe, find_witnesses, list_members
from mutations import KINDS, Mutant, Variant, choose_mutants, find_variants
from tiny import TINY

from modelmeter.dimensions.functions import CeilDiv, Differs, Exceeds, FloorDiv
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.layers.linear import Linear
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.proofs import reference_cases
from modelmeter.models.deepseek_ocr.proofs.all_proofs import list_tile_cases
from modelmeter.models.deepseek_ocr.proofs.architecture_cases import keep_two_layers, take_all_experts
from modelmeter.models.deepseek_ocr.proofs.points import PROVED
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import positive
from modelmeter.models.deepseek_ocr.trace_reference import trace_reference
from modelmeter.verify import proof
from modelmeter.verify.case import Case
from modelmeter.verify.model_formulas import ModelFormulas
from modelmeter.verify.proof import Counterparts, Verdict
from modelmeter.verify.symbolic_trace import SymbolicTrace

# MUTANTS=all tries every one, which takes minutes.
LIMIT = None if os.environ.get("MUTANTS") == "all" else 22

# Depths are unlike each other and their squares, trained images leave pixels over, and some grid is the trained one.
ARCHITECTURE = evolve(
    TINY,
    num_hidden_layers=5,
    first_k_dense_replace=2,
    clip_num_hidden_layers=3,
    sam_num_hidden_layers=5,
    sam_global_attn_indexes=(1, 4),
    sam_image_size=16 * 61 + 3,
    clip_image_size=11 * 16 + 5,
    n_routed_experts=7,
    num_experts_per_tok=3,
)


def restores(mutant: Mutant, replacements: Mapping[sympy.Expr, sympy.Expr]) -> bool:
    """Tell whether a slip is undone by ``replacements``, which change nothing."""
    return bool(sympy.expand(mutant.after.xreplace(replacements) - mutant.before.xreplace(replacements)) == 0)


def is_at(mutant: Mutant, layer: str, *path: str) -> bool:
    """Tell whether a slip is in a class, at a path with all of some parts; the last is a choice of parts."""
    *parts, last = path
    place = set(map(str, mutant.path))
    return (
        mutant.variant.layer_class.__name__ == layer and place >= set(parts) and not place.isdisjoint(last.split("|"))
    )


HIDDEN_SIZE, GRID, WINDOW = map(symbol, ("hidden_size", "grid_size", "window_size"))
TILES, PADDING = symbol("num_width_tiles") * symbol("num_height_tiles"), symbol("padding")
HEAD_SIZES = {
    CeilDiv(HIDDEN_SIZE, heads): FloorDiv(HIDDEN_SIZE, heads)
    for heads in map(symbol, ("num_heads", "num_attention_heads"))
}
PARTS_OF_WINDOWS = {Differs(WINDOW * FloorDiv(GRID, WINDOW), GRID): Differs(WINDOW * CeilDiv(GRID, WINDOW), GRID)}
SEVERAL_TILES = {Exceeds(TILES * side, 1): Exceeds(TILES, 1) for side in sorted(TILES.free_symbols, key=str)}
PAGES, PAGES_OF_A_CALL = symbol("batch_size"), symbol("vision_batch_size")
FULL_CALLS = {rounded(PAGES, PAGES_OF_A_CALL): PAGES / PAGES_OF_A_CALL for rounded in (FloorDiv, CeilDiv)}
EXPERT_SIZES = "moe_intermediate_size|n_routed_experts|n_shared_experts|num_experts_per_tok"

EQUIVALENT: Mapping[str, Callable[[Mutant], bool]] = {
    "heads divide the width": lambda mutant: restores(mutant, HEAD_SIZES),
    "whole windows, rounded up or down, make up the grid in the same cases": lambda mutant: restores(
        mutant, PARTS_OF_WINDOWS
    ),
    "every call of the towers is full": lambda mutant: restores(mutant, FULL_CALLS),
    "a product of two counts exceeds 1 when it does with one of them squared": lambda mutant: restores(
        mutant, SEVERAL_TILES
    ),
    "a convolution that is never called has no positions": lambda mutant: is_at(
        mutant, "CLIPVisionEmbeddings", "patch_embedding", "batch_size|height|width|stride"
    ),
    "parameters are those of the first call": lambda mutant: is_at(
        mutant, "VisionTower", "vision_model", "1", "patch_size|image_channels"
    ),
    "a dense layer has no experts": lambda mutant: (
        is_at(mutant, "DecoderStack", "layers", EXPERT_SIZES) and mutant.path[5] == 0
    ),
    "a layer of experts has no dense size": lambda mutant: (
        is_at(mutant, "DecoderStack", "layers", "intermediate_size") and mutant.path[5] == 1
    ),
    # The evaluator of the class takes any padding; tests/layers/test_conv2d.py compares it.
    "convolutions of the model pad by 0 or 1, and patches by 0": lambda mutant: restores(
        mutant, {PADDING: sympy.Integer(0)} if mutant.variant.flags.get("bias") else {PADDING**2: PADDING}
    ),
}
"""Why a slip makes no difference, and which slips these are. Every one has to survive."""


LINEAR = Variant(layer_class=Linear, flags={"bias": True})


def record(architecture: DeepSeekOCRArchitecture, *cases: Case) -> Iterator[Check]:
    """Trace cases, and the points that guards leave out of them, as a proof does; keep what it would compare."""
    graph = trace_reference(architecture)
    traced: list[tuple[Case, SymbolicTrace]] = []

    def keep(
        formulas: ModelFormulas, case: Case, trace: SymbolicTrace, counterparts: Counterparts
    ) -> Iterator[Verdict]:
        traced.append((case, trace))
        return iter(())

    with patch.object(proof, "compare", keep):
        formulas = ModelFormulas(model=bind_layers(graph), costs={}, stages={}, unfused={}, proved=PROVED)
        list(proof.prove(formulas, cases))
    yield from (Check.make(graph, case, trace) for case, trace in traced)


@pytest.fixture(scope="module")
def checks() -> list[Check]:
    """The traces of a full run that a slip of any layer shows in."""
    two = keep_two_layers(ARCHITECTURE)
    shared = take_all_experts(two)
    dense = evolve(shared, num_hidden_layers=1)
    *symbolic, default = (evolve(case, least={}) for case in list_tile_cases(dense))
    width, height = (positive(f"num_{side}_tiles") for side in ("width", "height"))
    *_, last_patches = reference_cases.list_patch_cases(dense)
    return [
        *record(
            shared,
            reference_cases.make_prefill_case(shared, least={}),
            reference_cases.make_decode_case(shared, least={}),
            # Where nothing is cast.
            evolve(reference_cases.make_prefill_case(shared, least={}), casts=False),
        ),
        # A view of one patch: an image of one token, in a window of one. And a view alone.
        *record(
            dense,
            reference_cases.make_page_case(dense, dense.sam_patch_size),
            reference_cases.make_page_case(dense, 17 * dense.sam_patch_size, batch_size=1),
        ),
        *record(dense, *symbolic, default.at(width, 1), default.at(height, 1), default.at(width, 1).at(height, 1)),
        *record(dense, evolve(last_patches, least={})),
        # Also on two tokens, which leave some experts out.
        *record(two, reference_cases.make_experts_case(two, 7 * positive("n") + 2, least={positive("n"): 0})),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def graphs(checks: list[Check]) -> list[ModuleGraph]:
    """The modules that layers are bound to: those of the traces, and those of the whole architecture."""
    traced = {id(check.graph): check.graph for check in checks}
    return [trace_reference(ARCHITECTURE), *traced.values()]


def test_undamaged_formulas_differ_nowhere(checks: list[Check]) -> None:
    """And each metric is compared somewhere."""
    verdicts = [
        verdict
        for check in checks
        for bound, members in list_members(check.model)
        for verdict in check.compare(bound, members)
    ]
    assert [verdict for verdict in verdicts if not verdict.is_equal] == []
    assert {verdict.metric for verdict in verdicts if verdict.derived != 0} == set(METRICS)


def test_the_verifier_notices_every_slip(checks: list[Check], graphs: list[ModuleGraph]) -> None:
    variants = find_variants(bind_layers(graph) for graph in graphs)
    mutants = [mutant for variant in variants for mutant in choose_mutants(variant, LIMIT)]
    witnesses = {mutant: find_witnesses(mutant, checks, graphs) for mutant in mutants}
    reasons = {mutant: [reason for reason, holds in EQUIVALENT.items() if holds(mutant)] for mutant in mutants}
    print(f"{len(mutants)} mutants\n{describe(witnesses)}")
    assert [str(mutant) for mutant in mutants if not witnesses[mutant] and not reasons[mutant]] == [], "survivors"
    assert [str(mutant) for mutant in mutants if witnesses[mutant] and reasons[mutant]] == [], (
        "no reason holds for them"
    )
    assert sum(map(bool, witnesses.values())) >= 400
    assert {mutant.kind for mutant in mutants} == set(KINDS)
    assert {name for found in witnesses.values() for name in found} >= set(METRICS)
    if LIMIT is None:
        assert {reason for found in reasons.values() for reason in found} == EQUIVALENT.keys()


def test_every_layer_class_has_slips(graphs: list[ModuleGraph]) -> None:
    """All that has a page, but for the two that hold what they are given."""
    variants = find_variants(bind_layers(graph) for graph in graphs)
    named = {variant.layer_class.function_name() for variant in variants}
    pages = {path.stem for path in (Path(__file__).parents[4] / "codegen" / "formulas" / "layers").glob("*.md")}
    assert pages - named == {"deepseek_ocr_model", "deepseek_ocr_for_causal_lm"}
    assert named - pages == {"vision_tower", "decoder_stack"}, "they are parts of the model's page"
    assert all(choose_mutants(variant, 1) for variant in variants)


def test_the_mutants_are_always_the_same() -> None:
    first, second = ([str(mutant) for mutant in choose_mutants(variant, 50)] for variant in [LINEAR] * 2)
    assert first == second
    assert len(set(first)) == len(first)


def test_a_slip_is_in_the_class_only_while_it_is_applied() -> None:
    linear = Linear(leading_shape=(3, 5), in_features=7, out_features=11)
    undamaged = linear.operators()
    (mutant,) = [
        mutant
        for mutant in choose_mutants(LINEAR, None)
        if mutant.subject == "tensor_core_flops" and mutant.kind == "factor" and mutant.after == 2 * mutant.before
    ]
    with mutant.applied():
        assert linear.operators() == (evolve(undamaged[0], tensor_core_flops=2 * 2 * 3 * 5 * 7 * 11),)
        assert evolve(linear, bias=False).operators()[0].tensor_core_flops == 2 * 3 * 5 * 7 * 11, "of another variant"
    assert linear.operators() == undamaged
