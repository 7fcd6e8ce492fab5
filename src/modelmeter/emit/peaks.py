"""The functions of the evaluator package that return the peak of a stage's activations."""

from __future__ import annotations

from attrs import evolve, frozen

from modelmeter.emit.function import IMAGE_TOKENS, Function, Signature, write_metric
from modelmeter.emit.programs import CHAINED_DERIVATIONS, REQUEST, Stages, make_parameters
from modelmeter.emit.spec import PackageSpec
from modelmeter.functions import Size
from modelmeter.peak import PEAK
from modelmeter.program import MAXIMUM, Program, select
from modelmeter.simplify import Combination, build_program


def write_peaks(spec: PackageSpec, stages: Stages) -> list[Function]:
    """Return a function for the peak of each stage, and one for that of the request: the largest of them."""
    peaks = _Peaks(spec=spec, stages=stages, program=_build_program(spec, stages))
    return [peaks.write(stage) for stage in stages.names]


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
class _Peaks:
    spec: PackageSpec
    stages: Stages
    program: Program

    def write(self, stage: str) -> Function:
        """Return the function of a stage."""
        name = f"{stage}_{PEAK}"
        signature, has_views = self._signature(stage)
        program = select(self.program, *([IMAGE_TOKENS] if has_views else []), name)
        return Function(
            name=name,
            summary=f"Return the largest bytes of activations that are alive together in ``{stage}``.",
            notes="Without gradients, every buffer freed after its last use; experts take even shares of the tokens.",
            signature=signature,
            body=write_metric(signature, program, name),
            result="int",
            operations=program.operations,
        )

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
