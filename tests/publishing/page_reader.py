"""Reads a page as people do: with nothing but its formulas, the parts that it names and values for its sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from latex_reader import Number, Reader, split_equation

from modelmeter.analysis.catalogue import LayerEntry
from modelmeter.backends.latex.printer import print_display, print_latex
from modelmeter.backends.presentation.tree import Display
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.functions import Size
from modelmeter.metrics.metric import FUSED_IO
from modelmeter.models.deepseek_ocr.dimensions import LOCAL_SIZES
from modelmeter.models.deepseek_ocr.latex_names import LATEX_NAMES
from modelmeter.publishing.formula import Shown
from modelmeter.publishing.page_spec import FormulaSection, Pages
from modelmeter.publishing.pages import build_pages, render_pages

_BITS = {"weight_bits": 5, "activation_bits": 11, "kv_bits": 3}
"""Odd and different, so that no kind of element passes for another and bytes are fractions."""

_FLOAT32 = {"weight_bits": 32, "activation_bits": 32, "kv_bits": 32}

WORKLOADS = (
    {"batch_size": 3, "vision_batch_size": 1, "base_size": 1063, "image_size": 457, "num_width_tiles": 5,
     "num_height_tiles": 2, "seq_len": 1999, "logits_tokens": 17, "decode_steps": 29, **_BITS},
    {"batch_size": 7, "vision_batch_size": 7, "base_size": 1024, "image_size": 1024, "num_width_tiles": 1,
     "num_height_tiles": 1, "seq_len": 331, "logits_tokens": 331, "decode_steps": 0, **_BITS},
    {"batch_size": 1, "vision_batch_size": 1, "base_size": 640, "image_size": 29, "num_width_tiles": 1,
     "num_height_tiles": 3, "seq_len": 1201, "logits_tokens": 1, "decode_steps": 1, **_BITS},
    {"batch_size": 15, "images_per_prompt": 3, "vision_batch_size": 5, "base_size": 519, "image_size": 1039,
     "num_width_tiles": 3, "num_height_tiles": 1, "seq_len": 1801, "logits_tokens": 7, "decode_steps": 11, **_FLOAT32},
)  # fmt: skip
"""The towers take one page a call, all pages in one, and five of fifteen prompts with three images each; in the last,
nothing is cast."""


def build(model: CompiledModel) -> Pages:
    """Return what the pages of a compiled model say."""
    return build_pages(
        definition=model.definition, model=model.model, totals=model.totals, peaks=model.peaks,
        catalogue=model.catalogue, defaults=model.defaults,
    )  # fmt: skip


def render(model: CompiledModel, **options: Any) -> dict[str, str]:
    """Return the text of the pages of a compiled model."""
    return render_pages(
        definition=model.definition,
        model=model.model,
        totals=model.totals,
        peaks=model.peaks,
        catalogue=model.catalogue,
        defaults=model.defaults,
        name=model.name,
        **options,
    )


def odd_sizes(model: CompiledModel, workload: Mapping[str, int]) -> dict[str, int]:
    """Return a value for every size: the architecture and workload, and different odd numbers for local ones."""
    numbers = count(11, 2)
    local = {name: next(numbers) for name in LOCAL_SIZES}
    # A view is larger than a patch, and an image larger than a kernel.
    local |= {"view_size": 997, "height": 211, "width": 307}
    return {**local, **model.defaults, **workload, "decode_step": workload["decode_steps"]}


def sections(pages: Pages) -> dict[str, FormulaSection]:
    """Return every section of every page, by the page and, for another form of a layer, its flags."""
    found = {f"stages/{page.name}": page.section for page in pages.stages}
    for page in pages.layers:
        found[f"layers/{page.name}"] = page.section
        found |= {f"layers/{page.name} {variant.flags}": variant.section for variant in page.variants}
    return found


def entries(model: CompiledModel) -> dict[str, LayerEntry]:
    """Return the layer classes by name."""
    return {entry.name: entry for entry in model.catalogue}


def formula_of_layer(entry: LayerEntry, metric: Shown) -> Size:
    """Return what the page of a layer class shows of a metric."""
    return entry.fused_io_bytes if metric == FUSED_IO else entry.cost[metric]


def formula_of_page(model: CompiledModel, page: str, metric: Shown) -> Size:
    """Return what the page of a stage or a training step, which is not made of others, shows of a metric."""
    if metric == FUSED_IO:
        return model.totals.fused_io_by_stage[page]
    return {**model.totals.by_stage, "training_step": model.training_step}[page][metric]


def open_page(section: FormulaSection, sizes: Mapping[str, int]) -> Reader:
    """Return a reader that knows what the page says about itself, and the value of every size that it lists."""
    reader = Reader({row.symbol.letter: sizes[row.name] for row in section.sizes})
    for part in section.parts:  # each may use the ones before it
        reader.values[part.name.letter] = reader.read(print_latex(part.definition))
    return reader


def read_metric(section: FormulaSection, metric: Shown, sizes: Mapping[str, int]) -> Number:
    """Return the value of a metric as the page's text has it."""
    blocks = next(block.blocks for block in section.metrics if block.metric == metric)
    return read_blocks(section, metric, blocks, sizes)


def read_blocks(section: FormulaSection, name: str, blocks: Sequence[Display], sizes: Mapping[str, int]) -> Number:
    """Return the value of what the first of ``blocks`` defines; the others are functions in it."""
    reader = open_page(section, sizes)
    for block in blocks[1:]:
        left, right = split_equation(print_display(block))
        reader.values[left.partition("(")[0]] = _function(section, right, sizes)
    left, right = split_equation(print_display(blocks[0]))
    assert left == rf"\mathtt{{{name.replace('_', chr(92) + '_')}}}"
    return reader.read(right)


def _function(section: FormulaSection, right: str, sizes: Mapping[str, int]) -> Callable[[Number, Number], Number]:
    """Return the function of a view that a page defines."""

    def call(views: Number, side: Number) -> Number:
        return open_page(section, {**sizes, "num_views": int(views), "view_size": int(side)}).read(right)

    return call


def name_of(latex: str) -> str:
    """Return the name of the size that is written ``latex``."""
    return next(name for name, written in LATEX_NAMES.items() if written == latex)
