"""The functions of the evaluator package that cost the steps of a serving engine."""

from __future__ import annotations

from attrs import evolve

from modelmeter.algebra.simplify import build_program
from modelmeter.backends.python.function import Function, write_cost
from modelmeter.backends.python.programs import STAGE_DERIVATIONS, make_parameters
from modelmeter.backends.python.signature import Signature
from modelmeter.backends.python.spec import PackageSpec
from modelmeter.core.cost import METRICS
from modelmeter.core.functions import RoutedReads
from modelmeter.core.symbols import describe

CHUNK = "chunk"
STEP = "step"

_DEFAULTS = {"cached_tokens": 512, "context_tokens": 913}

_SUMMARIES = {
    CHUNK: "Return the cost of a chunk of each prompt, behind positions of it that are cached.",
    STEP: "Return the cost of one token of each sequence of a batch.",
}
_NOTES = {
    CHUNK: "seq_len are the positions of the chunk. With logits_tokens=0 the LM head does not run.",
    STEP: "context_tokens are the cached positions of all sequences together, however long each one is.",
}


def write_server_steps(spec: PackageSpec) -> list[Function]:
    """Return the functions: of a chunk, and of a step by the sum of the lengths of its sequences."""
    return [_write_step(spec, name) for name in spec.server_steps]


def _write_step(spec: PackageSpec, name: str) -> Function:
    cost = spec.server_steps[name]
    program = build_program({metric: cost[metric] for metric in METRICS}, constants=spec.architecture)
    defaults = {**spec.architecture, **spec.defaults, **_DEFAULTS}
    without_head = {"logits_tokens": evolve(describe("logits_tokens"), minimum=0)}
    signature = Signature(
        parameters=make_parameters(program.inputs, defaults, STAGE_DERIVATIONS, without_head),
        has_routing=program.calls(RoutedReads.__name__),
        constants=spec.architecture,
    )
    function = f"_{name}" if name == STEP else name
    return Function(
        name=function,
        summary=_SUMMARIES[name],
        notes=f"{_NOTES[name]} The formulas are those of {spec.model}.",
        signature=signature,
        body=write_cost(function, signature, program, {metric: metric for metric in METRICS}),
        result="Cost",
        operations=program.operations,
    )
