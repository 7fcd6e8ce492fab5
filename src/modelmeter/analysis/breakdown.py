"""The finest totals: what every operator of every module does in every stage."""

from __future__ import annotations

import sympy
from attrs import evolve, frozen

from modelmeter.analysis.bind import BoundModule
from modelmeter.analysis.totals import StageRule, close_loop, sum_over_steps
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.metrics.cost import FLOAT32_BITS, Cost, Operator, Precision, Work
from modelmeter.model.loop import Loop


@frozen(kw_only=True)
class OperatorRow:
    """All calls of one operator of one module in one stage.

    Parameters
    ----------
    stage, path, class_name
        Where: the module, over all the siblings that its path stands for.
    operator
        The torch function, or the class of a leaf module.
    calls
        How often it runs; an operator that a size makes unnecessary (no padding needed) counts too.
    cost
        Its flows, and the activations that it writes.
    """

    stage: str
    path: str
    class_name: str
    operator: str
    calls: Size
    cost: Cost


@frozen(kw_only=True)
class StateRow:
    """What one module holds itself in one stage: parameters and cache."""

    stage: str
    path: str
    class_name: str
    weight_bytes: Size
    kv_cache_bytes: Size


def list_operators(model: BoundModule, stage_of: StageRule, loop: Loop | None = None) -> tuple[OperatorRow, ...]:
    """Return a row for each operator of each module and stage, parents first.

    The rows of a stage add up to its flows and to its activations.
    """
    class_names: dict[str, str] = {}
    found: dict[tuple[str, str, str], list[tuple[Size, Operator]]] = {}
    for bound in model.walk():
        class_names[bound.node.path] = bound.node.class_name
        for call in bound.calls:
            stage = stage_of(call.run, bound.node.path)
            for operator in call.own_operators:
                found.setdefault((stage, bound.node.path, operator.name), []).append((call.times, operator))
    rows = (
        OperatorRow(
            stage=stage,
            path=path,
            class_name=class_names[path],
            operator=name,
            calls=sympy.Add(*(times for times, _ in operators)),
            cost=_cost_of([operator for _, operator in operators]),
        )
        for (stage, path, name), operators in found.items()
    )
    return tuple(_close(row, loop) if loop is not None and row.stage == loop.stage else row for row in rows)


def list_states(model: BoundModule, stage_of: StageRule, loop: Loop | None = None) -> tuple[StateRow, ...]:
    """Return what each module holds itself, by stage, where it holds anything."""
    steps = {} if loop is None else {loop.index: loop.count}
    precision = Precision()
    rows: dict[tuple[str, str], StateRow] = {}
    for bound in model.walk():
        for call in bound.list_calls():
            layer = call.layer
            held = tuple(
                bound.count * size for size in (layer.own_parameters, layer.own_kv_elements, layer.own_state_elements)
            )
            key = (stage_of(call.run, bound.node.path), bound.node.path)
            if key in rows or held == (0, 0, 0):
                continue  # a module called twice holds its parameters once
            cached = bits_to_bytes(held[1] * precision.kv_bits + held[2] * FLOAT32_BITS)
            rows[key] = StateRow(
                stage=key[0],
                path=key[1],
                class_name=bound.node.class_name,
                weight_bytes=bits_to_bytes(held[0] * precision.weight_bits),
                kv_cache_bytes=cached if isinstance(cached, int) else cached.xreplace(steps),
            )
    return tuple(rows.values())


def _cost_of(operators: list[Operator]) -> Cost:
    return Cost.of(work=Work.of(operators), parameters=0, kv_elements=0, precision=Precision())


def _close(row: OperatorRow, loop: Loop) -> OperatorRow:
    return evolve(row, calls=sum_over_steps(row.calls, loop), cost=close_loop(row.cost, loop))
