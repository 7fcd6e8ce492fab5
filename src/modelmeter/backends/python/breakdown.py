"""The breakdown of the evaluator package: every operator of every module, for reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import sympy
from attrs import fields, frozen

from modelmeter.algebra.program import Program
from modelmeter.algebra.simplify import build_program
from modelmeter.analysis.bind import BoundModule
from modelmeter.analysis.breakdown import OperatorRow, StateRow
from modelmeter.backends.python.formula_function import FormulaFunction, write_formula_function
from modelmeter.backends.python.function import Function, begin
from modelmeter.backends.python.programs import STAGE_DERIVATIONS, make_parameters
from modelmeter.backends.python.signature import Signature
from modelmeter.backends.python.spec import PackageSpec
from modelmeter.core.evaluate import evaluate
from modelmeter.core.functions import RoutedReads, Size
from modelmeter.core.symbols import symbols_of
from modelmeter.layers.base import BaseLayer, is_backward_only


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
class Rows:
    """A record for each of several modules or operators: ``keys`` name them, ``values`` are formulas by field."""

    stage: str
    kind: str
    record: str
    summary: str
    keys: tuple[tuple[str, ...], ...]
    values: tuple[Mapping[str, Size], ...]

    @property
    def name(self) -> str:
        """The name of the function that returns them."""
        return f"{self.stage}_{self.kind}"

    @property
    def width(self) -> int:
        """The values in a row."""
        return len(self.values[0]) if self.values else 0

    def build(self, spec: PackageSpec) -> tuple[Signature, Program]:
        """Return what the function takes, and the program of all values, row by row."""
        outputs = {f"{name}_{place}": size for place, row in enumerate(self.values, 1) for name, size in row.items()}
        program = build_program(outputs, constants=spec.architecture)
        signature = Signature(
            parameters=make_parameters(program.inputs, {**spec.architecture, **spec.defaults}, STAGE_DERIVATIONS),
            has_routing=program.calls(RoutedReads.__name__),
            constants=spec.architecture,
        )
        return signature, program


def list_rows(spec: PackageSpec, breakdown: BreakdownSpec) -> list[Rows]:
    """Return, for each stage, the rows of its operators and those of its states."""
    found = []
    for stage in spec.stages:
        operators = [row for row in breakdown.operators if row.stage == stage]
        states = [row for row in breakdown.states if row.stage == stage]
        found += [
            Rows(
                stage=stage,
                kind="operators",
                record="OperatorCost",
                summary=f"Return what each operator of ``{stage}`` does, over all calls.",
                keys=tuple((row.path, row.operator) for row in operators),
                values=tuple(_operator_values(row) for row in operators),
            ),
            Rows(
                stage=stage,
                kind="states",
                record="StateCost",
                summary=f"Return what each module holds itself in ``{stage}``.",
                keys=tuple((row.path,) for row in states),
                values=tuple(
                    {"weight_bits": 8 * row.weight_bytes, "kv_cache_bits": 8 * row.kv_cache_bytes} for row in states
                ),
            ),
        ]
    return found


def write_breakdown(spec: PackageSpec, tables: Sequence[Rows]) -> list[Function]:
    """Return the functions of rows on integers."""
    return [_row_function(spec, rows) for rows in tables]


def write_breakdown_formulas(spec: PackageSpec, tables: Sequence[Rows]) -> list[FormulaFunction]:
    """Return the functions of rows for sizes that may be unknown: all values, row by row."""
    return [_row_formula(spec, rows) for rows in tables]


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


def _row_function(spec: PackageSpec, rows: Rows) -> Function:
    signature, program = rows.build(spec)
    return Function(
        name=rows.name,
        summary=rows.summary,
        notes=f"The rows stand for the modules of {spec.model}, parents first.",
        signature=signature,
        body=_write_rows(rows, signature, program),
        result=f"tuple[{rows.record}, ...]",
        operations=program.operations,
    )


def _row_formula(spec: PackageSpec, rows: Rows) -> FormulaFunction:
    signature, program = rows.build(spec)
    outputs = {output.name: output.name for output in program.outputs}
    return write_formula_function(rows.name, rows.summary, signature, program, outputs, result="Rows")


def _write_rows(rows: Rows, signature: Signature, program: Program) -> tuple[str, ...]:
    """Return the lines of a function that returns a record for each row."""
    printer = begin(rows.name, signature, program, {})
    cells = []
    for output in program.outputs:
        if isinstance(output.numerator, int) and output.denominator == 1:
            cells.append(str(output.numerator))
        else:
            printer.assign(output.name, output.numerator, output.denominator)
            cells.append(output.name)
    lines = [*printer.lines, "    return ("]
    for place, key in enumerate(rows.keys):
        row = cells[place * rows.width : (place + 1) * rows.width]
        lines += [
            f"        {rows.record}(",
            *(f"            {cell}," for cell in (*map(quote, key), *row)),
            "        ),",
        ]
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
