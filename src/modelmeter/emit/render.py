"""The evaluator package as text: formulas in, ``{path: text}`` out, nothing read and nothing written."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modelmeter.cost import METRICS, Metric
from modelmeter.emit.breakdown import BreakdownSpec, write_breakdown
from modelmeter.emit.formula_function import FormulaFunction, write_formula_function
from modelmeter.emit.function import IMAGE_TOKENS, Function, Signature, write_cost, write_metric, write_stages
from modelmeter.emit.peaks import build_peaks
from modelmeter.emit.printer import LINE_LENGTH
from modelmeter.emit.programs import (
    REQUEST,
    Stages,
    build_layer,
    build_stages,
    build_training_step,
    make_parameters,
)
from modelmeter.emit.spec import LayerFormula, PackageSpec
from modelmeter.errors import FormulaError
from modelmeter.models.deepseek_ocr.build import TRAINING_STEP
from modelmeter.program import select
from modelmeter.symbols import DIMENSIONS

_TEMPLATES = Path(__file__).parent / "templates" / "package"

_HELPERS = ("CostError", "check_routing", "check_size", "no_multiple", "routed_reads", "too_large", "too_small")

_FORMULA_HELPERS = (
    *("abbreviate", "at_most", "ceil_div", "differs", "equals", "exceeds", "floor_div", "largest"),
    *("routed_reads", "triangular"),
)

_HEADER = '{% import "macros.jinja" as macros %}\n{{ macros.header(template) }}\n'

_MACHINERY = (
    *("symbolic", "program", "freeze", "bounds"),
    *("tape", "blocks", "fused", "plan", "ahead", "array_runtime", "grid"),
)
"""The hand-written modules behind arrays and frozen evaluators: they hold for any formulas."""

_STAGE_WORDS = {
    "vision": "SAM and CLIP, on the global view of each page and on its tiles",
    "projector": "the projector, and of making the prompt of its output",
    "prefill": "the decoder over the prompt, and the LM head over the positions that get logits",
    "decode": "all decode steps of one token each; step t sees seq_len + t keys",
    REQUEST: "all stages, one after the other",
    TRAINING_STEP: "a forward over images and prompt, and of the backward of it",
}

_TRAINING_NOTES = (
    "FLOPs and io_bytes are those of the forward and the backward. The backward starts at the gradients of the logits "
    "and makes those of all parameters that are used. No layer is computed again; the loss and the optimiser are not "
    "counted. weight_bytes are the parameters without their gradients, activation_bytes all operator outputs of the "
    "forward, which are kept for the backward, and kv_cache_bytes is 0: training keeps no cache."
)

_METRIC_WORDS: Mapping[Metric, str] = {
    "tensor_core_flops": "FLOPs of matrix products",
    "cuda_core_flops": "FLOPs of all other arithmetic",
    "io_bytes": "Bytes that operators read and write",
    "weight_bytes": "Bytes of the parameters",
    "activation_bytes": "Bytes of all operator outputs of one forward",
    "kv_cache_bytes": "Bytes of the keys and values that are kept",
}


def render_package(spec: PackageSpec, breakdown: BreakdownSpec) -> dict[str, str]:
    """Return the files of the evaluator package: text by path, the same for the same formulas.

    Raises
    ------
    FormulaError
        If a formula cannot be printed exactly, or has a size without a default, or a text is not plain.
    """
    for text in (spec.model, *spec.conventions, *(layer.doc for layer in spec.layers)):
        if not text.isprintable() or "\\" in text or '"""' in text:
            raise FormulaError("this text cannot stand in a docstring", found=text)
    stages = build_stages(spec, spec.architecture)
    training = build_training_step(spec, spec.architecture)
    fixed = {name: size for name, size in spec.architecture.items() if name in spec.fixed}
    functions = {
        "_stages.py": [*_cost_functions(stages, spec.model), _all_stages(stages, spec.model)],
        "_metrics.py": [
            *(_metric_function(stages, stage, metric) for stage in stages.names for metric in METRICS),
            _tokens_function(stages, spec.model),
        ],
        "_training.py": [
            *_cost_functions(training, spec.model, _TRAINING_NOTES),
            *(_metric_function(training, TRAINING_STEP, metric) for metric in METRICS),
        ],
        "general.py": [
            *_cost_functions(build_stages(spec, fixed), f"a model like {spec.model}"),
            *_cost_functions(build_training_step(spec, fixed), f"a model like {spec.model}", _TRAINING_NOTES),
        ],
        "layers.py": [_layer_function(layer) for layer in spec.layers],
    }
    peaks = build_peaks(spec, stages)
    functions["_peaks.py"] = peaks.write()
    package = _Package(spec, stages)
    files = {path: package.functions(path, found) for path, found in functions.items()}
    files["breakdown.py"] = package.functions(
        "breakdown.py", write_breakdown(spec, breakdown), modules=breakdown.modules
    )
    formulas = [
        *(_formula_function(stages, stage) for stage in stages.names),
        _formula_function(training, TRAINING_STEP),
        _all_formulas(stages),
        *peaks.write_formulas(),
    ]
    files["arrays.py"] = package.render("arrays.py.jinja", functions=formulas)
    files["_formulas.py"] = package.formulas(formulas)
    files |= {f"_{name}.py": package.copy(f"{name}.py.jinja") for name in _MACHINERY}
    return {
        "__init__.py": package.front(
            {
                module: [function.name for function in functions[f"{module}.py"]]
                for module in ("_metrics", "_peaks", "_training")
            }
        ),
        "_facts.py": package.facts(files),
        "_runtime.py": package.render("runtime.py.jinja"),
        **files,
        "py.typed": "",
    }


