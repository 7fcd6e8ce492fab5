"""The evaluators of ``fused_io_bytes``, of the stages and of the request.

Their program is one of its own: a part of the operators shares little with all of them.
"""

from __future__ import annotations

from modelmeter.algebra.program import select
from modelmeter.algebra.simplify import Combination, build_program
from modelmeter.core.functions import Size
from modelmeter.core.metrics import FUSED_IO
from modelmeter.evaluators.evaluator import Evaluator, OneValue
from modelmeter.evaluators.programs import Stages, combine_stages
from modelmeter.model.stages import REQUEST


def evaluate_traffic(stages: Stages) -> tuple[Evaluator, ...]:
    """Return the evaluator of each stage, with the constants of ``stages``, and of the request: their sum."""
    spec = stages.spec
    names = {stage: f"{stage}_{FUSED_IO}" for stage in stages.names}
    outputs: dict[str, Size | Combination] = {**spec.derived_formulas}
    outputs |= {names[stage]: spec.fused_io[stage] for stage in spec.costs}
    outputs[names[REQUEST]] = combine_stages(spec, FUSED_IO)
    program = build_program(outputs, constants=stages.constants, dimensions=spec.dimensions)
    return tuple(
        Evaluator(
            name=name,
            summary=summarize_traffic(stage),
            notes="",
            signature=(signature := stages.signature(stage)),
            program=select(program, *signature.intermediates, name),
            result=OneValue(FUSED_IO, name),
        )
        for stage, name in names.items()
    )


def summarize_traffic(name: str) -> str:
    """Return the first line of the documentation; ``name`` is a stage or a class."""
    return f"Return ``{FUSED_IO}`` of ``{name}`` with the same arguments."
