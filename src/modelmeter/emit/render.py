"""The evaluator package as text: formulas in, ``{path: text}`` out, nothing read and nothing written."""

from __future__ import annotations

from modelmeter.cost import METRICS, Metric
from modelmeter.emit.breakdown import BreakdownSpec, write_breakdown
from modelmeter.emit.formula_function import FormulaFunction, write_formula_function
from modelmeter.emit.function import IMAGE_TOKENS, Function, Signature, write_cost, write_metric, write_stages
from modelmeter.emit.package_templates import METRIC_WORDS, STAGE_WORDS, PackageTemplates
from modelmeter.emit.peaks import build_peaks
from modelmeter.emit.programs import (
    REQUEST,
    Stages,
    build_layer,
    build_stages,
    build_training_step,
    make_parameters,
)
from modelmeter.emit.spec import LayerFormula, PackageSpec
from modelmeter.emit.traffic import build_traffic, write_layer_traffic
from modelmeter.errors import FormulaError
from modelmeter.functions import Size
from modelmeter.models.deepseek_ocr.build import TRAINING_STEP
from modelmeter.program import select

_MACHINERY = (
    *("symbolic", "program", "freeze", "bounds"),
    *("tape", "operations", "blocks", "fused", "plan", "ahead", "array_runtime", "grid"),
)
"""The hand-written modules behind arrays and frozen evaluators: they hold for any formulas."""

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
        "layers.py": [function for layer in spec.layers for function in _layer_functions(layer, spec.image_tokens)],
    }
    peaks, traffic = build_peaks(spec, stages), build_traffic(spec, stages)
    functions |= {"_peaks.py": peaks.write(), "_traffic.py": traffic.write()}
    package = PackageTemplates(spec, stages.names)
    files = {path: package.functions(path, found) for path, found in functions.items()}
    files["breakdown.py"] = package.functions(
        "breakdown.py", write_breakdown(spec, breakdown), modules=breakdown.modules
    )
    formulas = [
        *(_formula_function(stages, stage) for stage in stages.names),
        _formula_function(training, TRAINING_STEP),
        _all_formulas(stages),
        *peaks.write_formulas(),
        *traffic.write_formulas(),
    ]
    files["arrays.py"] = package.render("arrays.py.jinja", functions=formulas)
    files["_formulas.py"] = package.formulas(formulas)
    files |= {f"_{name}.py": package.copy(f"{name}.py.jinja") for name in _MACHINERY}
    return {
        "__init__.py": package.front(
            {
                module: [function.name for function in functions[f"{module}.py"]]
                for module in ("_metrics", "_peaks", "_traffic", "_training")
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
        summary=f"Return the cost of {STAGE_WORDS[stage]}.",
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
        notes=f"{METRIC_WORDS[metric]}.",
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


def _layer_functions(formula: LayerFormula, image_tokens: Size) -> tuple[Function, Function]:
    layer = build_layer(formula, image_tokens)
    cost = Function(
        name=formula.name,
        summary=f"Return the cost of one forward of ``{formula.class_name}``.",
        notes=formula.doc,
        signature=layer.signature,
        body=write_cost(layer.signature, layer.program, {metric: metric for metric in METRICS}, layer.guards),
        result="Cost",
        operations=layer.program.operations,
    )
    return cost, write_layer_traffic(formula, layer)


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
