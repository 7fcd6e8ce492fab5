"""Parts of a model that studies compare: stages, groups of operators, and distinct matrix products."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import sympy
from attrs import frozen

from modelmeter.analysis.breakdown import OperatorRow
from modelmeter.dimensions.functions import CeilDiv, FloorDiv
from modelmeter.metrics.metric import METRIC_RECORDS
from modelmeter.metrics.operator_table import ATTENTION, EAGER_ATTENTION
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.sources import stage
from modelmeter.scaling.studies.asking import Worded
from modelmeter.scaling.studies.words import METRIC_WORDS

ATTENTIONS: Final = (ATTENTION, EAGER_ATTENTION)
"""The operators that are one attention each: a fused one, and what a kernel would do of one that code spells out."""

ATTENTION_PART: Final = "attention-products"
"""The products of queries, keys and values, as a part of a stage."""

LAST_LOGITS: Final[Mapping[str, int]] = {"logits_tokens": 1}
"""What serving programs compute of a prompt: the logits of its last position only."""

_MEMBERS: Final = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
"""The component of a path that stands for alike siblings."""


def stage_words(name: str) -> str:
    """Return how sentences call a stage."""
    words = name.replace("_", " ")
    return "a request" if name == REQUEST else f"a {words}" if name == TRAINING_STEP else f"the {words} stage"


def stage_metric(model: CompiledFormulas, name: str, metric: str, **sizes: int) -> Worded:
    """Return a metric of a stage, at sizes."""
    quantity = stage(model, name).metric(metric).at(**sizes)
    return Worded(quantity, f"{METRIC_WORDS[metric]} of {stage_words(name)}")


def depends_on(quantity: Quantity, over: str) -> bool:
    """Tell whether a size is in a formula, or in what its sizes follow from."""
    formula, _ = quantity.context.fill(quantity.formula, quantity.values, [over])
    return any(symbol.name == over for symbol in formula.free_symbols)


def name_following(worded: Worded, over: str) -> Worded:
    """Return a quantity whose words name the sizes in it that equal another unless they are given.

    Over the prompt, the logits are those of all its positions: ``logits_tokens = seq_len``.
    """
    quantity = worded.quantity
    listed = [
        f"{name} = {over}"
        for name, formula in quantity.context.derivations
        if name not in quantity.values and getattr(formula, "name", "") == over and depends_on(quantity, name)
    ]
    return Worded(quantity, f"{worded.words} at {', '.join(listed)}", worded.fixed) if listed else worded


def list_variants(model: CompiledFormulas, worded: Worded, over: str) -> Iterator[tuple[str, Worded]]:
    """Yield a quantity over a size by what ids add: as it is, and with logits of the last position only."""
    named = name_following(worded, over)
    yield "", named
    if named is not worded and LAST_LOGITS.keys() <= model.defaults.keys():
        last = f"{worded.words} with logits of the last position only"
        yield "-last-logits", Worded(worded.quantity.at(**LAST_LOGITS), last, worded.fixed)


def rounds(quantity: Quantity, over: str) -> bool:
    """Tell whether a formula rounds a size, so that it jumps and has no derivative."""
    formula, _ = quantity.context.fill(quantity.formula, quantity.values, [over])
    roundings = formula.atoms(CeilDiv, FloorDiv)
    return any(symbol.name == over for each in roundings for symbol in each.free_symbols)


def find_output_size(model: CompiledFormulas) -> str | None:
    """Return the size that says how much is put out: what the steps of the loop follow from, or their number."""
    loop = model.definition.loop
    if loop is None:
        return None
    count = str(loop.count.name)
    sources = [
        term
        for each in model.definition.derivations
        if each.name == count
        for term in each.terms
        if isinstance(term, str) and term in model.defaults
    ]
    return sources[0] if len(sources) == 1 else count


@frozen
class Product:
    """Matrix products of one cost in a stage: of one module, or of several alike."""

    id: str
    stage: str
    rows: tuple[OperatorRow, ...]

    @property
    def words(self) -> str:
        """The modules, for people."""
        names = list(dict.fromkeys(name_row(row) for row in self.rows))
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        return f"{listed} in {stage_words(self.stage)}"


def name_row(row: OperatorRow) -> str:
    """Return the last names of a module path, those of alike siblings left out; attention has the operator's."""
    names = [name for name in row.path.split(".") if not _MEMBERS.fullmatch(name)]
    return row.operator if row.operator in ATTENTIONS else ".".join(names[-2:])


