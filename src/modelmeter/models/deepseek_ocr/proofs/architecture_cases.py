"""Proof cases with symbols for the sizes of the architecture, on models of two layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sympy
from attrs import evolve, frozen

from modelmeter.models.deepseek_ocr import vision_tokens
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs import reference_cases, transformers_cases
from modelmeter.models.deepseek_ocr.proofs.oracle import TRANSFORMERS
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import BATCH_SIZE, Least, Sizes, make_grid, positive
from modelmeter.verify.case import Case
from modelmeter.verify.integer_facts import Domain, resolve
from modelmeter.verify.proof import REFERENCE, Counterparts

EXPERT_POINTS = ((2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 3))
"""Experts, and experts a token. Where all experts take tokens, costs are of degree 1 in each number, so that the
first four points would do."""


@frozen(kw_only=True)
class CaseSet:
    """Cases of one model.

    Parameters
    ----------
    name
        For people.
    architecture
        The model's; its numbers stand for the sizes that are no symbols.
    cases
        What to trace.
    counterparts
        Whose code it is.
    symbolic
        Dimensions of the architecture that are symbols.
    """

    name: str
    architecture: DeepSeekOCRArchitecture
    cases: tuple[Case, ...]
    counterparts: Counterparts = REFERENCE
    symbolic: Collection[str] = ()


def keep_two_layers(architecture: DeepSeekOCRArchitecture) -> DeepSeekOCRArchitecture:
    """Return the architecture with one layer of each kind: dense, with experts; windowed, global; CLIP's."""
    depths: dict[str, Any] = {
        "num_hidden_layers": 2,
        "first_k_dense_replace": 1,
        "sam_num_hidden_layers": 2,
        "sam_global_attn_indexes": (1,),
        "clip_num_hidden_layers": 1,
    }
    return evolve(architecture, **depths)


def take_all_experts(architecture: DeepSeekOCRArchitecture) -> DeepSeekOCRArchitecture:
    """Return the architecture with three experts that every token takes: they share any number of tokens evenly."""
    return evolve(architecture, n_routed_experts=3, num_experts_per_tok=3)


def keep_pairs(architecture: DeepSeekOCRArchitecture) -> DeepSeekOCRArchitecture:
    """Return the architecture with two layers of each kind one after the other, and with one expert."""
    depths: dict[str, Any] = {
        "num_hidden_layers": 4,
        "first_k_dense_replace": 2,
        "sam_num_hidden_layers": 4,
        "sam_global_attn_indexes": (2, 3),
        "clip_num_hidden_layers": 2,
    }
    return evolve(architecture, **depths, n_routed_experts=1, num_experts_per_tok=1)


def make_decoder_sizes() -> tuple[Sizes, Least]:
    """Return the symbolic sizes of a decoder, without its experts; a group of query heads may be one head."""
    half, groups, heads = map(positive, ("half_head_dim", "heads_per_key_value_head", "num_key_value_heads"))
    sizes = {
        "hidden_size": 2 * half * groups * heads,
        "num_attention_heads": groups * heads,
        "num_key_value_heads": heads,
        **{name: positive(name) for name in (
            "intermediate_size", "moe_intermediate_size", "n_shared_experts", "vocab_size",
        )},
    }  # fmt: skip
    return sizes, {groups: 1}


def make_vision_sizes(architecture: DeepSeekOCRArchitecture) -> Sizes:
    """Return the symbolic widths of the towers and the projector."""
    sam_heads, clip_heads = positive("sam_num_attention_heads"), positive("clip_num_attention_heads")
    return {
        "sam_hidden_size": sam_heads * positive("sam_head_dim"),
        "sam_num_attention_heads": sam_heads,
        "clip_hidden_size": clip_heads * positive("clip_head_dim"),
        "clip_num_attention_heads": clip_heads,
        # The decoder that takes the features keeps its heads.
        "hidden_size": 2 * architecture.num_attention_heads * positive("half_head_dim"),
        **{name: positive(name) for name in (
            "sam_intermediate_size", "sam_neck_channels", "sam_downsample_channels", "clip_intermediate_size",
        )},
    }  # fmt: skip


def list_decoder_sets(architecture: DeepSeekOCRArchitecture) -> Iterator[CaseSet]:
    """Yield the decoder with symbolic sizes, in both implementations; the experts' numbers only in transformers."""
    shared = take_all_experts(architecture)
    sizes, least = make_decoder_sizes()
    yield CaseSet(
        name="decoder sizes",
        architecture=shared,
        cases=(
            reference_cases.make_prefill_case(shared, sizes, least=least),
            reference_cases.make_decode_case(shared, sizes, least=least),
        ),
        symbolic=sizes.keys(),
    )
    per_token, more = positive("num_experts_per_tok"), positive("experts_that_a_token_leaves_out")
    all_sizes = {**sizes, "n_routed_experts": per_token + more, "num_experts_per_tok": per_token}
    head_dim = 2 * positive("half_head_dim")
    cases = tuple(
        make_case(architecture, all_sizes, least={**least, more: 0}, assumed=(limit,))
        for make_case in (transformers_cases.make_prefill_case, transformers_cases.make_decode_case)
        # transformers leaves it to the kernel to share key and value heads, but for large heads.
        for limit in (head_dim <= 256, head_dim > 256)
    )
    yield CaseSet(
        name="decoder sizes and experts in transformers", architecture=architecture, cases=cases,
        counterparts=TRANSFORMERS, symbolic=all_sizes.keys(),
    )  # fmt: skip