def _cost_functions(stages: Stages, model: str, notes: str = "") -> list[Function]:
    return [_cost_function(stages, stage, model, notes) for stage in stages.names]


def _cost_function(stages: Stages, stage: str, model: str, notes: str) -> Function:
    signature, program = stages.signature(stage), stages.part(stage, *METRICS)
    return Function(
        name=stage,
        summary=f"Return the cost of {_STAGE_WORDS[stage]}.",
        notes=f"{notes} The formulas are those of {model}.".lstrip(),
        signature=signature,
        body=write_cost(signature, program, _outputs(stage)),
        result="Cost",
        operations=program.operations,
    )


def _all_stages(stages: Stages, model: str) -> Function:
    signature = stages.signature(REQUEST)
    return Function(
        name="stages",
        summary="Return the costs of each stage and of the request, in less time than one by one.",
        notes=f"The formulas are those of {model}.",
        signature=signature,
        body=write_stages(signature, stages.program, {stage: _outputs(stage) for stage in stages.names}),
        result="Stages",
        operations=stages.program.operations,
    )


def _metric_function(stages: Stages, stage: str, metric: Metric) -> Function:
    name, program = f"{stage}_{metric}", stages.part(stage, metric)
    return Function(
        name=name,
        summary=f"Return ``{metric}`` of ``{stage}`` with the same arguments.",
        notes=f"{_METRIC_WORDS[metric]}.",
        signature=stages.signature(stage),
        body=write_metric(stages.signature(stage), program, name),
        result="int",
        operations=program.operations,
    )


def _tokens_function(stages: Stages, model: str) -> Function:
    program = select(stages.program, IMAGE_TOKENS)
    signature = Signature(
        parameters=make_parameters(program.inputs, stages.defaults, {}), has_routing=False, constants=stages.constants
    )
    return Function(
        name=IMAGE_TOKENS,
        summary="Return the tokens of the image of one page: of its global view and of its tiles.",
        notes=f"The formula is that of {model}.",
        signature=signature,
        body=write_metric(signature, program, IMAGE_TOKENS),
        result="int",
        operations=program.operations,
    )


def _layer_function(formula: LayerFormula) -> Function:
    layer = build_layer(formula)
    return Function(
        name=formula.name,
        summary=f"Return the cost of one forward of ``{formula.class_name}``.",
        notes=formula.doc,
        signature=layer.signature,
        body=write_cost(layer.signature, layer.program, {metric: metric for metric in METRICS}, layer.guards),
        result="Cost",
        operations=layer.program.operations,
    )


def _formula_function(stages: Stages, stage: str) -> FormulaFunction:
    return write_formula_function(
        stage,
        f"Return the cost of {_STAGE_WORDS[stage]}.",
        stages.signature(stage),
        stages.part(stage, *METRICS),
        _outputs(stage),
    )


def _all_formulas(stages: Stages) -> FormulaFunction:
    outputs = {f"{stage}_{metric}": f"{stage}_{metric}" for stage in stages.names for metric in METRICS}
    summary = "Return the costs of each stage and of the request."
    return write_formula_function(
        "stages", summary, stages.signature(REQUEST), stages.program, outputs, result="Stages"
    )


def _outputs(stage: str) -> dict[str, str]:
    """Return the output of each metric of a stage."""
    return {metric: f"{stage}_{metric}" for metric in METRICS}


