"""The evaluators of ``fused_io_bytes``, of the stages and of the request.

Their program is one of its own: a part of the operators shares little with all of them.
"""

from __future__ import annotations

from modelmeter.algebra.program import Program, select
from modelmeter.algebra.simplify import Combination, build_program
from modelmeter.dimensions.functions import Size
from modelmeter.evaluators.evaluator import Evaluator, OneValue
from modelmeter.evaluators.programs import Stages, combine_stages
from modelmeter.evaluators.spec import PackageSpec
from modelmeter.metrics.metric import FUSED_IO


def build_traffic(stages: Stages) -> Program:
    """Return the program of all stages, with the constants of ``stages``, and of the request: their sum."""
    spec = stages.spec
    outputs = {**spec.derived_formulas, **list_traffic(spec)}
    return build_program(outputs, constants=stages.constants, dimensions=spec.dimensions)


def list_traffic(spec: PackageSpec) -> dict[str, Size | Combination]:
    """Return the outputs of all stages, and of the request."""
    outputs: dict[str, Size | Combination] = {f"{stage}_{FUSED_IO}": spec.fused_io[stage] for stage in spec.costs}
    return outputs | {f"{whole}_{FUSED_IO}": combine_stages(spec, FUSED_IO) for whole in spec.whole_names}


def evaluate_traffic(stages: Stages, program: Program, shared: str) -> tuple[Evaluator, ...]:
    """Return the evaluator of each stage and of the request; their steps are ``shared``."""
    return tuple(
        Evaluator(
            name=f"{stage}_{FUSED_IO}",
            summary=summarize_traffic(stage),
            notes="",
            signature=(signature := stages.signature(stage)),
            program=select(program, *signature.intermediates, f"{stage}_{FUSED_IO}"),
            result=OneValue(FUSED_IO, f"{stage}_{FUSED_IO}"),
            shared=shared,
        )
        for stage in stages.names
    )


def summarize_traffic(name: str) -> str:
    """Return the first line of the documentation; ``name`` is a stage or a class."""
    return f"Return ``{FUSED_IO}`` of ``{name}`` with the same arguments."