def list_expert_sets(architecture: DeepSeekOCRArchitecture) -> Iterator[CaseSet]:
    """Yield the decoder with numbers of experts, since a number of modules is no symbol; its other sizes are."""
    sizes, _ = make_decoder_sizes()
    for experts, per_token in EXPERT_POINTS:
        model = evolve(architecture, n_routed_experts=experts, num_experts_per_tok=per_token)
        case = reference_cases.make_prefill_case(model, sizes, least={})
        # A multiple of the experts, so that each takes the same number of tokens.
        batch_size = {"batch_size": experts * positive("n")}
        yield CaseSet(
            name=f"{per_token} of {experts} experts",
            architecture=model,
            cases=(
                evolve(
                    case,
                    name=f"{case.name}, {per_token} of {experts} experts",
                    inputs={**case.inputs, **batch_size},
                    sizes={**case.sizes, **batch_size, "n_routed_experts": experts, "num_experts_per_tok": per_token},
                    kind="exact at n points",
                ),
            ),
            symbolic=sizes.keys(),
        )


def list_vision_sets(architecture: DeepSeekOCRArchitecture, residues: Sequence[int]) -> Iterator[CaseSet]:
    """Yield the towers with symbolic widths, patch size and trained grids, for grids of some residue classes.

    Where a grid is the trained one, no resize is needed, and a trained grid of one patch is not copied: those are cases
    of their own, for the first class. Matrix products do not depend on the trained grids, so transformers keeps them.
    """
    shared = take_all_experts(architecture)
    sam_grid, clip_grid = positive("sam_pretrain_grid_size"), positive("clip_pretrain_grid_size")
    patch_size = positive("sam_patch_size")
    widths = make_vision_sizes(architecture)

    def trained_on(sam: sympy.Expr, clip: sympy.Expr) -> dict[str, sympy.Expr]:
        return {
            "sam_patch_size": patch_size,
            "sam_image_size": sympy.expand(sam * patch_size),
            "clip_image_size": sympy.expand(clip * architecture.clip_patch_size),
        }

    pages, views = [], []
    vendor = {**widths, "sam_patch_size": patch_size, "sam_image_size": 64 * patch_size}
    for residue in residues:
        grid = make_grid(architecture, residue)
        tokens = resolve(vision_tokens.grid_size(grid, 1), Domain())
        side = sympy.expand(grid * patch_size)
        trained_grids = [(sam_grid, clip_grid)]
        if residue == residues[0]:
            one = sympy.Integer(1)
            trained_grids += [(grid, clip_grid), (sam_grid, tokens), (one, clip_grid), (sam_grid, one)]
        for sam, clip in trained_grids:
            resized = [sympy.Ne(trained, size) for trained, size in ((sam, grid), (clip, tokens)) if trained != size]
            pages.append(
                reference_cases.make_page_case(
                    shared,
                    side,
                    symbolic={**widths, **trained_on(sam, clip)},
                    assumed=tuple(relation for relation in resized if relation != sympy.true),
                )
            )
        views.append(transformers_cases.make_views_case(architecture, side, symbolic=vendor))
    yield CaseSet(
        name="tower sizes", architecture=shared, cases=tuple(pages),
        symbolic=[*widths, *trained_on(sam_grid, clip_grid)],
    )  # fmt: skip
    yield CaseSet(
        name="tower sizes in transformers", architecture=architecture, cases=tuple(views), counterparts=TRANSFORMERS,
        symbolic=vendor.keys(),
    )  # fmt: skip


def list_window_sets(architecture: DeepSeekOCRArchitecture, *, is_every_corner: bool) -> Iterator[CaseSet]:
    """Yield a block with a symbolic window, padding and number of windows: any grid, without residue classes.

    A window of pad + rest + 1 patches can have any padding from 0 to pad; it is ``pad`` here.
    """
    pad, rest, windows, heads = map(positive, ("pad", "rest", "windows_per_side", "sam_num_attention_heads"))
    sizes = {
        "sam_hidden_size": heads * positive("sam_head_dim"),
        "sam_num_attention_heads": heads,
        "sam_intermediate_size": positive("sam_intermediate_size"),
        "sam_window_size": pad + rest + 1,
    }
    grid = sympy.expand((pad + rest + 1) * windows - pad)
    least: Least = {pad: 0, rest: 0, windows: 1, BATCH_SIZE: 1} if is_every_corner else {}
    # One head of one window is not copied; how many there are makes no difference to products.
    with_one_head = {**least, heads: 1} if is_every_corner else {}
    shared = take_all_experts(architecture)
    yield CaseSet(
        name="window", architecture=shared,
        cases=(reference_cases.make_window_case(shared, sizes, grid, least=with_one_head),), symbolic=sizes.keys(),
    )  # fmt: skip
    yield CaseSet(
        name="window in transformers", architecture=architecture,
        cases=(transformers_cases.make_window_case(architecture, sizes, grid, least=least),),
        counterparts=TRANSFORMERS, symbolic=sizes.keys(),
    )  # fmt: skip