def slug(text: str) -> str:
    """Return a text as a part of an id."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("_", "-")).strip("-.")


def list_products(model: CompiledFormulas, name: str) -> Iterator[Product]:
    """Yield the operators of a stage that multiply matrices, those of one cost together.

    Two of one cost in another number of layers have the same roofline, and are together too.
    """
    found: dict[object, list[OperatorRow]] = {}
    sizes = {each: sympy.Integer(value) for each, value in model.architecture.dimension_values().items()}
    for row in model.operators(name):
        flops = sympy.sympify(row.cost.tensor_core_flops)
        if flops == 0:
            continue
        ratio = _ratio(flops, sympy.sympify(row.cost.io_bytes), sizes)
        found.setdefault(ratio, []).append(row)
    used: dict[str, int] = {}
    for rows in found.values():
        base = slug(name_row(rows[0]))
        used[base] = used.get(base, 0) + 1
        yield Product(base if used[base] == 1 else f"{base}-{used[base]}", name, tuple(rows))


def _ratio(flops: sympy.Expr, moved: sympy.Expr, sizes: Mapping[str, sympy.Expr]) -> sympy.Expr:
    """Return bytes over FLOPs with the numbers of the architecture: what tells one roofline from another."""
    filled = [
        each.xreplace({symbol: sizes[symbol.name] for symbol in each.free_symbols if symbol.name in sizes})
        for each in (moved, flops)
    ]
    return sympy.expand(filled[0] / filled[1])


def row_metric(model: CompiledFormulas, product: Product, metric: str) -> Quantity:
    """Return what one of the products costs: the first; the others cost the same in proportion."""
    first = product.rows[0]
    whole = stage(model, product.stage).metric("tensor_core_flops")
    name = f"{product.stage}.modules({first.path}).operator({first.operator}).{metric}"
    return Quantity(
        formula=getattr(first.cost, metric), name=name,
        unit=METRIC_RECORDS[metric].unit, context=whole.context,
    )  # fmt: skip


def component_of(row: OperatorRow) -> str:
    """Return the part of a layer that an operator belongs to: what follows the index in its path, or its module.

    The product of queries, keys and values is a part of its own.
    """
    if row.operator in ATTENTIONS:
        return ATTENTION_PART
    names = row.path.split(".")
    for place, name in enumerate(names[:-1]):
        if _MEMBERS.fullmatch(name):
            return names[place + 1]
    return names[-1] or "model"


def module_of(row: OperatorRow) -> str:
    """Return the modules inside a layer that an operator belongs to, the innermost left out: ``mlp.experts``.

    The product of queries, keys and values is one of its own.
    """
    if row.operator in ATTENTIONS:
        return "attention products"
    names = row.path.split(".")
    place = next((place for place, name in enumerate(names[:-1]) if _MEMBERS.fullmatch(name)), None)
    inside = [name for name in names[0 if place is None else place + 1 :] if not _MEMBERS.fullmatch(name)]
    return ".".join(inside[:-1] if place is not None and len(inside) > 1 else inside[-1:]) or "model"


def component_words(component: str) -> str:
    """Return how sentences call a part: what is not the attention products has them not."""
    return (
        "the attention products"
        if component == ATTENTION_PART
        else f"{component} (attention products apart)"
        if "attn" in component or "attention" in component
        else component
    )


def list_components(model: CompiledFormulas, name: str) -> tuple[str, ...]:
    """Return the parts of a stage that multiply matrices, in the order in which they run."""
    found = (component_of(row) for row in model.operators(name) if row.cost.tensor_core_flops != 0)
    return tuple(dict.fromkeys(found))


def component_metric(model: CompiledFormulas, name: str, component: str, metric: str) -> Worded:
    """Return a metric of a part of a stage, over all layers."""
    rows = [row for row in model.operators(name) if component_of(row) == component]
    whole = stage(model, name).metric("tensor_core_flops")
    quantity = Quantity(
        formula=sympy.Add(*(getattr(row.cost, metric) for row in rows)), name=f"{name}.part({component}).{metric}",
        unit=METRIC_RECORDS[metric].unit, context=whole.context,
    )  # fmt: skip
    return Worded(quantity, f"{METRIC_WORDS[metric]} of {component_words(component)} in {stage_words(name)}")
