"""The evaluator package: the same values as its formulas, exact at any size, and clear errors."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from math import ceil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_package import (
    ARCHITECTURE,
    DEFAULTS,
    load_package,
    make_breakdown,
    make_spec,
    render_small_package,
)

from modelmeter.backends.python.render import render_package
from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import emit_files
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import bounded_routed_reads, expected_routed_reads
from modelmeter.evaluators.package import build_evaluators
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import METRICS
from modelmeter.support.errors import FormulaError

SPEC = make_spec()

RULES = {"uniform": expected_routed_reads, "even": bounded_routed_reads}
STAGES = ("vision", "projector", "prefill", "decode")
HUGE = 10**30


def keep_rules(sizes: dict[str, int]) -> dict[str, int]:
    """Return sizes with whole calls of the towers, and no tiles across where there are none down."""
    kept = {**sizes, "batch_size": sizes["batch_size"] * sizes["vision_batch_size"]}
    if 0 in (sizes["num_width_tiles"], sizes["num_height_tiles"]):
        kept |= {"num_width_tiles": 0, "num_height_tiles": 0}
    return kept


workloads = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, HUGE),  # in calls of the towers; see below
        "vision_batch_size": st.one_of(st.just(1), st.integers(1, HUGE)),
        # Around the trained side and whole windows, and far beyond.
        "base_size": st.one_of(st.integers(9, 400), st.integers(9, HUGE)),
        "image_size": st.one_of(st.integers(9, 400), st.integers(9, HUGE)),
        "num_width_tiles": st.one_of(st.integers(0, 3), st.integers(0, HUGE)),
        "num_height_tiles": st.one_of(st.integers(0, 3), st.integers(0, HUGE)),
        "seq_len": st.one_of(st.integers(2, 50), st.integers(2, HUGE)),
        "logits_tokens": st.integers(1, 2),
        "decode_steps": st.one_of(st.integers(0, 2), st.integers(0, HUGE)),
        "weight_bits": st.integers(1, 17),
        "activation_bits": st.integers(1, 17),
        "kv_bits": st.integers(1, 17),
    }
).map(keep_rules)


def expect(cost: Cost, sizes: dict[str, int], routing: str = "uniform") -> tuple[int, ...]:
    """Evaluate formulas one by one, the slow way."""
    return tuple(ceil(evaluate(cost[metric], sizes, routed_reads=RULES[routing])) for metric in METRICS)


def arguments_of(function: Any, sizes: dict[str, int], routing: str) -> dict[str, Any]:
    return {name: {**sizes, "expert_routing": routing}[name] for name in inspect.signature(function).parameters}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=workloads, routing=st.sampled_from(sorted(RULES)))
def test_every_function_of_every_stage_equals_its_formula(
    costs: ModuleType, sizes: dict[str, int], routing: str
) -> None:
    for stage in STAGES:
        expected = expect(SPEC.costs[stage], {**ARCHITECTURE, **sizes}, routing)
        function = getattr(costs, stage)
        given_sizes = arguments_of(function, sizes, routing)
        assert function(**given_sizes) == expected
        assert getattr(costs.general, stage)(**given_sizes) == expected
        for metric, value in zip(METRICS, expected, strict=True):
            assert getattr(costs, f"{stage}_{metric}")(**given_sizes) == value


def test_architecture_sizes_of_general_functions_are_the_formulas_own(costs: ModuleType) -> None:
    architecture = {
        "hidden_size": 70, "intermediate_size": 31, "moe_intermediate_size": 19, "num_hidden_layers": 7,
        "first_k_dense_replace": 3, "num_attention_heads": 5, "num_key_value_heads": 5, "n_routed_experts": 13,
        "num_experts_per_tok": 2, "vocab_size": 97, "sam_image_size": 144, "sam_patch_size": 8, "sam_hidden_size": 21,
        "sam_num_attention_heads": 7, "sam_window_size": 5,
    }  # fmt: skip
    for stage in STAGES:
        function = getattr(costs.general, stage)
        given_sizes = arguments_of(function, {**DEFAULTS, **architecture}, "uniform")
        assert function(**given_sizes) == expect(SPEC.costs[stage], {**DEFAULTS, **architecture})


def test_a_request_is_its_stages_chained(costs: ModuleType) -> None:
    """Flows add up before the rounding, the decoder's weights count once, the largest activations stand."""
    tokens = evaluate(SPEC.derived[0].formula, {**ARCHITECTURE, **DEFAULTS})
    # Grids of 19 and 12 patches are 5 and 3 tokens a side: 5 * 6 + 1 + 3 * 3 * (2 * 3 + 1).
    assert tokens == 31 + 63
    sizes = {**ARCHITECTURE, **DEFAULTS, "seq_len": 94 + 13, "logits_tokens": 94 + 13, "decode_steps": 28}
    exact = {stage: [evaluate(SPEC.costs[stage][metric], sizes) for metric in METRICS] for stage in STAGES}
    flows = [ceil(sum(exact[stage][place] for stage in STAGES)) for place in range(3)]
    weights = ceil(sum(exact[stage][3] for stage in STAGES[:3]))
    activations = ceil(max(exact[stage][4] for stage in STAGES))
    assert costs.request() == (*flows, weights, activations, ceil(exact["decode"][5]))
    assert flows[2] != sum(ceil(exact[stage][2]) for stage in STAGES), "the sizes must tell the roundings apart"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=workloads, routing=st.sampled_from(sorted(RULES)))
