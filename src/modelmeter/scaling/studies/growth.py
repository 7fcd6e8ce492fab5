"""What studies over a size share: closed forms, leading terms, and which stage costs more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

import sympy

from modelmeter.metrics.metric import METRIC_RECORDS
from modelmeter.model.stages import REQUEST
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.studies.asking import ask_crossover, ask_growth
from modelmeter.scaling.studies.parts import depends_on, list_variants, name_following, slug, stage_metric
from modelmeter.scaling.studies.pictures import write_where
from modelmeter.scaling.studies.records import ClosedForm, IdentifiedStatement


def list_closed_forms(
    model: CompiledFormulas, over: str, metrics: Sequence[str], *, sizes: Mapping[str, int] | None = None
) -> Iterator[ClosedForm]:
    """Yield the formulas of the stages over a size, multiplied out, all other sizes at their defaults."""
    for name in model.definition.stage_names:
        for metric in metrics:
            worded = stage_metric(model, name, metric, **(sizes or {}))
            quantity = worded.quantity
            if not depends_on(quantity, over):
                continue
            formula, _ = quantity.context.fill(quantity.formula, quantity.values, [over])
            words = name_following(worded, over).words
            yield ClosedForm(
                words=words, formula=sympy.expand(formula), unit=METRIC_RECORDS[metric].unit,
                where=write_where([worded], over),
            )  # fmt: skip


def list_orders(
    study: str, model: CompiledFormulas, over: str, metrics: Sequence[str], *, with_request: bool = False
) -> Iterator[IdentifiedStatement]:
    """Yield how each metric of each stage grows with a size, where it does."""
    for name in (*model.definition.stage_names, *((REQUEST,) if with_request else ())):
        for metric in metrics:
            worded = stage_metric(model, name, metric)
            if depends_on(worded.quantity, over):
                for variant, each in list_variants(model, worded, over):
                    yield ask_growth(f"{study}/{name}-{slug(metric)}{variant}", each, over)


def compare_stages(
    study: str, model: CompiledFormulas, over: str, metrics: Sequence[str]
) -> Iterator[IdentifiedStatement]:
    """Yield where a stage costs at least as much as another, once for each two that depend on the size."""
    for metric in metrics:
        stages = {
            name: name_following(stage_metric(model, name, metric), over) for name in model.definition.stage_names
        }
        moving = {name for name, worded in stages.items() if depends_on(worded.quantity, over)}
        for one, other in permutations(stages, 2):
            if not {one, other} & moving:
                continue
            found = ask_crossover(f"{study}/{one}-over-{other}-{slug(metric)}", stages[one], stages[other], over)
            if getattr(found.statement, "outcome", "") in ("from", "always"):
                yield found
