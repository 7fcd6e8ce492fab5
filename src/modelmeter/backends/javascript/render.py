"""The JavaScript package as text: evaluators in, ``{path: text}`` out, nothing read and nothing written."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from jinja2 import Environment

from modelmeter.algebra.program import Operation, join_programs, select
from modelmeter.backends.javascript.layers import describe_layers
from modelmeter.backends.javascript.program import (
    LINE_LENGTH,
    ProgramText,
    check_name,
    print_program,
    write_program,
    write_sizes,
)
from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.package import EvaluatorPackage
from modelmeter.evaluators.server_steps import hide_step
from modelmeter.evaluators.signature import Parameter
from modelmeter.evaluators.stages import METRIC_WORDS
from modelmeter.metrics.metric import FUSED_IO, METRICS, PEAK
from modelmeter.model.request import fold_metric
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.support.errors import FormulaError
from modelmeter.support.templates import open_templates

FOLDER: Final = "javascript"
"""The folder of all packages in this language, beside those of others."""

_HOME = Path(__file__).parent
_HELPERS = ("CostError", "ceilDiv", "floorDiv", "largest", "routedReads", "triangular")
_COPIED = ("runtime.mjs", "model.mjs")
_REFUSED = "refused.mjs"
"""What only models have that lack a stage."""


@frozen(kw_only=True)
class JavaScriptBackend:
    """ES modules on BigInt.

    Parameters
    ----------
    package
        The name of the package.
    """

    package: str
    name: str = FOLDER

    def files(self, package: EvaluatorPackage) -> dict[str, str]:
        """Return the modules of the package, in a folder of the language."""
        files = {**render_package(package), "package.json": _describe_package(self.package)}
        return {f"{FOLDER}/{self.package}/{path}": text for path, text in files.items()}


def render_package(package: EvaluatorPackage) -> dict[str, str]:
    """Return the modules of the package: text by path, the same for the same evaluators.

    Raises
    ------
    FormulaError
        If something cannot be printed exactly, a name is a word of the language, or a text would end a comment.
    """
    spec = package.spec
    for text in (spec.model, *spec.conventions, *(layer.doc for layer in spec.layers)):
        if not text.isprintable() or "*/" in text:
            raise FormulaError("this text cannot stand in a comment", found=text)
    for name in (*package.stage_names, *(layer.public_name for layer in spec.layers)):
        check_name(name)
    templates = _Templates(package)
    layers = describe_layers(package)
    steps = [_describe_step(hide_step(evaluator), package) for evaluator in package.server_steps]
    stages = [name for name in package.stage_names if name != REQUEST]
    derived = [size.name for size in spec.derived]
    training = TRAINING_STEP if package.training else None
    shared = {"stages": stages, "training": training, "derived": derived, "refused": spec.explain_refusals()}
    fixed = {name: size for name, size in spec.architecture.items() if name in spec.fixed}
    fused_names = [f"{stage}_{FUSED_IO}" for stage in package.stage_names]
    metric_names = [
        f"{cost}_{metric}" for cost in (*package.stage_names, *filter(None, [training])) for metric in METRICS
    ]
    chained = [stage for stage in stages for peak in package.peaks if peak.name == f"{stage}_{PEAK}" and _chains(peak)]
    files = {
        "programs.mjs": templates.render("programs.mjs.jinja", programs=_print_stages(package)),
        "stages.mjs": templates.render(
            "stages.mjs.jinja",
            **shared,
            metric_names=[*metric_names, *fused_names],
            chained_peaks=chained,
            refused_metrics={
                name: [f"{name} as {name}_{metric}" for metric in (*METRICS, FUSED_IO, PEAK)]
                for name in spec.explain_refusals()
            },
        ),
        "general.mjs": templates.render(
            "general.mjs.jinja", **shared, fixed=write_sizes(fixed), fused_names=fused_names
        ),
        "layers.mjs": templates.render(
            "layers.mjs.jinja",
            layers=layers,
            renamed=[f"{new} as {old}" for old, new in package.aliases.items()],
            helpers=[name for name in ("layer", "program", "wholeModel") if f"{name}(" in "".join(layers.values())],
        ),
        **({"server.mjs": templates.render("server.mjs.jinja", steps=steps)} if steps else {}),
    }
    digest = hashlib.sha256("".join(text for _, text in sorted(files.items())).encode()).hexdigest()
    return {
        "index.mjs": templates.render("index.mjs.jinja", metric_words=METRIC_WORDS),
        "facts.mjs": templates.render(
            "facts.mjs.jinja",
            provenance={**spec.provenance, "evaluators": f"sha256:{digest}"},
            layer_sizes=_list_layer_sizes(package),
            metrics=METRICS,
            folds={metric: _find_fold(metric, package) for metric in METRICS},
            derivations=[
                (name, each.node.operands if isinstance(each.node, Operation) else (each.node,), each.source)
                for name, each in spec.derivations.items()
            ],
        ),
        **{
            name: f"{_header(name)}\n{(_HOME / name).read_text(encoding='utf-8')}"
            for name in (*_COPIED, *([_REFUSED] if spec.refused else []))
        },
        **files,
    }


def _describe_package(name: str) -> str:
    """Return what npm and bundlers read: that the files are ES modules, and which one is imported."""
    facts = {
        "name": name.replace("_", "-"), "version": version("modelmeter"), "type": "module", "main": "./index.mjs",
        "exports": "./index.mjs", "sideEffects": False, "engines": {"node": ">=16"}, "private": True,
    }  # fmt: skip
    return json.dumps(facts, indent=2) + "\n"


def _find_fold(metric: str, package: EvaluatorPackage) -> tuple[str, list[int]]:
    """Return how a metric of a request is made, and of which stages, by their places."""
    fold = fold_metric(metric, package.spec.stages)
    names = [stage.name for stage in package.spec.stages]
    return fold.function, [names.index(stage) for stage in fold.stages]


def _chains(evaluator: Evaluator) -> bool:
    """Tell whether the length of the prompt follows from the images of an evaluator."""
    return bool(evaluator.signature.intermediates)


def _print_stages(package: EvaluatorPackage) -> dict[str, ProgramText]:
    """Return the programs of stages: of their costs and of a training step, of what is fused, and of peaks."""
    general = {evaluator.name: evaluator for evaluator in package.general}
    stages = [name for name in package.stage_names if name != REQUEST]
    peaks = {evaluator.name: evaluator for evaluator in package.peaks}
    return {
        **{
            each.name: print_program(each.program, each.signature.parameters, [each.name], {})
            for each in package.general_derived
        },
        **{stage: _print_stage(general[stage], general[f"{stage}_{FUSED_IO}"]) for stage in stages},
        **{each.name: _print_outputs(general[each.name]) for each in package.training},
        **{f"peak_{stage}": _print_outputs(peaks[f"{stage}_{PEAK}"]) for stage in stages},
    }


def _print_stage(cost: Evaluator, fused: Evaluator) -> ProgramText:
    """Return one program of the cost of a stage, and of the bytes that it moves with its operators fused."""
    outputs = [*cost.result.outputs.values(), *fused.result.outputs.values()]
    parts = [select(each.program, *each.result.outputs.values()) for each in (cost, fused)]
    return print_program(join_programs(*parts), cost.signature.parameters, outputs, {})


def _print_outputs(evaluator: Evaluator) -> ProgramText:
    """Return the program of what an evaluator returns, and of nothing else."""
    outputs = list(evaluator.result.outputs.values())
    return print_program(select(evaluator.program, *outputs), evaluator.signature.parameters, outputs, {})


def _describe_step(evaluator: Evaluator, package: EvaluatorPackage) -> dict[str, Any]:
    """Return what the template shows of a step of a server."""
    known = {size.name: size for size in package.sizes}
    sizes = evaluator.signature.parameters
    differing = [size for size in sizes if size.name not in known or known[size.name].default != size.default]
    return {
        "evaluator": evaluator,
        "program_name": f"{evaluator.name.strip('_')}Program",
        "text": _print_outputs(evaluator),
        "defaults": write_sizes({size.name: size.default for size in differing if not size.is_optional}),
        "minima": write_sizes(
            {
                size.name: size.minimum
                for size in sizes
                if size.name in known and known[size.name].minimum != size.minimum
            }
        ),
    }


def _list_layer_sizes(package: EvaluatorPackage) -> list[Parameter]:
    """Return every size that is none of the model, or that is not in a layer what it is in the model."""
    known = {size.name: size.dimension for size in package.sizes}
    taken = {
        size.name: size
        for evaluator in (*package.server_steps, *package.layers)
        for size in evaluator.signature.parameters
    }
    of_layers = {size.name: size for evaluator in package.layers for size in evaluator.signature.parameters}
    sizes = [taken[name] for name in package.spec.dimensions.sort(taken)]
    return [
        size
        for size in sizes
        if size.name not in known or (size.name in of_layers and of_layers[size.name].dimension != known[size.name])
    ]


class _Templates:
    """The templates, and what they all show."""

    def __init__(self, package: EvaluatorPackage) -> None:
        self._package = package

    def render(self, template: str, **values: Any) -> str:
        """Return a rendered template; programs need some functions of the runtime."""
        texts = [*values.get("programs", {}).values(), *(step["text"] for step in values.get("steps", []))]
        lines = "\n".join([*(line for text in texts for line in text.lines), *(values.get("layers", {}).values())])
        opened = _open_templates().get_template(template)
        return opened.render(
            header=_header(f"templates/{template}"),
            package=self._package,
            spec=self._package.spec,
            imports=[name for name in _HELPERS if re.search(rf"\b{name}\(", lines)],
            **values,
        )


def _header(source: str) -> str:
    return f"// Generated by modelmeter from {source}; do not edit."


def _comment(text: str, indent: str = " * ") -> str:
    """Return text in lines of a comment; all but the first are indented."""
    lines = textwrap.wrap(text.replace("``", "`"), LINE_LENGTH - len(indent) - 25, break_on_hyphens=False)
    return f"\n{indent}".join(lines)


def _fill_words(words: Iterable[str], indent: int) -> str:
    """Return names in lines, each with a comma behind it; in quotes where they are indented as an array is."""
    quote = '"' if indent > 2 else ""
    text = " ".join(f"{quote}{word}{quote}," for word in words)
    return textwrap.indent("\n".join(textwrap.wrap(text, LINE_LENGTH - indent)), " " * indent)


def _write_size(size: Parameter, has_default: bool = True) -> str:
    """Return the arguments of the record of a size; those at the end that are as of most are left out."""
    unit, meaning = json.dumps(size.dimension.unit), json.dumps(size.dimension.meaning)
    last = [(f"{size.minimum}n", "1n"), (json.dumps(size.target), "null"), (json.dumps(size.may_be_fraction), "false")]
    while last and last[-1][0] == last[-1][1]:
        last.pop()
    default = [f"{size.default}n"] if has_default else []
    return ", ".join([*default, unit, meaning, *(text for text, _ in last)])


@cache
def _open_templates() -> Environment:
    """Return the templates, which jinja2 compiles once a process."""
    return open_templates(  # outside text is checked above, or becomes a literal
        "modelmeter.backends.javascript", json=json.dumps, comment=_comment, words=_fill_words, program=write_program,
        operand=lambda size: json.dumps(size) if isinstance(size, str) else f"{size}n",
        prefixed=lambda name, prefix: f"{prefix}{name}", size_arguments=_write_size,
        broken=lambda text: "\n  ".join(textwrap.wrap(text, LINE_LENGTH - 40, break_long_words=False)),
    )  # fmt: skip
