"""Stage pages: their text has the value of the totals, and their tables add up."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from page_reader import (
    WORKLOADS,
    build,
    formula_of_page,
    odd_sizes,
    open_page,
    read_blocks,
    read_metric,
)

from modelmeter.backends.latex.printer import print_latex
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.metrics.metric import FLOWS, FUSED_IO, METRICS, PEAK
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.publishing.formula import SHOWN, Formula, Shown
from modelmeter.publishing.page_spec import Pages, StagePage
from modelmeter.publishing.pages import build_pages

# Grids of 3 and 5 patches, of 15 and 131: other operators are the peak. In float32 nothing is cast.
SMALL_VIEWS = tuple(
    {**WORKLOADS[place], "base_size": base, "image_size": image, "batch_size": pages, "vision_batch_size": call,
     "logits_tokens": 1}
    for place in (0, 3)
    for base, image, pages, call in (
        (48, 80, 1, 1), (240, 48, 5, 5), (80, 240, 3, 1), (48, 2096, 1, 1), (2096, 48, 1, 1), (1024, 16, 21, 7)
    )
)  # fmt: skip


def test_the_sources_of_the_stage_pages_are_the_totals(compiled: CompiledModel, pages: Pages) -> None:
    for page in list_own_pages(pages):
        for block in page.section.metrics:
            for workload in WORKLOADS:
                sizes = odd_sizes(compiled, workload)
                expected = evaluate(formula_of_page(compiled, page.name, block.metric), sizes)
                assert sum_of_sources(block.formula, sizes) == expected, (page.name, block.metric)


def list_own_pages(pages: Pages) -> list[StagePage]:
    return [page for page in pages.stages if page.name != "request"]


def find_request_page(pages: Pages) -> StagePage:
    (request,) = (page for page in pages.stages if page.name == "request")
    return request


def sum_of_sources(formula: Formula, sizes: dict[str, int]) -> int | Fraction:
    return sum((evaluate(part.source, sizes) for part in formula.parts), start=Fraction(0))


def cost_of_request(model: CompiledModel, metric: Shown, sizes: dict[str, int]) -> int | Fraction:
    if metric == FUSED_IO:
        return sum(evaluate(size, sizes) for size in model.totals.fused_io_by_stage.values())
    if metric == "activation_bytes":
        return max(evaluate(cost.activation_bytes, sizes) for cost in model.totals.by_stage.values())
    return evaluate(model.totals.total[metric], sizes)


@pytest.mark.parametrize("workload", WORKLOADS, ids=["tiles", "no tiles", "one column", "float32"])
def test_a_reader_of_a_stage_page_gets_its_exact_cost(
    compiled: CompiledModel, pages: Pages, workload: dict[str, int]
) -> None:
    """Nothing but the text of the formulas, the parts that it names and values for its sizes is used."""
    sizes = odd_sizes(compiled, workload)
    for page in pages.stages:
        shown = [block.metric for block in page.section.metrics]
        assert shown == list(METRICS if page.name == "training_step" else SHOWN)
        for metric in shown:
            if page.name == "request":
                expected = cost_of_request(compiled, metric, sizes)
            else:
                expected = evaluate(formula_of_page(compiled, page.name, metric), sizes)
            assert read_metric(page.section, metric, sizes) == expected, (page.name, metric)


@pytest.mark.parametrize("workload", [*WORKLOADS, *SMALL_VIEWS], ids=str)
def test_a_reader_of_a_stage_page_gets_its_exact_peak(
    compiled: CompiledModel, pages: Pages, workload: dict[str, int]
) -> None:
    sizes = odd_sizes(compiled, workload)
    for page in (page for page in pages.stages if page.name in compiled.peaks):
        expected = evaluate(compiled.peaks[page.name].formula, sizes)
        assert read_blocks(page.section, PEAK, page.peak.blocks, sizes) == expected, page.name


def test_stages_say_their_peak_and_the_layer_it_is_in(published: CompiledModel) -> None:
    found = {page.name: page.peak for page in build(published).stages if page.peak}
    assert found.keys() == {*published.peaks, "request"}
    # Of all 913 positions: 129,280 logits of 2 bytes and their copy of 4, 1,280 hidden channels, and the token id.
    assert found["prefill"].value == 913 * (129_280 * (2 + 4) + 1_280 * 2 + 8)
    assert found["prefill"].place.title == "DeepseekOCRForCausalLM"
    # Six tiles of 40 x 40 patches of 768 channels in a global block of SAM. Alive are as many pixels, the residual, its
    # norm, q, k and v together and each copied, what attention returns, and the projection of it: 1 + 1 + 1 + 3 + 3 +
    # 1 + 1 = 11 times 768. And for each of 12 heads the bias of all pairs, and rel_h and rel_w of 40 each. And the
    # prompt: 913 embeddings of 1,280 channels, and the token ids. And the 3 x 1024 x 1024 pixels of the global view,
    # which wait their turn. The last to be written is the projection, a Linear.
    attention = 6 * 1600 * (11 * 768 + 12 * (1600 + 2 * 40))
    assert found["vision"].value == 2 * (attention + 913 * 1_280 + 3 * 1024 * 1024) + 8 * 913
    assert found["vision"].place.title == "Linear"
    # The vendor's own forward keeps 557,910,553 alive there: one byte of each of 913 tokens tells which are images.
    assert found["vision"].value == 557_910_553 - 913
    assert found["request"].value == max(peak.value for peak in found.values())
    assert (found["request"].blocks, found["request"].place.page) == ((), "stages/prefill.md")


def test_the_published_views_cost_what_pytorch_counts(published: CompiledModel) -> None:
    """A view through vision and projector, read off the page: FlopCounterMode's counts of the published model."""
    stages = {page.name: page.section for page in build(published).stages}
    for side, expected in ((640, 388_149_837_824), (1024, 1_139_967_033_344)):
        sizes = odd_sizes(published, {**WORKLOADS[1], "batch_size": 1, "vision_batch_size": 1, "base_size": side})
        assert expected == sum(
            read_metric(stages[stage], "tensor_core_flops", sizes) for stage in ("vision", "projector")
        )


