"""The evaluators of the breakdown: every operator of every module, for reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy
from attrs import fields, frozen

from modelmeter.algebra.simplify import build_program
from modelmeter.analysis.bind import BoundModule
from modelmeter.analysis.breakdown import OperatorRow, StateRow
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import RoutedReads, Size
from modelmeter.dimensions.symbols import names_of
from modelmeter.evaluators.evaluator import Evaluator, Values
from modelmeter.evaluators.programs import make_parameters
from modelmeter.evaluators.signature import Signature
from modelmeter.evaluators.spec import PackageSpec
from modelmeter.layers.base import BaseLayer
from modelmeter.layers.child import is_backward_only


@frozen(kw_only=True)
class ModuleRecord:
    """What the breakdown says of a module: its place and its constructor's sizes.

    ``parent`` is None for the root. ``repetition_count`` siblings are alike, and stand for one record.
    """

    path: str
    name: str
    class_name: str
    qualified_class_name: str
    parent: str | None
    repetition: str
    repetition_count: int
    constructor_params: Mapping[str, int | bool]


@frozen(kw_only=True)
class BreakdownSpec:
    """The modules, and what each does and holds in each stage."""

    modules: tuple[ModuleRecord, ...]
    operators: tuple[OperatorRow, ...]
    states: tuple[StateRow, ...]


@frozen(kw_only=True)
class Table:
    """A record for each of several modules or operators.

    Parameters
    ----------
    stage, kind, record
        Of which stage, whether of its operators or of its states, and the name of a row.
    keys
        The names of each row.
    evaluator
        It returns the values of all rows, row by row.
    """

    stage: str
    kind: str
    record: str
    keys: tuple[tuple[str, ...], ...]
    evaluator: Evaluator

    @property
    def width(self) -> int:
        """The values in a row."""
        return len(self.evaluator.program.outputs) // max(1, len(self.keys))


def evaluate_breakdown(spec: PackageSpec, breakdown: BreakdownSpec) -> tuple[Table, ...]:
    """Return, for each stage, the table of its operators and that of its states."""
    return tuple(
        table
        for stage in spec.costs
        for table in (_list_operators(spec, breakdown, stage), _list_states(spec, breakdown, stage))
    )


def _list_operators(spec: PackageSpec, breakdown: BreakdownSpec, stage: str) -> Table:
    rows = [row for row in breakdown.operators if row.stage == stage]
    summary = f"Return what each operator of ``{stage}`` does, over all calls."
    return Table(
        stage=stage,
        kind="operators",
        record="OperatorCost",
        keys=tuple((row.path, row.operator) for row in rows),
        evaluator=_evaluate_rows(spec, f"{stage}_operators", summary, [_operator_values(row) for row in rows]),
    )


def _list_states(spec: PackageSpec, breakdown: BreakdownSpec, stage: str) -> Table:
    rows = [row for row in breakdown.states if row.stage == stage]
    summary = f"Return what each module holds itself in ``{stage}``."
    values = [{"weight_bits": 8 * row.weight_bytes, "kv_cache_bits": 8 * row.kv_cache_bytes} for row in rows]
    return Table(
        stage=stage,
        kind="states",
        record="StateCost",
        keys=tuple((row.path,) for row in rows),
        evaluator=_evaluate_rows(spec, f"{stage}_states", summary, values),
    )


def _operator_values(row: OperatorRow) -> dict[str, Size]:
    return {
        "calls": row.calls,
        "tensor_core_flops": row.cost.tensor_core_flops,
        "cuda_core_flops": row.cost.cuda_core_flops,
        # Bits, because bytes are rounded up only where a stage ends.
        "io_bits": 8 * row.cost.io_bytes,
        "activation_bits": 8 * row.cost.activation_bytes,
    }


def _evaluate_rows(spec: PackageSpec, name: str, summary: str, rows: Sequence[Mapping[str, Size]]) -> Evaluator:
    outputs = {f"{field}_{place}": size for place, row in enumerate(rows, 1) for field, size in row.items()}
    program = build_program(outputs, constants=spec.architecture, dimensions=spec.dimensions)
    return Evaluator(
        name=name,
        summary=summary,
        notes="",
        signature=Signature(
            parameters=make_parameters(spec, program.inputs, spec.all_defaults, spec.free_derivations),
            has_routing=program.calls(RoutedReads.__name__),
            constants=spec.architecture,
            model_rules=spec.rules,
        ),
        program=program,
        result=Values(tuple(output.name for output in program.outputs)),
    )


def list_modules(model: BoundModule, sizes: Mapping[str, int]) -> tuple[ModuleRecord, ...]:
    """Return a record for each module of ``model``, parents first.

    Parameters
    ----------
    model
        The root of the bound modules.
    sizes
        The architecture. Sizes of a layer that depend on nothing else are its constructor's.
    """
    records: list[ModuleRecord] = []

    def visit(bound: BoundModule, parent: str | None) -> None:
        node = bound.node
        records.append(
            ModuleRecord(
                path=node.path,
                name=",".join(node.members),
                class_name=node.class_name,
                qualified_class_name=node.qualified_class_name,
                parent=parent,
                repetition=node.repetition,
                repetition_count=node.repetition_count,
                constructor_params=_constructor_params(bound.layer, sizes),
            )
        )
        for child in bound.children:
            visit(child, node.path)

    visit(model, None)
    return tuple(records)


def _constructor_params(layer: BaseLayer, sizes: Mapping[str, int]) -> dict[str, int | bool]:
    params: dict[str, int | bool] = {}
    for field in fields(type(layer)):
        value = getattr(layer, field.name)
        if is_backward_only(field):
            continue
        if isinstance(value, bool):
            params[field.name] = value
        elif isinstance(value, int | sympy.Expr) and names_of(value) <= sizes.keys():
            params[field.name] = int(evaluate(value, sizes))
    return params
