"""Hypothesis strategies for valid records of the analytic data models."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from llm_perf_opt.data import (
    AnalyticModelReport,
    AnalyticModuleNode,
    DeepSeekOCRModelSpec,
    ModuleMetricsSnapshot,
    OCRWorkloadProfile,
    OperatorCategory,
    OperatorMetrics,
)

# Names that some reader of YAML or JSON takes for something else than text.
AWKWARD_NAMES = (
    "1e5",
    "010",
    "1_000",
    "yes",
    "null",
    "~",
    "true",
    ".nan",
    "2024-02-29",
    "1:30",
    "- a",
    "a: b",
    "#",
    "<<",
)

visible = st.characters(exclude_categories=("C", "Z"))
identifiers = st.sampled_from(AWKWARD_NAMES) | st.text(visible, min_size=1, max_size=8)
texts = st.sampled_from(("", " ", "two\nlines\r\n", "\x85", "\u2028", "\x00\ufeff")) | st.text(
    st.characters(exclude_categories=("Cs",)), max_size=12
)
absolute_paths = st.builds(
    "{}{}".format, st.sampled_from(("/", "C:\\", "d:/", "\\\\host\\")), st.text(visible, max_size=8)
)
sizes = st.integers(1, 2**63 - 1)
counts = st.integers(0, 2**63 - 1)
numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
shares = st.floats(min_value=0, max_value=1)
argument_scalars = st.one_of(
    texts,
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
arguments = st.dictionaries(identifiers, argument_scalars | st.lists(argument_scalars, max_size=3), max_size=3)

model_specs = st.builds(
    DeepSeekOCRModelSpec,
    model_id=identifiers,
    model_variant=identifiers,
    hf_revision=st.none() | identifiers,
    config_path=st.none() | absolute_paths,
    hidden_size=sizes,
    intermediate_size=sizes,
    num_layers=sizes,
    num_attention_heads=sizes,
    vision_backbone=st.sampled_from(("sam_vit_b", "clip_vit_l", "other")),
    uses_moe=st.booleans(),
    notes=texts,
)


@st.composite
def workload_profiles(draw: st.DrawFn) -> OCRWorkloadProfile:
    """Profiles with views of a patch, 16 pixels, up to 1280 pixels, and up to 3 x 3 tiles, or a page.

    A side of 1280 pixels gives a grid of 20, so a page has at most 20 * 21 + 1 + 3 * 20 * (3 * 20 + 1) = 4081
    image tokens. A page has at most 9 tiles, and in a row or a column they are fewer tokens.
    """
    crop_mode = draw(st.booleans())
    grid = st.integers(1, 3 if crop_mode else 1)
    tiles = draw(st.sampled_from(((None, None), (0, 0))) | st.tuples(grid, grid))
    sides = st.integers(1, 5000)
    page = draw(st.tuples(sides, sides)) if tiles == (None, None) and draw(st.booleans()) else (None, None)
    images_per_prompt = draw(st.integers(1, 7))
    vision_batch_size = draw(st.integers(1, 2**31))
    return OCRWorkloadProfile(
        profile_id=draw(identifiers),
        description=draw(texts),
        seq_len=draw(st.integers(4081 * images_per_prompt, 2**63 - 1)),
        base_size=draw(st.integers(16, 1280)),
        image_size=draw(st.integers(16, 1280)),
        crop_mode=crop_mode,
        max_new_tokens=draw(sizes),
        doc_kind=draw(st.sampled_from(("text_heavy", "mixed_layout", "image_rich", "synthetic"))),
        num_pages=vision_batch_size * draw(st.integers(1, 2**31)),
        num_width_tiles=tiles[0],
        num_height_tiles=tiles[1],
        page_width=page[0],
        page_height=page[1],
        preprocessing=draw(st.sampled_from((None, "transformers", "serving"))),
        images_per_prompt=images_per_prompt,
        vision_batch_size=vision_batch_size,
        logits_tokens=draw(st.none() | st.integers(1, 4081)),
    )


@st.composite
def module_trees(draw: st.DrawFn, min_size: int = 1) -> list[AnalyticModuleNode]:
    """Trees of up to six modules, listed in any order."""
    ids = draw(st.lists(identifiers, min_size=min_size, max_size=6, unique=True))
    parents = [None, *(draw(st.integers(0, index - 1)) for index in range(1, len(ids)))]
    nodes = []
    for index, module_id in enumerate(ids):
        repetition = draw(st.sampled_from(("none", "for", "parfor")))
        parent = parents[index]
        nodes.append(
            AnalyticModuleNode(
                module_id=module_id,
                name=draw(identifiers),
                qualified_class_name=draw(identifiers),
                stage=draw(st.sampled_from(("vision", "projector", "prefill", "decode", "other"))),
                parent_id=None if parent is None else ids[parent],
                children=draw(st.permutations([ids[child] for child, of in enumerate(parents) if of == index])),
                repetition=repetition,
                repetition_count=1 if repetition == "none" else draw(sizes),
                constructor_params=draw(arguments),
            )
        )
    return draw(st.permutations(nodes))


@st.composite
def twins(draw: st.DrawFn, units: dict[tuple[str, str], int]) -> dict[str, Any]:
    """Numbers in the units of the first specification; in half of the cases with the exact counts that they say."""
    if draw(st.booleans()):
        return {scaled: draw(numbers) for scaled, _ in units}
    exact = {name: draw(counts) for _, name in units}
    return {**exact, **{scaled: exact[name] / unit for (scaled, name), unit in units.items()}}


OPERATOR_UNITS = {("flops_tflops", "flops"): 10**12, ("io_tb", "io_bytes"): 125 * 10**9}
MODULE_UNITS = {
    ("total_flops_tflops", "flops"): 10**12, ("total_io_tb", "io_bytes"): 125 * 10**9,
    ("memory_weights_gb", "weight_bytes"): 2**30, ("memory_activations_gb", "activation_bytes"): 2**30,
    ("memory_kvcache_gb", "kv_cache_bytes"): 2**30,
}  # fmt: skip


@st.composite
def operator_metrics(draw: st.DrawFn, category_id: str) -> OperatorMetrics:
    """Metrics of one operator category."""
    return OperatorMetrics(
        category_id=category_id,
        calls=draw(counts),
        share_of_module_flops=draw(shares),
        **draw(twins(OPERATOR_UNITS)),
    )


@st.composite
def module_snapshots(draw: st.DrawFn, module_id: str, profile_id: str, categories: list[str]) -> ModuleMetricsSnapshot:
    """What one module costs, over some of the categories."""
    chosen = draw(st.lists(st.sampled_from(categories), unique=True)) if categories else []
    return ModuleMetricsSnapshot(
        module_id=module_id,
        profile_id=profile_id,
        calls=draw(counts),
        total_time_ms=draw(numbers),
        share_of_model_time=draw(shares),
        operator_breakdown=[draw(operator_metrics(category_id)) for category_id in chosen],
        **draw(twins(MODULE_UNITS)),
    )


@st.composite
def times(draw: st.DrawFn) -> dict[str, Any]:
    """A predicted time, and in half of the cases a measured one with the ratio."""
    predicted = draw(st.floats(0, 1e12))
    measured = draw(st.none() | st.floats(1e-6, 1e12))
    return {
        "predicted_total_time_ms": predicted,
        "measured_total_time_ms": measured,
        "predicted_vs_measured_ratio": None if measured is None else predicted / measured,
    }


@st.composite
def reports(draw: st.DrawFn, min_modules: int = 1) -> AnalyticModelReport:
    """Valid reports of at least ``min_modules`` modules."""
    workload = draw(workload_profiles())
    modules = draw(module_trees(min_size=min_modules))
    category_ids = draw(st.lists(identifiers, max_size=3, unique=True))
    measured = draw(st.lists(st.sampled_from([node.module_id for node in modules]), unique=True))
    return AnalyticModelReport(
        report_id=draw(identifiers),
        model=draw(model_specs),
        workload=workload,
        modules=modules,
        operator_categories=[
            OperatorCategory(
                category_id=category_id,
                display_name=draw(identifiers),
                description=draw(texts),
                match_classes=draw(st.lists(identifiers, max_size=2, unique=True)),
            )
            for category_id in category_ids
        ],
        module_metrics=[draw(module_snapshots(module_id, workload.profile_id, category_ids)) for module_id in measured],
        profile_run_id=draw(st.none() | identifiers),
        notes=draw(texts),
        layer_docs_dir=draw(st.none() | absolute_paths),
        **draw(times()),
    )
