"""Layer pages: their text has the value of the layer, and their tables add up to it."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from attrs import evolve, fields
from page_reader import WORKLOADS, build, entries, formula_of_layer, odd_sizes, open_page, read_metric

from modelmeter.analysis.catalogue import LayerEntry
from modelmeter.backends.latex.printer import print_latex
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.layers.base import BaseLayer
from modelmeter.metrics.cost import Elements
from modelmeter.metrics.metric import FUSED_IO
from modelmeter.models.deepseek_ocr.latex_names import LATEX_NAMES
from modelmeter.publishing.formula import SHOWN
from modelmeter.publishing.page_spec import Pages


@pytest.mark.parametrize("workload", WORKLOADS, ids=["tiles", "no tiles", "one column", "float32"])
def test_a_reader_of_a_layer_page_gets_its_exact_cost(
    compiled: CompiledModel, pages: Pages, workload: dict[str, int]
) -> None:
    sizes = odd_sizes(compiled, workload)
    for page in pages.layers:
        entry = entries(compiled)[page.name]
        for metric in SHOWN:
            expected = evaluate(formula_of_layer(entry, metric), sizes)
            assert read_metric(page.section, metric, sizes) == expected, (page.name, metric)


def test_a_variant_shows_exactly_the_metrics_that_differ(compiled: CompiledModel, pages: Pages) -> None:
    sizes = odd_sizes(compiled, WORKLOADS[0])
    seen = {}
    for page in pages.layers:
        for variant in page.variants:
            layer = find_variant(compiled, entries(compiled)[page.name], variant.flags)
            seen[page.name, variant.flags] = [block.metric for block in variant.section.metrics]
            for block in variant.section.metrics:
                form = evolve(
                    entries(compiled)[page.name], cost=layer.cost, fused_io_bytes=layer.forward_fused_io_bytes()
                )
                expected = evaluate(formula_of_layer(form, block.metric), sizes)
                assert read_metric(variant.section, block.metric, sizes) == expected
    # A bias is read and stored; the sparse layer differs from the dense one in all but the cache.
    assert seen["linear", ("bias=False",)] == ["io_bytes", FUSED_IO, "weight_bytes"]
    assert seen["conv2d", ("bias=False",)] == ["io_bytes", FUSED_IO, "weight_bytes"]
    assert seen["deepseek_v2_decoder_layer", ("is_sparse=False",)] == list(SHOWN[:-1])
    assert len(seen) == 3


def find_variant(model: CompiledModel, entry: LayerEntry, flags: tuple[str, ...]) -> BaseLayer:
    return evolve(entry.layer, **{flag.partition("=")[0]: flag.endswith("True") for flag in flags})


def test_operators_and_modules_inside_add_up_to_the_layer(compiled: CompiledModel, pages: Pages) -> None:
    """The FLOPs of a layer are those in its operator table, and those on the pages of its modules."""
    sizes = odd_sizes(compiled, WORKLOADS[0])
    by_page = {f"layers/{page.name}.md": page for page in pages.layers}
    for page in pages.layers:
        if page.is_placed:  # its modules are called at other sizes in every stage
            continue
        reader = open_page(page.section, sizes)
        for metric in ("tensor_core_flops", "cuda_core_flops"):
            own = sum(
                (row.count * reader.read(print_latex(getattr(row, metric))) for row in page.operators),
                start=Fraction(0),
            )
            below = Fraction(0)
            for row in page.children:
                # Sizes that are not listed are those of this layer, named parts included.
                inner = {name: reader.values.get(LATEX_NAMES[name], size) for name, size in sizes.items()}
                for symbol, formula in row.sizes:
                    inner[symbol.name] = reader.read(print_latex(formula))  # type: ignore[assignment]  # a share may be broken
                calls = reader.read(print_latex(row.count)) * reader.read(print_latex(row.times))
                below += calls * read_metric(by_page[row.layer.page].section, metric, inner) if calls else 0
            assert own + below == read_metric(page.section, metric, sizes), (page.name, metric)


def test_the_elements_in_the_operator_table_are_the_layers_own(compiled: CompiledModel, pages: Pages) -> None:
    sizes = odd_sizes(compiled, WORKLOADS[0])
    kinds = {
        "activations": "activation",
        "weights": "weight",
        "KV cache": "kv",
        "indices": "index",
        "in float32": "float32",
        "of one byte": "byte",
        "of states in float32": "state",
    }
    assert set(kinds.values()) == {kind.name for kind in fields(Elements)}
    for page in pages.layers:
        layer, reader = entries(compiled)[page.name].layer, open_page(page.section, sizes)
        for side in ("reads", "writes"):
            seen = dict.fromkeys(kinds.values(), Fraction(0))
            for row in page.operators:
                for kind, elements in getattr(row, side):
                    seen[kinds[kind]] += row.count * reader.read(print_latex(elements))
            expected = {
                kind: sum(
                    (Fraction(evaluate(getattr(getattr(each, side), kind), sizes)) for each in layer.operators()),
                    start=Fraction(0),
                )
                for kind in kinds.values()
            }
            assert seen == expected, (page.name, side)


def test_a_layers_share_is_the_total_of_its_class(compiled: CompiledModel, pages: Pages) -> None:
    by_class = compiled.totals.by_class
    for page in pages.layers:
        entry = entries(compiled)[page.name]
        if entry.class_name == "Linear":  # the LM head is one too, on a page of its own
            continue
        for row in page.shares:
            for stage, share in zip(page.stages, row.stages, strict=True):
                assert share.value == evaluate(by_class[entry.class_name][stage][row.metric], compiled.defaults)
                assert share.total == evaluate(compiled.totals.by_stage[stage][row.metric], compiled.defaults)


def test_weights_of_a_request_count_once(published: CompiledModel) -> None:
    """Prefill and decode use the same layers. All parameters: 3,336,106,240 at 2 bytes, as in the checkpoint."""
    pages = build(published)
    shares = {page.name: {row.metric: row.request for row in page.shares} for page in pages.layers}
    whole = shares["deepseek_ocr_for_causal_lm"]["weight_bytes"]
    assert whole is not None
    assert whole.value == whole.total == 2 * 3_336_106_240
    experts = shares["deepseek_v2_moe"]["weight_bytes"]
    assert experts is not None
    # 11 layers of 64 + 2 experts of three 1280 x 896 matrices, and a gate of 64 x 1280.
    assert experts.value == 2 * 11 * (66 * 3 * 1280 * 896 + 64 * 1280)


def test_occurrences_count_every_call_of_a_request(published: CompiledModel) -> None:
    pages = build(published)
    rows = {page.name: page.occurrences for page in pages.layers}
    calls = {name: [(row.path, row.stage, row.times) for row in found] for name, found in rows.items()}
    # 8 windowed and 4 global blocks, on the tiles and on the global view.
    assert [times for _, _, times in calls["block"]] == [8, 8, 4, 4]
    # The first decoder layer is dense; the other 11 run once in the prefill and in each of 1023 steps.
    assert calls["deepseek_v2_moe"] == [
        ("model.layers.1-11.mlp", "prefill", 11), ("model.layers.1-11.mlp", "decode", 11 * 1023)
    ]  # fmt: skip
    assert ("model.layers.1-11.mlp.experts.0-63", "prefill", 704) in calls["deepseek_v2_mlp"]
    # CLIP's own patch convolution is stored but never called.
    assert ("model.vision_model.embeddings.patch_embedding", "vision", 0) in calls["conv2d"]


def test_values_at_the_defaults_are_rounded_up_to_bytes(compiled: CompiledModel, pages: Pages) -> None:
    for page in pages.layers:
        entry = entries(compiled)[page.name]
        for block in page.section.metrics:
            expected = evaluate(formula_of_layer(entry, block.metric), entry.sizes)
            assert block.value == ceil(expected), (page.name, block.metric)


def test_a_page_says_which_form_its_evaluator_has(pages: Pages) -> None:
    flags = {page.name: page.flags for page in pages.layers if page.flags}
    assert flags == {
        "linear": ("bias=True",), "conv2d": ("bias=True",), "lm_head": ("bias=False",),
        "deepseek_v2_decoder_layer": ("is_sparse=True",),
    }  # fmt: skip


def test_the_sizes_of_a_layer_are_its_own(pages: Pages) -> None:
    """A batch of tiles is not one of pages; that of the whole model is."""
    units = {
        page.name: size.unit for page in pages.layers for size in page.section.sizes if size.name == "batch_size"
    }  # fmt: skip
    assert units.pop("deepseek_ocr_for_causal_lm") == units.pop("deepseek_ocr_model") == "pages"
    assert set(units.values()) == {"items"}
    assert {"conv2d", "llama_flash_attention2"} <= set(units)
