"""The functions of the evaluator package that return ``fused_io_bytes``: of stages, of the request, of layers.

Their program is one of its own: a part of the operators shares little with all of them.
"""

from __future__ import annotations

from attrs import frozen

from modelmeter.algebra.program import SUM, Program, select
from modelmeter.algebra.simplify import Combination, build_program
from modelmeter.backends.python.formula_function import FormulaFunction, write_formula_function
from modelmeter.backends.python.function import Function, write_metric
from modelmeter.backends.python.programs import REQUEST, Layer, Stages
from modelmeter.backends.python.signature import IMAGE_TOKENS
from modelmeter.backends.python.spec import LayerFormula, PackageSpec
from modelmeter.core.functions import Size
from modelmeter.core.fusion import FUSED_IO

FUSED_NOTES = (
    "Bytes that matrix products, convolutions, attention and look-ups read and write. All other operators are fused "
    "into their neighbours and move nothing."
)


@frozen(kw_only=True)
class Traffic:
    """``fused_io_bytes`` of all stages in one program.

    Parameters
    ----------
    stages
        What their functions take.
    """

    stages: Stages
    program: Program

    def write(self) -> list[Function]:
        """Return the functions of the stages and of the request."""
        return [self._write(stage) for stage in self.stages.names]

    def write_formulas(self) -> list[FormulaFunction]:
        """Return the same functions for sizes that may be unknown."""
        return [
            write_formula_function(
                name := f"{stage}_{FUSED_IO}",
                _summarize(stage),
                self.stages.signature(stage),
                self._select(stage),
                {FUSED_IO: name},
                result="Array",
            )
            for stage in self.stages.names
        ]

    def _write(self, stage: str) -> Function:
        program = self._select(stage)
        return Function(
            name=(name := f"{stage}_{FUSED_IO}"),
            summary=_summarize(stage),
            notes=FUSED_NOTES,
            signature=self.stages.signature(stage),
            body=write_metric(name, self.stages.signature(stage), program),
            result="int",
            operations=program.operations,
        )

    def _select(self, stage: str) -> Program:
        tokens = [IMAGE_TOKENS] if self.stages.signature(stage).image_tokens else []
        return select(self.program, *tokens, f"{stage}_{FUSED_IO}")


def build_traffic(spec: PackageSpec, stages: Stages) -> Traffic:
    """Return the program of the stages, with the constants of ``stages``, and of the request: their sum."""
    names = {stage: f"{stage}_{FUSED_IO}" for stage in spec.stages}
    outputs: dict[str, Size | Combination] = {IMAGE_TOKENS: spec.image_tokens}
    outputs |= {name: spec.fused_io[stage] for stage, name in names.items()}
    outputs[f"{REQUEST}_{FUSED_IO}"] = Combination(SUM, tuple(names.values()))
    return Traffic(stages=stages, program=build_program(outputs, constants=stages.constants))


def write_layer_traffic(formula: LayerFormula, layer: Layer) -> Function:
    """Return the function of a layer class; it takes what the function of its cost takes."""
    name = f"{formula.name}_{FUSED_IO}"
    return Function(
        name=name,
        summary=_summarize(formula.class_name),
        notes=FUSED_NOTES,
        signature=layer.signature,
        body=write_metric(name, layer.signature, layer.fused_io, result=FUSED_IO, guards=layer.guards),
        result="int",
        operations=layer.fused_io.operations,
    )


def write_layer_traffic_formula(formula: LayerFormula, layer: Layer) -> FormulaFunction:
    """Return the same function for sizes that may be unknown."""
    return write_formula_function(
        f"{formula.name}_{FUSED_IO}",
        _summarize(formula.class_name),
        layer.signature,
        layer.fused_io,
        {FUSED_IO: FUSED_IO},
        result="Array",
        guards=layer.guards,
    )


def _summarize(name: str) -> str:
    return f"Return ``{FUSED_IO}`` of ``{name}`` with the same arguments."
