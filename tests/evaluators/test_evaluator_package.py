"""The evaluators of a model: groups without a language, complete, on folders below them only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from attrs import evolve, fields
from small_package import build_small_package

from modelmeter import evaluators
from modelmeter.backends.python.render import render_package
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue, StageCosts
from modelmeter.evaluators.layers import evaluate_layer
from modelmeter.evaluators.package import EvaluatorPackage
from modelmeter.evaluators.programs import build_layer
from modelmeter.support.errors import FormulaError

PACKAGE = build_small_package()
FOLDER = Path(str(evaluators.__file__)).parent


def list_evaluators(package: EvaluatorPackage) -> list[Evaluator]:
    groups = [getattr(package, field.name) for field in fields(EvaluatorPackage)]
    found = [item for group in groups for item in (group if isinstance(group, tuple) else [group])]
    tables = [table.evaluator for table in package.tables]
    return [item for item in found if isinstance(item, Evaluator)] + tables


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_evaluators_import_what_is_below_them(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    folders = {name.split(".")[1] for name in modules if name.startswith("modelmeter.")}
    assert folders <= {
        "support",
        "dimensions",
        "metrics",
        "graph",
        "algebra",
        "layers",
        "model",
        "analysis",
        "evaluators",
    }


def test_every_input_of_a_program_is_a_parameter() -> None:
    for evaluator in list_evaluators(PACKAGE):
        taken = {parameter.name for parameter in evaluator.signature.parameters}
        assert {*evaluator.program.inputs} <= taken, evaluator.name


def test_every_result_is_an_output() -> None:
    for evaluator in list_evaluators(PACKAGE):
        for name in (*evaluator.result.outputs.values(), *evaluator.guards, *evaluator.signature.intermediates):
            assert evaluator.output(name).name == name


def test_each_stage_has_a_cost_a_peak_and_its_traffic() -> None:
    stages = PACKAGE.stage_names
    assert stages == ("vision", "projector", "prefill", "decode", "request")
    assert all(isinstance(evaluator.result, OneCost) for evaluator in PACKAGE.stages)
    assert [evaluator.name for evaluator in PACKAGE.peaks] == [f"{stage}_peak_activation_bytes" for stage in stages]
    assert [evaluator.name for evaluator in PACKAGE.traffic] == [f"{stage}_fused_io_bytes" for stage in stages]
    assert isinstance(PACKAGE.all_stages.result, StageCosts)
    assert PACKAGE.peaks[0].result == OneValue("peak_activation_bytes", "vision_peak_activation_bytes")


def test_a_request_waits_for_the_image_tokens() -> None:
    request = PACKAGE.stages[-1]
    first, rest = request.split_steps()
    assert first
    assert rest
    assert (*first, *rest) == tuple(sorted(request.program.steps, key=lambda step: (step not in first,)))
    assert request.signature.intermediates == ("image_tokens",)
    assert {rule.a for rule in request.signature.late_rules} == {"logits_tokens", "image_tokens"}


def test_tables_have_a_value_for_each_cell() -> None:
    assert {
        table.evaluator.name: (table.width, len(table.keys)) for table in PACKAGE.tables if table.stage == "vision"
    } == {
        "vision_operators": (5, 1),
        "vision_states": (2, 1),
    }


def test_an_output_that_is_not_there_is_named() -> None:
    with pytest.raises(FormulaError, match=r"image_tokens: the program has no such output.*found nothing"):
        evolve(PACKAGE.derived[0], guards={}).output("nothing")


def test_a_layer_may_have_a_public_name_and_keeps_that_of_its_class() -> None:
    (layer,) = PACKAGE.spec.layers
    assert PACKAGE.aliases == {}
    spec = evolve(PACKAGE.spec, layers=(evolve(layer, public_name="ear_convolution"),))
    evaluators = evaluate_layer(spec.layers[0], build_layer(spec.layers[0], spec))
    package = evolve(PACKAGE, spec=spec, layers=evaluators)
    assert [evaluator.name for evaluator in package.layers] == ["ear_convolution", "ear_convolution_fused_io_bytes"]
    assert package.aliases == {
        "square_convolution": "ear_convolution",
        "square_convolution_fused_io_bytes": "ear_convolution_fused_io_bytes",
    }
    text = render_package(package)["layers.py"]
    assert "\nsquare_convolution = ear_convolution\n" in text
    assert '"square_convolution": "SquareConvolution"' in text
