"""All proofs: what is traced for a quick check and for a full one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import lru_cache, partial
from itertools import groupby

import sympy
from attrs import evolve

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs import reference_cases, transformers_cases
from modelmeter.models.deepseek_ocr.proofs.architecture_cases import (
    CaseSet,
    keep_pairs,
    keep_two_layers,
    list_decoder_sets,
    list_expert_sets,
    list_vision_sets,
    list_window_sets,
    take_all_experts,
)
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.cases import Case as BytesCase
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.cases import list_points as list_bytes_cases
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.verdicts import prove_bytes
from modelmeter.models.deepseek_ocr.proofs.identities import list_growths, prove_tiles
from modelmeter.models.deepseek_ocr.proofs.oracle import TRANSFORMERS
from modelmeter.models.deepseek_ocr.proofs.points import PROVED, list_workloads, make_points, make_training_points
from modelmeter.models.deepseek_ocr.proofs.random_points import prove_at_random
from modelmeter.models.deepseek_ocr.proofs.routing import prove_routing
from modelmeter.models.deepseek_ocr.proofs.server_steps import prove_server_steps
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import (
    BATCH_SIZE,
    Sizes,
    count_residues,
    list_grids,
    make_grid,
    positive,
)
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload, trace_reference
from modelmeter.verify.case import Case
from modelmeter.verify.identities import Growth, prove_growth, prove_layer_formulas
from modelmeter.verify.lifetimes import prove_lifetimes
from modelmeter.verify.model_formulas import ModelFormulas, build_formulas
from modelmeter.verify.proof import Progress, Verdict, prove
from modelmeter.verify.stage_peaks import prove_peaks
from modelmeter.verify.training_points import prove_training

DEPTHS = frozenset(
    {
        "num_hidden_layers", "first_k_dense_replace", "sam_num_hidden_layers", "sam_num_global_layers",
        "clip_num_hidden_layers",
    }
)  # fmt: skip

Proof = Callable[[Progress], Iterator[Verdict]]
"""A part of a run."""

QUICK_RESIDUE = 5
RANDOM_POINTS = 12


def list_quick_proofs(architecture: DeepSeekOCRArchitecture) -> Iterator[Proof]:
    """Yield the proofs that take seconds: sizes as symbols, one residue class, no corners."""
    prove_set = partial(_prove_set, architecture)
    two = keep_two_layers(architecture)
    shared = take_all_experts(two)
    side = _side(two, QUICK_RESIDUE)
    yield prove_set(
        CaseSet(
            name="workload",
            architecture=shared,
            cases=(
                *with_and_without_casts(reference_cases.make_prefill_case(shared, least={})),
                *with_and_without_casts(reference_cases.make_decode_case(shared, least={})),
            ),
        )
    )
    dense = _leave_out_experts(shared)
    page = reference_cases.make_page_case(dense, side)
    yield prove_set(CaseSet(name="page", architecture=dense, cases=tuple(with_and_without_casts(page))))
    yield prove_set(
        CaseSet(
            name="workload in transformers",
            architecture=two,
            cases=(
                transformers_cases.make_prefill_case(two, least={}),
                transformers_cases.make_decode_case(two, least={}),
                transformers_cases.make_views_case(two, side),
            ),
            counterparts=TRANSFORMERS,
        )
    )
    workloads = list(list_workloads(two.sam_patch_size))
    yield partial(prove_peaks, PROVED, make_points(two, workloads[:4]))
    yield partial(prove_lifetimes, PROVED, make_points(keep_pairs(architecture), workloads[:4]))
    yield partial(_prove_training, shared, workloads[2:4])
    yield partial(prove_at_random, two, 0)
    yield partial(prove_server_steps, shared)
    yield partial(_prove_identities, shared)
    if architecture == DeepSeekOCRArchitecture():  # the widths at which peaks are where their explanations are
        yield partial(prove_bytes, two, tuple(list_bytes_cases(is_quick=True)))


def list_full_proofs(architecture: DeepSeekOCRArchitecture) -> Iterator[Proof]:
    """Yield all proofs: every workload and every size of the architecture, in both implementations.

    They take minutes. A proof does not need those before it, so they may run side by side.
    """
    prove_set = partial(_prove_set, architecture)
    two = keep_two_layers(architecture)
    shared = take_all_experts(two)
    yield partial(_prove_identities, shared)
    yield partial(prove_server_steps, shared)
    for growth in list_growths(shared):
        yield partial(_prove_growth, shared, growth)
    for case in (reference_cases.make_prefill_case(shared), reference_cases.make_decode_case(shared)):
        for of_a_type in with_and_without_casts(case):
            yield prove_set(CaseSet(name=of_a_type.name, architecture=shared, cases=(of_a_type,)))
    for case in (transformers_cases.make_prefill_case(two), transformers_cases.make_decode_case(two)):
        yield prove_set(CaseSet(name=case.name, architecture=two, cases=(case,), counterparts=TRANSFORMERS))
    yield prove_set(CaseSet(name="experts", architecture=two, cases=tuple(reference_cases.list_experts_cases(two))))
    dense = _leave_out_experts(shared)
    side = _side(dense, QUICK_RESIDUE)
    for page in (
        evolve(reference_cases.make_page_case(dense, side), casts=False),
        evolve(reference_cases.make_page_case(dense, 1024), casts=False),
        reference_cases.make_page_case(dense, side, num_calls=3, images_per_prompt=2),
    ):
        yield prove_set(CaseSet(name=page.name, architecture=dense, cases=(page,)))
    for grid, least in list_grids(two):
        page = reference_cases.make_page_case(dense, two.sam_patch_size * grid, least=least)
        views = transformers_cases.make_views_case(two, two.sam_patch_size * grid, least=least)
        yield prove_set(CaseSet(name=page.name, architecture=dense, cases=(page,)))
        yield prove_set(CaseSet(name=views.name, architecture=two, cases=(views,), counterparts=TRANSFORMERS))
    yield prove_set(CaseSet(name="tiles", architecture=dense, cases=tuple(list_tile_cases(dense))))
    yield prove_set(CaseSet(name="patches", architecture=dense, cases=tuple(reference_cases.list_patch_cases(dense))))
    for case_set in (
        *list_decoder_sets(two),
        *list_expert_sets(two),
        *list_vision_sets(two, range(count_residues(two))),
        *list_window_sets(two, is_every_corner=True),
    ):
        yield prove_set(case_set)
    for workload in list_workloads(architecture.sam_patch_size):
        yield partial(prove_peaks, PROVED, make_points(architecture, [workload]))
        yield partial(prove_lifetimes, PROVED, make_points(keep_pairs(architecture), [workload]))
        plain = evolve(workload, num_width_tiles=0, num_height_tiles=0)  # where layers are compared one by one
        yield partial(_prove_training, shared, [workload, plain] if workload != plain else [plain])
    if architecture == DeepSeekOCRArchitecture():
        for _, cases in groupby(sorted(list_bytes_cases(), key=_models_of), key=_models_of):
            yield partial(prove_bytes, architecture, tuple(cases))
    for seed in range(RANDOM_POINTS):
        yield partial(prove_at_random, two, seed)
    yield prove_set(CaseSet(name="full depth", architecture=architecture, cases=tuple(list_deep_cases(architecture))))


def with_and_without_casts(case: Case) -> Iterator[Case]:
    """Yield a case as it is, and the same in float32, where nothing is cast."""
    yield case
    yield evolve(case, name=f"{case.name}, float32", casts=False)


def list_tile_cases(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    """Yield pages with tiles: sides where each rounding matters, and the default sides and the smallest tiles with
    every shape of grid.

    Of the views and of the tiles, one has a grid that two halvings round up, and one has pixels that fill no patch.
    """
    width, height = map(positive, ("num_width_tiles", "num_height_tiles"))
    patch_size, tile_grid = architecture.sam_patch_size, count_residues(architecture) * positive("j")
    grid: Sizes = {"num_width_tiles": width, "num_height_tiles": height}
    for base_size, image_size in (
        (_side(architecture, 5), patch_size * (tile_grid + 12) + patch_size - 1),
        (_side(architecture, 4) + patch_size - 1, patch_size * (tile_grid + 13)),
    ):
        tiles = {"image_size": image_size, **grid}
        yield reference_cases.make_page_case(architecture, base_size, tiles=tiles, least={BATCH_SIZE: 1})
    # Rows of tiles of one token each are not copied.
    for image_size in (patch_size, 640):
        yield reference_cases.make_page_case(
            architecture, 1024, tiles={"image_size": image_size, **grid}, least={BATCH_SIZE: 1, width: 1, height: 1}
        )


def list_deep_cases(architecture: DeepSeekOCRArchitecture) -> Iterator[Case]:
    """Yield cases of the whole model in its own depth, on batches that its experts share evenly."""
    pages = architecture.n_routed_experts * positive("n")
    batch_size = {"batch_size": pages, "vision_batch_size": pages}
    for case in (
        reference_cases.make_page_case(architecture, _side(architecture, QUICK_RESIDUE)),
        reference_cases.make_decode_case(architecture, least={}),
    ):
        yield evolve(
            case,
            name=f"{case.name}, full depth",
            inputs={**case.inputs, **batch_size},
            sizes={**case.sizes, **batch_size},
        )


def _prove_set(published: DeepSeekOCRArchitecture, case_set: CaseSet) -> Proof:
    sizes, others = case_set.architecture.dimension_values(), published.dimension_values()
    changed = [
        f"{name} = {size}" for name, size in sizes.items() if size != others[name] and name not in case_set.symbolic
    ]
    rest = "; ".join([*changed, "the architecture's other sizes"])

    def proof(progress: Progress) -> Iterator[Verdict]:
        formulas = formulas_of(case_set.architecture, symbolic=case_set.symbolic)
        for verdict in prove(formulas, case_set.cases, counterparts=case_set.counterparts, progress=progress):
            yield evolve(verdict, domain=f"{verdict.domain}; {rest}")

    return proof


def _prove_identities(architecture: DeepSeekOCRArchitecture, progress: Progress) -> Iterator[Verdict]:
    formulas = build_formulas(trace_reference(architecture), PROVED)
    progress("layer formulas in their own sizes")
    yield from prove_layer_formulas(formulas.model, formulas.proved.model.dimensions)
    progress("tiles as views")
    yield from prove_tiles(formulas)
    progress("routings of a few tokens")
    yield from prove_routing()


def _prove_training(
    architecture: DeepSeekOCRArchitecture, workloads: list[TraceWorkload], progress: Progress
) -> Iterator[Verdict]:
    formulas = formulas_of(architecture, symbolic=architecture.dimension_values())
    yield from prove_training(formulas, make_training_points(architecture, workloads), progress)


def _models_of(case: BytesCase) -> tuple[str, str]:
    """Return what cases have in common that can share models, and take about as long."""
    return case.stage, case.experts


def _prove_growth(
    architecture: DeepSeekOCRArchitecture, growth: Growth[DeepSeekOCRArchitecture], progress: Progress
) -> Iterator[Verdict]:
    formulas = formulas_of(architecture, symbolic=DEPTHS)
    progress(f"one more layer at {growth.path}")
    # Of a residue class; the proofs of pages say that a layer's formula holds in all of them.
    make_case = partial(reference_cases.make_page_case, base_size=_side(architecture, QUICK_RESIDUE))
    yield from prove_growth(growth, formulas, make_case)


def formulas_of(architecture: DeepSeekOCRArchitecture, *, symbolic: Collection[str] = ()) -> ModelFormulas:
    """Return our formulas for the modules of ``architecture`` at its sizes, except those that stay symbols."""
    return _substitute_sizes(architecture, frozenset(symbolic))


@lru_cache(maxsize=8)  # the same formulas are compared with many traces
def _substitute_sizes(architecture: DeepSeekOCRArchitecture, symbolic: frozenset[str]) -> ModelFormulas:
    sizes = architecture.dimension_values()
    return build_formulas(trace_reference(architecture), PROVED).substitute(
        {name: size for name, size in sizes.items() if name not in symbolic}
    )


def _leave_out_experts(architecture: DeepSeekOCRArchitecture) -> DeepSeekOCRArchitecture:
    """Return the architecture with its dense layer only: the experts take no part in a page's vision."""
    return evolve(architecture, num_hidden_layers=architecture.first_k_dense_replace)


def _side(architecture: DeepSeekOCRArchitecture, residue: int) -> sympy.Expr:
    return architecture.sam_patch_size * make_grid(architecture, residue)
