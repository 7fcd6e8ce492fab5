"""What people import: the registered models, a shipped one, one of a config, and what can be asked of them."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest
import sympy

import deepseek_ocr_costs as costs
import modelmeter
from modelmeter import api, compiled_model
from modelmeter.compiled_model import CompiledModel
from modelmeter.metrics.metric import METRICS
from modelmeter.support.errors import ArchitectureError, ModelMeterError, WorkloadError
from modelmeter.support.suggestions import UnknownNameError

# Every size of the workload another one, all odd or prime; two pages share a call of the towers.
SIZES = {
    "batch_size": 6, "vision_batch_size": 2, "images_per_prompt": 3, "base_size": 613, "image_size": 509,
    "num_width_tiles": 5, "num_height_tiles": 1, "prompt_tokens": 11, "max_new_tokens": 37, "weight_bits": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return modelmeter.load("deepseek-ocr")


@pytest.mark.parametrize("module", [modelmeter, api, compiled_model], ids=lambda module: module.__name__)
def test_the_examples_in_the_documentation_are_true(module: object) -> None:
    done = doctest.testmod(module)  # type: ignore[arg-type]  # a module, as it comes out of the parameters
    assert done.attempted
    assert not done.failed


def test_the_models_are_listed_by_a_name_that_is_also_their_folder() -> None:
    assert modelmeter.models() == ("deepseek-ocr",)
    assert modelmeter.models.__name__ == "modelmeter.models"


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(getattr(modelmeter, name) is not None for name in modelmeter.__all__)
    assert [name for name in dir(modelmeter) if not name.startswith("__")] == sorted(modelmeter.__all__)
    with pytest.raises(AttributeError, match="no attribute 'cost'") as caught:
        modelmeter.cost  # noqa: B018  # asking is the test
    assert (caught.value.name, caught.value.obj) == ("cost", modelmeter), "so Python says what comes close"


def test_a_shipped_model_needs_neither_torch_nor_what_pages_are_made_of() -> None:
    code = (
        "import sys, modelmeter\n"
        "modelmeter.load('deepseek-ocr').formula('prefill', 'io_bytes')\n"
        "print(sorted({'torch', 'torchinfo', 'numpy', 'jinja2'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("stage", ["vision", "projector", "prefill", "decode", "request", "training_step"])
def test_the_slow_way_gives_what_the_evaluators_do(model: CompiledModel, stage: str) -> None:
    taken = costs.stages.__kwdefaults__ if stage == "request" else getattr(costs, stage).__kwdefaults__
    sizes = {name: size for name, size in SIZES.items() if name in taken}
    found = model.evaluate(stage, **sizes)
    assert tuple(found[metric] for metric in METRICS) == tuple(getattr(costs, stage)(**sizes))


def test_sizes_of_the_architecture_are_sizes_too(model: CompiledModel) -> None:
    found = model.evaluate("prefill", seq_len=101, hidden_size=640)
    assert found.tensor_core_flops == costs.general.prefill(seq_len=101, hidden_size=640).tensor_core_flops


def test_a_formula_has_the_sizes_of_the_model_or_symbols(model: CompiledModel) -> None:
    numbers, symbols = (model.formula("decode", "io_bytes", symbolic=symbolic) for symbolic in (False, True))
    assert {"hidden_size", "num_hidden_layers"} <= {free.name for free in symbols.free_symbols}
    assert {free.name for free in numbers.free_symbols} == {
        "batch_size", "seq_len", "decode_steps", "weight_bits", "activation_bits", "kv_bits"
    }  # fmt: skip


@pytest.mark.parametrize("stage", ["vision", "prefill", "decode"])
def test_a_formula_becomes_a_python_function(model: CompiledModel, stage: str) -> None:
    """It calls functions that sympy does not print; with these FLOPs are exact."""
    formula = model.formula(stage, "cuda_core_flops")
    sizes = {name: size for name, size in SIZES.items() if name in {free.name for free in formula.free_symbols}}
    sizes |= {"seq_len": 1009, "logits_tokens": 1009, "decode_steps": 41} if stage != "vision" else {}
    names = sorted(free.name for free in formula.free_symbols)
    function = sympy.lambdify([modelmeter.symbol(name) for name in names], formula, [modelmeter.FUNCTIONS, "math"])
    taken = {name: size for name, size in sizes.items() if name in getattr(costs, stage).__kwdefaults__}
    assert function(*(sizes[name] for name in names)) == getattr(costs, stage)(**taken).cuda_core_flops


def test_all_stages_add_up_to_the_request(model: CompiledModel) -> None:
    stages = [model.formula(stage, "fused_io_bytes") for stage in ("vision", "projector", "prefill", "decode")]
    assert sympy.expand(sympy.Add(*stages) - model.formula("request", "fused_io_bytes")) == 0


def test_a_layer_goes_by_both_of_its_names(model: CompiledModel) -> None:
    assert model.formula("DeepseekV2MoE", "weight_bytes") == model.formula("deepseek_v2_moe", "weight_bytes")
    assert "deepseek_v2_moe" in model.layers


def test_the_operators_of_a_stage_add_up_to_it(model: CompiledModel) -> None:
    rows = model.operators("projector")
    assert {row.stage for row in rows} == {"projector"}
    both = sympy.Add(*(row.cost.io_bytes for row in rows)) - model.totals.by_stage["projector"].io_bytes
    assert sympy.expand(both) == 0


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda model: modelmeter.load("deepseek-ocr2"), UnknownNameError, "did you mean deepseek-ocr"),
        (lambda model: model.formula("prefil", "io_bytes"), UnknownNameError, "did you mean prefill"),
        (lambda model: model.formula("prefill", "io"), UnknownNameError, "metric of prefill"),
        (lambda model: model.formula("linear", "peak_activation_bytes"), UnknownNameError, "metric of a layer"),
        (lambda model: model.formula("training_step", "fused_io_bytes"), UnknownNameError, "metric of training_step"),
        (lambda model: model.operators("request"), UnknownNameError, "no stage of this name"),
        (lambda model: model.evaluate("prefill", seqlen=1), UnknownNameError, "did you mean seq_len"),
        (lambda model: model.evaluate("prefill", seq_len=1.5), WorkloadError, "seq_len: a size is not a whole number"),
        (lambda model: model.evaluate("prefill", logits_tokens=914), WorkloadError, "at least logits_tokens = 914"),
        (lambda model: model.evaluate("request", seq_len=902), WorkloadError, "at least image_tokens = 903"),
        (lambda model: model.evaluate("request", seq_len=920, prompt_tokens=13), WorkloadError, "expected 916"),
        (lambda model: model.evaluate("vision", batch_size=3, vision_batch_size=2), WorkloadError, "a multiple of"),
        (lambda model: modelmeter.compile("nothing-like-it"), UnknownNameError, "no model of this name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_name(
    model: CompiledModel, ask: object, error: type[ModelMeterError], message: str
) -> None:
    assert callable(ask)
    with pytest.raises(error, match=message):
        ask(model)


@pytest.mark.parametrize("source", [None, 7, b"llama", ["llama"]])
def test_what_no_model_is_made_of_is_refused(source: object) -> None:
    with pytest.raises(ArchitectureError, match=r"expected a config\.json, .* mapping, .* type .* card; ") as raised:
        modelmeter.compile(source)  # type: ignore[arg-type]  # which is the test
    assert str(raised.value).endswith(f"found {source!r}")


def test_a_config_that_is_damaged_or_of_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    (tmp_path / "other.json").write_text('{"model_type": "unheard_of"}', encoding="utf-8")
    for name in ("config.json", "other.json", "missing.json"):
        with pytest.raises(ArchitectureError):
            modelmeter.compile(tmp_path / name)


def test_the_published_model_is_compiled_by_its_name() -> None:
    compiled = modelmeter.compile("deepseek-ocr")
    assert compiled.name == "DeepSeek-OCR"
    assert compiled.evaluate("prefill", seq_len=913) == modelmeter.load().evaluate("prefill", seq_len=913)
