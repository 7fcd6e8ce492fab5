"""The functions of the evaluator package that return the peak of a stage's activations, of sizes known or not."""

from __future__ import annotations

from attrs import evolve, frozen

from modelmeter.algebra.program import MAXIMUM, Program, select
from modelmeter.algebra.simplify import Combination, build_program
from modelmeter.analysis.peak import PEAK
from modelmeter.backends.python.formula_function import FormulaFunction, write_formula_function
from modelmeter.backends.python.function import Function, write_metric
from modelmeter.backends.python.programs import CHAINED_DERIVATIONS, REQUEST, Stages, make_parameters
from modelmeter.backends.python.signature import IMAGE_TOKENS, Signature
from modelmeter.backends.python.spec import PackageSpec
from modelmeter.core.functions import Size


def build_peaks(spec: PackageSpec, stages: Stages) -> Peaks:
    """Return the program of the peak of each stage, and of that of the request: the largest of them."""
    return Peaks(stages=stages, program=_build_program(spec, stages))


def _build_program(spec: PackageSpec, stages: Stages) -> Program:
    """Return one program for all peaks; its outputs are named like the functions."""
    outputs: dict[str, Size | Combination] = {IMAGE_TOKENS: spec.image_tokens}
    by_stage: dict[str, tuple[str, ...]] = {}
    for stage, candidates in spec.peaks.items():
        names = tuple(f"{stage}_{number}" for number in range(len(candidates)))
        outputs.update(zip(names, candidates, strict=True))
        by_stage[stage] = names
    by_stage[REQUEST] = tuple(name for names in by_stage.values() for name in names)
    for stage in stages.names:
        outputs[f"{stage}_{PEAK}"] = Combination(MAXIMUM, by_stage[stage])
    return build_program(outputs, constants=stages.constants)


@frozen(kw_only=True)
class Peaks:
    """The peaks of all stages in one program.

    Parameters
    ----------
    stages
        What their functions take.
    """

    stages: Stages
    program: Program

    def write(self) -> list[Function]:
        """Return the functions of the stages."""
        return [self._write(stage) for stage in self.stages.names]

    def write_formulas(self) -> list[FormulaFunction]:
        """Return the functions of the stages, for sizes that may be unknown."""
        return [self._write_formula(stage) for stage in self.stages.names]

    def _write_formula(self, stage: str) -> FormulaFunction:
        name = f"{stage}_{PEAK}"
        signature, program = self._select(stage)
        return write_formula_function(name, _summary(stage), signature, program, {PEAK: name}, result="Array")

    def _write(self, stage: str) -> Function:
        name = f"{stage}_{PEAK}"
        signature, program = self._select(stage)
        return Function(
            name=name,
            summary=_summary(stage),
            notes="Without gradients, every buffer freed after its last use; experts take even shares of the tokens.",
            signature=signature,
            body=write_metric(name, signature, program),
            result="int",
            operations=program.operations,
        )

    def _select(self, stage: str) -> tuple[Signature, Program]:
        signature, has_views = self._signature(stage)
        return signature, select(self.program, *([IMAGE_TOKENS] if has_views else []), f"{stage}_{PEAK}")

    def _signature(self, stage: str) -> tuple[Signature, bool]:
        """Return what a function takes, and whether it works out the tokens of the images.

        It takes what the stage takes. Before the decoder, the embeddings of the prompt are alive beside the views
        that become a part of it; then the length of the prompt follows from the views, as in a request.
        """
        own = self.stages.signature(stage)
        needed = {parameter.name for parameter in own.parameters}
        inputs = {*select(self.program, f"{stage}_{PEAK}").inputs}
        if stage == REQUEST or inputs <= needed:
            return own, own.image_tokens
        derivations = {"seq_len": CHAINED_DERIVATIONS["seq_len"]}
        parameters = make_parameters(needed | inputs | {"prompt_tokens"}, self.stages.defaults, derivations)
        return evolve(own, parameters=parameters, image_tokens=True), True


def _summary(stage: str) -> str:
    return f"Return the largest bytes of activations that are alive together in ``{stage}``."
