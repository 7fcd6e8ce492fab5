"""The breakdown of the evaluator package: every operator of every module, for reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import sympy
from attrs import fields, frozen

from modelmeter.bind import BoundModule
from modelmeter.breakdown import OperatorRow, StateRow
from modelmeter.emit.function import Function, begin
from modelmeter.emit.programs import STAGE_DERIVATIONS, make_parameters
from modelmeter.emit.signature import Signature
from modelmeter.emit.spec import PackageSpec
from modelmeter.evaluate import evaluate
from modelmeter.functions import RoutedReads, Size
from modelmeter.layers.base import BaseLayer, is_backward_only
from modelmeter.program import Program
from modelmeter.simplify import build_program
from modelmeter.symbols import symbols_of


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


def write_breakdown(spec: PackageSpec, breakdown: BreakdownSpec) -> list[Function]:
    """Return, for each stage, a function of its operators and one of its states."""
    functions = []
    for stage in spec.stages:
        operators = [row for row in breakdown.operators if row.stage == stage]
        states = [row for row in breakdown.states if row.stage == stage]
        functions += [
            _row_function(
                spec,
                name=f"{stage}_operators",
                summary=f"Return what each operator of ``{stage}`` does, over all calls.",
                record="OperatorCost",
                keys=[(row.path, row.operator) for row in operators],
                values=[_operator_values(row) for row in operators],
            ),
            _row_function(
                spec,
                name=f"{stage}_states",
                summary=f"Return what each module holds itself in ``{stage}``.",
                record="StateCost",
                keys=[(row.path,) for row in states],
                values=[
                    {"weight_bits": 8 * row.weight_bytes, "kv_cache_bits": 8 * row.kv_cache_bytes} for row in states
                ],
            ),
        ]
    return functions


def quote(text: str) -> str:
    """Return a Python literal of a module path or an operator's name."""
    return json.dumps(text)  # ASCII, in double quotes: Python reads it the same


def _operator_values(row: OperatorRow) -> dict[str, Size]:
    return {
        "calls": row.calls,
        "tensor_core_flops": row.cost.tensor_core_flops,
        "cuda_core_flops": row.cost.cuda_core_flops,
        # Bits, because bytes are rounded up only where a stage ends.
        "io_bits": 8 * row.cost.io_bytes,
        "activation_bits": 8 * row.cost.activation_bytes,
    }


def _row_function(
    spec: PackageSpec,
    *,
    name: str,
    summary: str,
    record: str,
    keys: Sequence[tuple[str, ...]],
    values: Sequence[Mapping[str, Size]],
) -> Function:
    """Return the function that computes ``values``, row by row, and returns them behind ``keys``."""
    outputs = {f"{field}_{number}": size for number, row in enumerate(values, 1) for field, size in row.items()}
    program = build_program(outputs, constants=spec.architecture)
    signature = Signature(
        parameters=make_parameters(program.inputs, {**spec.architecture, **spec.defaults}, STAGE_DERIVATIONS),
        has_routing=program.calls(RoutedReads.__name__),
        constants=spec.architecture,
    )
    return Function(
        name=name,
        summary=summary,
        notes=f"The rows stand for the modules of {spec.model}, parents first.",
        signature=signature,
        body=_write_rows(name, signature, program, record, keys, len(outputs) // max(1, len(keys))),
        result=f"tuple[{record}, ...]",
        operations=program.operations,
    )


def _write_rows(
    name: str, signature: Signature, program: Program, record: str, keys: Sequence[tuple[str, ...]], width: int
) -> tuple[str, ...]:
    """Return the lines of the function ``name``, which returns a record for each of ``keys``."""
    printer = begin(name, signature, program, {})
    cells = []
    for output in program.outputs:
        if isinstance(output.numerator, int) and output.denominator == 1:
            cells.append(str(output.numerator))
        else:
            printer.assign(output.name, output.numerator, output.denominator)
            cells.append(output.name)
    rows = [cells[start : start + width] for start in range(0, len(cells), width)]
    lines = [*printer.lines, "    return ("]
    for key, row in zip(keys, rows, strict=True):
        lines += [f"        {record}(", *(f"            {cell}," for cell in (*map(quote, key), *row)), "        ),"]
    return (*lines, "    )")


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
        elif isinstance(value, int | sympy.Expr) and set(symbols_of(value)) <= sizes.keys():
            params[field.name] = int(evaluate(value, sizes))
    return params
