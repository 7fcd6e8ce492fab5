"""Layer classes in JavaScript: those that compute the same share a program, and a whole model is made of its stages."""

from __future__ import annotations

from modelmeter.algebra.program import join_programs
from modelmeter.backends.javascript.program import (
    LINE_LENGTH,
    ProgramText,
    fill_words,
    print_program,
    write_program,
    write_sizes,
)
from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.package import EvaluatorPackage
from modelmeter.evaluators.whole_models import WholeModel
from modelmeter.metrics.metric import FUSED_IO, METRICS

OUTPUTS = (*METRICS, FUSED_IO)
"""What the program of a layer returns: its cost, and the bytes that it moves with its operators fused."""


def describe_layers(package: EvaluatorPackage) -> dict[str, str]:
    """Return the call that makes the functions of each layer class, by its name."""
    evaluators = {evaluator.name: evaluator for evaluator in package.layers}
    known = {size.name: size.default for size in package.sizes}
    layers: dict[str, str] = {}
    programs: dict[ProgramText, str] = {}
    for layer in package.spec.layers:
        cost, fused = evaluators[layer.public_name], evaluators[f"{layer.public_name}_{FUSED_IO}"]
        whole = package.whole_models.get(layer.name)
        if whole is not None:
            layers[layer.name] = _describe_whole(whole, cost)
            continue
        sizes = cost.signature.parameters
        text = print_program(join_programs(cost.program, fused.program), sizes, OUTPUTS, cost.guards)
        # What another layer computes, it computes here too.
        program = f"{programs[text]}.program" if text in programs else write_program(text)
        programs.setdefault(text, layer.public_name)
        defaults = {size.name: size.default for size in sizes if known.get(size.name) != size.default}
        layers[layer.name] = _write_call(
            "layer", layer.public_name, program, *([write_sizes(defaults)] if defaults else [])
        )
    return layers


def _describe_whole(whole: WholeModel, layer: Evaluator) -> str:
    """Return a layer as the sum of stages and of what else it does; sizes that cancel out are constants."""
    program = join_programs(whole.rest, whole.fused_rest)
    parts = [f"programs.{stage}" for stage in whole.stages]
    if program.inputs:
        parts.append(write_program(print_program(program, layer.signature.parameters, OUTPUTS, {})))
    derived = ", ".join(f"{name}: programs.{name}" for name in layer.signature.intermediates)
    cancelled = [write_sizes(whole.cancelled)] if whole.cancelled else []
    return _write_call("wholeModel", layer.name, f"[{', '.join(parts)}]", f"{{ {derived} }}", *cancelled)


def _write_call(function: str, name: str, *arguments: str) -> str:
    text = f'{function}("{name}", {", ".join(arguments[:-1])}'
    if len(arguments) == 1:
        return f'{function}("{name}", {arguments[0]})'
    *lines, last = text.split("\n")
    fits = len(last) + len(arguments[-1]) < LINE_LENGTH - 5
    end = [f"{last}, {arguments[-1]})"] if fits else [f"{last},", *fill_words(f"{arguments[-1]})", "  ")]
    return "\n".join([*lines, *end])