class _Package:
    """The templates, and what they all show."""

    def __init__(self, spec: PackageSpec, stages: Stages) -> None:
        self._spec = spec
        self._stages = stages
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # the text is Python: outside text is checked above, or becomes a literal
        )
        self._environment.filters |= {"wrap": _wrap, "literal": _literal, "long_literal": _long_literal}

    def render(self, template: str, **values: object) -> str:
        """Return a rendered template."""
        return self._environment.get_template(template).render(
            template=f"templates/package/{template}",
            spec=self._spec,
            stages=[(name, _STAGE_WORDS[name]) for name in self._stages.names],
            metrics=_METRIC_WORDS,
            **values,
        )

    def copy(self, template: str) -> str:
        """Return a template that has only its header to fill in; to compile it would take longer than all others."""
        macros: Any = self._environment.get_template("macros.jinja").module
        source = (_TEMPLATES / template).read_text(encoding="utf-8")
        body = source.removeprefix(_HEADER)
        if body == source or "{{" in body or "{%" in body:
            raise FormulaError("a module of the package has more than its header to fill in", place=template)
        return f"{macros.header(f'templates/package/{template}')}\n{body}"

    def front(self, functions: Mapping[str, Iterable[str]]) -> str:
        """Return the module that people import; ``functions`` are names by the module that has them."""
        lazy = {
            **dict.fromkeys(("CONVENTIONS", "DIMENSIONS", "PROVENANCE", "Dimension"), "_facts"),
            **{name: name for name in ("arrays", "breakdown", "general", "layers")},
            "freeze": "_freeze",
            **{name: module for module, names in functions.items() for name in names},
        }
        eager = ("Cost", "CostError", "Stages", "stages", *self._stages.names)
        return self.render(
            "init.py.jinja",
            functions={module: sorted(names) for module, names in functions.items()},
            training=(TRAINING_STEP, _STAGE_WORDS[TRAINING_STEP]),
            exported=sorted({*eager, *lazy}, key=_order),
            lazy=sorted(lazy.items(), key=lambda item: _order(item[0])),
        )

    def functions(self, path: str, functions: Sequence[Function], **values: object) -> str:
        """Return a module of functions on integers."""
        lines = "\n".join(line for function in functions for line in function.body)
        results = {function.result for function in functions} & {"Cost", "Stages"}
        used = results | {name for name in ("Cost", *_HELPERS) if re.search(rf"\b{name}\(", lines)}
        return self.render(f"{path.lstrip('_')}.jinja", functions=functions, imports=sorted(used, key=_order), **values)

    def formulas(self, functions: Sequence[FormulaFunction]) -> str:
        """Return the module of the formulas of unknown sizes."""
        lines = "\n".join(line for function in functions for line in function.body)
        used = [name for name in _FORMULA_HELPERS if re.search(rf"\b{name}\(", lines)]
        return self.render("formulas.py.jinja", functions=functions, imports=sorted(["Value", *used], key=_order))

    def facts(self, files: Mapping[str, str]) -> str:
        """Return the module of data about the package; its digest covers the text of ``files``."""
        digest = hashlib.sha256("".join(text for _, text in sorted(files.items())).encode()).hexdigest()
        defaults = {**self._spec.architecture, **self._spec.defaults}
        return self.render(
            "facts.py.jinja",
            dimensions=[(name, defaults[name], DIMENSIONS[name]) for name in DIMENSIONS if name in defaults],
            provenance={**self._spec.provenance, "evaluators": f"sha256:{digest}"},
        )


def _order(name: str) -> tuple[int, str]:
    """Sort constants, then classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def _wrap(text: str, indent: int) -> str:
    """Return ``text`` in lines that fit after ``indent`` columns; all but the first are indented."""
    lines = textwrap.wrap(text, LINE_LENGTH - indent, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(lines)


def _literal(text: str) -> str:
    """Return a Python literal of ``text`` in ASCII, quoted as the formatter would."""
    quote = "'" if '"' in text and "'" not in text else '"'
    escaped = text.encode("unicode_escape").decode().replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"


def _long_literal(text: str) -> str:
    """Return a literal of ``text`` as an item of a list, in several lines where it is long."""
    if len(_literal(text)) <= LINE_LENGTH - 5:
        return _literal(text)
    words = textwrap.wrap(text, LINE_LENGTH - 30, break_on_hyphens=False)
    lines = [*(f"{line} " for line in words[:-1]), words[-1]]
    return "\n".join(["(", *(f"        {_literal(line)}" for line in lines), "    )"])
