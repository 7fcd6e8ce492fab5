"""The evaluator package as text: formulas in, ``{path: text}`` out, nothing read and nothing written."""

from __future__ import annotations

from modelmeter.algebra.program import Program, select
from modelmeter.backends.python.breakdown import BreakdownSpec, list_rows, write_breakdown, write_breakdown_formulas
from modelmeter.backends.python.formula_function import FormulaFunction, write_formula_function
from modelmeter.backends.python.function import Function, write_cost, write_metric, write_stages
from modelmeter.backends.python.package_templates import METRIC_WORDS, STAGE_WORDS, PackageTemplates
from modelmeter.backends.python.peaks import build_peaks
from modelmeter.backends.python.programs import (
    REQUEST,
    Layer,
    Stages,
    build_layer,
    build_stages,
    build_training_step,
    make_parameters,
)
from modelmeter.backends.python.server_steps import CHUNK, STEP, write_server_steps
from modelmeter.backends.python.signature import IMAGE_TOKENS, Signature
from modelmeter.backends.python.spec import LayerFormula, PackageSpec
from modelmeter.backends.python.traffic import build_traffic, write_layer_traffic, write_layer_traffic_formula
from modelmeter.core.cost import METRICS, Metric
from modelmeter.model.stages import TRAINING_STEP
from modelmeter.support.errors import FormulaError

_RUNTIME = (
    *("_runtime.py", "_bits.py", "_sizes.py", "_rules.py", "_polynomials.py", "_symbolic.py", "_program.py"),
    *("_freeze.py", "_bounds.py", "_tape.py", "_operations.py", "_blocks.py", "_fused.py", "_plan.py", "_ahead.py"),
    *("_array_runtime.py", "_grid.py", "_rows.py", "_array_breakdown.py"),
)
"""What all functions share, and what is behind arrays and frozen evaluators: it holds for any formulas."""

_TRAINING_NOTES = (
    "FLOPs and io_bytes are those of the forward and the backward. The backward starts at the gradients of the logits "
    "and makes those of all parameters that are used. No layer is computed again; the loss and the optimiser are not "
    "counted. weight_bytes are the parameters without their gradients, activation_bytes all operator outputs of the "
    "forward, which are kept for the backward, and kv_cache_bytes is 0: training keeps no cache."
)


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
    general = build_stages(spec, fixed)
    layers = [(formula, build_layer(formula, spec.image_tokens)) for formula in spec.layers]
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
            *_cost_functions(general, f"a model like {spec.model}"),
            *build_traffic(spec, general).write(),
            *_cost_functions(build_training_step(spec, fixed), f"a model like {spec.model}", _TRAINING_NOTES),
        ],
        "layers.py": [function for formula, layer in layers for function in _layer_functions(formula, layer)],
    }
    peaks, traffic = build_peaks(spec, stages), build_traffic(spec, stages)
    functions |= {"_peaks.py": peaks.write(), "_traffic.py": traffic.write()}
    package = PackageTemplates(spec, stages.names)
    files = {path: package.functions(path, found) for path, found in functions.items()}
    if spec.server_steps:
        files["_server.py"] = package.functions("_server.py", write_server_steps(spec), defaults=spec.defaults)
    tables = list_rows(spec, breakdown)
    files["breakdown.py"] = package.functions("breakdown.py", write_breakdown(spec, tables), modules=breakdown.modules)
    of_rows = write_breakdown_formulas(spec, tables)
    files["_breakdown_formulas.py"] = package.formulas("the breakdown", of_rows, tables)
    formulas = [
        *(_formula_function(stages, stage) for stage in stages.names),
        _formula_function(training, TRAINING_STEP),
        _all_formulas(stages),
        *peaks.write_formulas(),
        _tokens_formula(stages),
        *traffic.write_formulas(),
    ]
    files["arrays.py"] = package.render("arrays.py.jinja", functions=formulas)
    files["_formulas.py"] = package.formulas("the stages", formulas)
    of_layers = [function for formula, layer in layers for function in _layer_formulas(formula, layer)]
    files["_array_layers.py"] = package.render("array_layers.py.jinja", functions=of_layers)
    files["_layer_formulas.py"] = package.formulas("the layers", of_layers)
    files |= {path: package.copy(path) for path in _RUNTIME}
    return {
        "__init__.py": package.front(
            {
                module: [function.name for function in functions[f"{module}.py"]]
                for module in ("_metrics", "_peaks", "_traffic", "_training")
            }
            | ({"_server": [CHUNK, STEP]} if spec.server_steps else {})
        ),
        "_facts.py": package.facts(files),
        **files,
        "py.typed": "",
    }