def test_a_training_step_equals_its_formula(costs: ModuleType, sizes: dict[str, int], routing: str) -> None:
    """Its prompt holds the image tokens, as that of a request."""
    tokens = evaluate(SPEC.derived[0].formula, {**ARCHITECTURE, **sizes})
    sizes = {**sizes, "seq_len": sizes["seq_len"] + tokens, "prompt_tokens": sizes["seq_len"]}
    expected = expect(SPEC.training_step, {**ARCHITECTURE, **sizes}, routing)
    given_sizes = arguments_of(costs.training_step, sizes, routing)
    assert costs.training_step(**given_sizes) == costs.general.training_step(**given_sizes) == expected
    for metric, value in zip(METRICS, expected, strict=True):
        assert getattr(costs, f"training_step_{metric}")(**given_sizes) == value


def test_the_prompt_of_a_training_step_follows_from_the_images(costs: ModuleType) -> None:
    sizes = {**ARCHITECTURE, **DEFAULTS, "seq_len": 94 + 13, "logits_tokens": 94 + 13}  # 94 as of a request
    assert costs.training_step() == expect(SPEC.training_step, sizes)
    with pytest.raises(costs.CostError, match="seq_len must be at least image_tokens: 93 < 94"):
        costs.training_step(seq_len=93)


def test_all_stages_at_once_are_the_stages_one_by_one(costs: ModuleType) -> None:
    sizes = {"batch_size": 3, "base_size": 171, "num_width_tiles": 1, "num_height_tiles": 1, "weight_bits": 7}
    chained = {"seq_len": 31 + 13}
    found = costs.stages(**sizes)
    for stage in (*STAGES, "request"):
        function = getattr(costs, stage)
        taken = {
            name: size for name, size in {**sizes, **chained}.items() if name in inspect.signature(function).parameters
        }
        assert getattr(found, stage) == function(**taken), stage


def test_layer_functions_equal_their_formulas(costs: ModuleType) -> None:
    (layer,) = SPEC.layers
    assert costs.layers.__all__ == ["square_convolution", "square_convolution_fused_io_bytes"]
    assert costs.layers.square_convolution() == expect(layer.cost, dict(layer.sizes))
    other = {**layer.sizes, "height": 29, "kernel_size": 29}
    assert costs.layers.square_convolution(height=29, kernel_size=29) == expect(layer.cost, other)


@pytest.mark.parametrize("model", ["published", "other"])
def test_the_package_of_a_traced_model_equals_its_formulas(
    model: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    compiled: CompiledModel = request.getfixturevalue(model)
    files = {path: text for path, text in emit_files(compiled).items() if path.startswith(compiled.definition.package)}
    package = load_package(tmp_path, {Path(path).name: text for path, text in files.items()}, f"{model}_costs")
    architecture = compiled.architecture.dimension_values()
    sizes = {
        **compiled.defaults, "batch_size": 3, "base_size": 1000, "image_size": 649, "num_width_tiles": 3,
        "seq_len": 1511, "logits_tokens": 7, "decode_steps": 11, "weight_bits": 5, "activation_bits": 11, "kv_bits": 3,
    }  # fmt: skip
    for stage, cost in compiled.totals.by_stage.items():
        for functions in (package, package.general):
            function = getattr(functions, stage)
            assert function(**arguments_of(function, {**sizes, **architecture}, "even")) == expect(cost, sizes, "even")
    for entry in compiled.catalogue:
        assert getattr(package.layers, entry.name)() == expect(entry.cost, dict(entry.sizes)), entry.name


def test_the_same_spec_gives_the_same_bytes_under_any_hash_seed() -> None:
    script = (
        "import hashlib; from small_package import render_small_package; "
        "print(hashlib.sha256(repr(render_small_package()).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            cwd=folder, capture_output=True, text=True, check=True,
        ).stdout
        for seed, folder in (("1", "/"), ("2", str(Path(__file__).parent)))
    }  # fmt: skip
    assert len(digests) == 1


def test_the_package_is_formatted_linted_and_typed(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    root, settings_file = tmp_path / "small_costs", Path(__file__).parents[3] / "pyproject.toml"
    root.mkdir()
    for path, text in render_small_package().items():
        (root / path).write_text(text, encoding="utf-8")
        assert text == "" or re.match("# Generated by modelmeter from (runtime|templates)/", text)
    ruff = [sys.executable, "-m", "ruff"]
    for command in (
        [*ruff, "check", "--no-cache", "--config", str(settings_file), str(root)],
        [*ruff, "format", "--no-cache", "--check", "--config", str(settings_file), str(root)],
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-incremental", str(root)],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_importing_and_evaluating_needs_the_standard_library_only(costs: ModuleType) -> None:
    """Isolated Python without site-packages: also typing and its like stay out of the way of a quick start."""
    folder = Path(str(costs.__file__)).parents[1]
    script = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); before = set(sys.modules); import small_costs as c; "
        "c.prefill(); c.request_io_bytes(); c.layers.square_convolution(); c.general.decode(); "
        "print(*sorted(name.partition('.')[0] for name in set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"small_costs", "importlib", "warnings"}


def test_a_formula_without_a_default_for_a_size_is_refused() -> None:
    defaults = {name: size for name, size in DEFAULTS.items() if name != "kv_bits"}
    with pytest.raises(FormulaError, match="kv_bits"):
        render_package(build_evaluators(evolve(SPEC, defaults=defaults), make_breakdown(SPEC)))


@pytest.mark.parametrize("text", ['ends the """ docstring', "a \\ backslash", "two\nlines"])
def test_text_that_would_not_stay_text_is_refused(text: str) -> None:
    with pytest.raises(FormulaError, match="docstring"):
        render_package(build_evaluators(evolve(SPEC, conventions=(text,)), make_breakdown(SPEC)))