def test_the_request_page_says_which_sizes_follow_from_others(compiled: CompiledModel, pages: Pages) -> None:
    page = find_request_page(pages)
    assert compiled.architecture.sam_patch_size == 16, "what Workload counts image tokens for"
    default = Workload()
    for workload in (
        default,
        Workload(base_size=1063, image_size=457, num_width_tiles=5, num_height_tiles=2, prompt_tokens=3),
        Workload(num_width_tiles=1, num_height_tiles=1, max_new_tokens=7),
    ):
        sizes = {**odd_sizes(compiled, WORKLOADS[0]), **workload.dimension_values()}
        reader = open_page(page.section, sizes)
        for part in page.chained:
            assert reader.read(print_latex(part.definition)) == sizes[part.name.name], part


def test_the_modules_of_a_stage_add_up_to_it(compiled: CompiledModel, pages: Pages) -> None:
    for page in list_own_pages(pages):
        for metric, shares in zip(METRICS, zip(*(row.shares for row in page.modules), strict=True), strict=True):
            expected = evaluate(formula_of_page(compiled, page.name, metric), compiled.defaults)
            assert sum(share.value for share in shares) == expected
            assert {share.total for share in shares} == {expected}


def test_the_stages_add_up_to_the_flows_of_the_request(compiled: CompiledModel, pages: Pages) -> None:
    page = find_request_page(pages)
    for metric, shares in zip(METRICS, zip(*(row.shares for row in page.modules), strict=True), strict=True):
        if metric in FLOWS:
            expected = cost_of_request(compiled, metric, dict(compiled.defaults))
            assert sum(share.value for share in shares) == expected
            assert {share.total for share in shares} == {expected}
        else:
            assert {share.total for share in shares} == {None}, "states do not add up"


def test_values_are_rounded_up_to_whole_bytes(published: CompiledModel) -> None:
    # A view of an odd side has an odd number of pixels, three for each place.
    sizes = {**published.defaults, "base_size": 1063, "weight_bits": 5, "activation_bits": 11, "kv_bits": 3}
    pages = build_pages(
        definition=published.definition, model=published.model, totals=published.totals, peaks=published.peaks,
        catalogue=published.catalogue, defaults=sizes,
    )  # fmt: skip
    is_broken = False
    for page in list_own_pages(pages):
        for block in page.section.metrics:
            exact = evaluate(formula_of_page(published, page.name, block.metric), sizes)
            assert block.value == ceil(exact)
            is_broken = is_broken or block.value != exact
    assert is_broken, "no value had to be rounded"