def _cost_functions(stages: Stages, model: str, notes: str = "") -> list[Function]:
    return [_cost_function(stages, stage, model, notes) for stage in stages.names]


def _cost_function(stages: Stages, stage: str, model: str, notes: str) -> Function:
    signature, program = stages.signature(stage), stages.part(stage, *METRICS)
    return Function(
        name=stage,
        summary=f"Return the cost of {STAGE_WORDS[stage]}.",
        notes=f"{notes} The formulas are those of {model}.".lstrip(),
        signature=signature,
        body=write_cost(stage, signature, program, _outputs(stage)),
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
        body=write_stages("stages", signature, stages.program, {stage: _outputs(stage) for stage in stages.names}),
        result="Stages",
        operations=stages.program.operations,
    )


def _metric_function(stages: Stages, stage: str, metric: Metric) -> Function:
    name, program = f"{stage}_{metric}", stages.part(stage, metric)
    return Function(
        name=name,
        summary=f"Return ``{metric}`` of ``{stage}`` with the same arguments.",
        notes=f"{METRIC_WORDS[metric]}.",
        signature=stages.signature(stage),
        body=write_metric(name, stages.signature(stage), program),
        result="int",
        operations=program.operations,
    )


_TOKENS_SUMMARY = "Return the tokens of the image of one page: of its global view and of its tiles."


def _select_tokens(stages: Stages) -> tuple[Signature, Program]:
    program = select(stages.program, IMAGE_TOKENS)
    parameters = make_parameters(program.inputs, stages.defaults, {})
    return Signature(parameters=parameters, has_routing=False, constants=stages.constants), program


def _tokens_function(stages: Stages, model: str) -> Function:
    signature, program = _select_tokens(stages)
    return Function(
        name=IMAGE_TOKENS,
        summary=_TOKENS_SUMMARY,
        notes=f"The formula is that of {model}.",
        signature=signature,
        body=write_metric(IMAGE_TOKENS, signature, program),
        result="int",
        operations=program.operations,
    )


def _layer_functions(formula: LayerFormula, layer: Layer) -> tuple[Function, Function]:
    """Return the functions of a layer class: of its cost, and of its ``fused_io_bytes``."""
    cost = Function(
        name=formula.name,
        summary=f"Return the cost of one forward of ``{formula.class_name}``.",
        notes=formula.doc,
        signature=layer.signature,
        body=write_cost(
            formula.name, layer.signature, layer.program, {metric: metric for metric in METRICS}, layer.guards
        ),
        result="Cost",
        operations=layer.program.operations,
    )
    return cost, write_layer_traffic(formula, layer)


def _tokens_formula(stages: Stages) -> FormulaFunction:
    signature, program = _select_tokens(stages)
    outputs = {IMAGE_TOKENS: IMAGE_TOKENS}
    return write_formula_function(IMAGE_TOKENS, _TOKENS_SUMMARY, signature, program, outputs, result="Array")


def _layer_formulas(formula: LayerFormula, layer: Layer) -> tuple[FormulaFunction, FormulaFunction]:
    summary = f"Return the cost of one forward of ``{formula.class_name}``."
    outputs: dict[str, str] = {metric: metric for metric in METRICS}
    cost = write_formula_function(formula.name, summary, layer.signature, layer.program, outputs, guards=layer.guards)
    return cost, write_layer_traffic_formula(formula, layer)


def _formula_function(stages: Stages, stage: str) -> FormulaFunction:
    return write_formula_function(
        stage,
        f"Return the cost of {STAGE_WORDS[stage]}.",
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
