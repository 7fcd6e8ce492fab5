"""Functions whose steps stand once for several of them: the same results with the text of the package and without."""

from __future__ import annotations

import inspect
import pickle
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from small_package import load_package, render_small_package

import deepseek_ocr_costs
from modelmeter.algebra.program import Operation, Output, Program, join_programs
from modelmeter.evaluators.whole_models import WholeModel, add_whole_models


@pytest.fixture
def costs(tmp_path: Path) -> ModuleType:
    """A package of its own, so that no function has its steps yet."""
    return load_package(tmp_path, render_small_package(), f"costs_{len(sys.modules)}")


def test_a_function_has_its_steps_from_the_first_call_on(costs: ModuleType) -> None:
    vision = costs.general.vision
    before = vision.__code__
    first = vision(base_size=131, num_width_tiles=5)
    assert vision.__code__ != before
    assert "compute" not in vision.__code__.co_names
    assert vision(base_size=131, num_width_tiles=5) == first == costs.vision(base_size=131, num_width_tiles=5)
    assert inspect.signature(vision).parameters["base_size"].default == 175


def test_without_text_all_steps_run(costs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vision and all stages at once have their own steps; a batch of 2 has twice the peak of the vision."""
    monkeypatch.setattr(f"{costs.general.compute.__module__}._read", lambda module, function: "")
    widths = {"base_size": 131, "weight_bits": Fraction(11, 2)}
    assert costs.general.vision(**widths) == costs.vision(**widths)
    peaks = [costs.vision_peak_activation_bytes(base_size=131, batch_size=batch) for batch in (1, 2)]
    assert peaks[0] > 0
    assert peaks[1] in (2 * peaks[0] - 1, 2 * peaks[0])
    assert costs.request(base_size=131) == costs.stages(base_size=131).request
    assert costs.request_io_bytes(base_size=131) == costs.stages(base_size=131).request.io_bytes
    with pytest.raises(costs.CostError, match=r"vision_fused_io_bytes is made of the text of .*, which is not there"):
        _ = costs.vision_fused_io_bytes


WRONG: tuple[tuple[str, dict[str, object]], ...] = (
    ("general.vision", {"batch_size": 0}),
    ("general.vision", {"batch_size": True}),
    ("general.vision", {"base_size": 131.0}),
    ("general.vision", {"batch_size": 7, "vision_batch_size": 3}),
    ("general.vision", {"base_size": 5, "sam_patch_size": 7}),
    ("general.vision", {"num_width_tiles": 0, "num_height_tiles": 5}),
    ("general.prefill", {"weight_bits": Fraction(1, 2)}),
    ("general.prefill", {"expert_routing": "odd"}),
    ("general.prefill", {"num_experts_per_tok": 67, "n_routed_experts": 61}),
    ("general.request", {"prompt_tokens": -1}),
    ("general.training_step", {"hidden_size": 7, "num_attention_heads": 3}),
    ("layers.deepseek_v2_decoder_layer", {"num_queries": 11, "num_keys": 7}),
    ("layers.llama_rotary_embedding", {"head_dim": 7}),
    ("layers.conv2d", {"padding": -1}),
    ("breakdown.vision_operators", {"base_size": 15}),
    ("breakdown.prefill_operators", {"logits_tokens": 3, "seq_len": 2}),
    ("breakdown.vision_states", {"weight_bits": 0}),
    ("training_step", {"image_size": 15}),
    ("vision_peak_activation_bytes", {"vision_batch_size": 2}),
    ("stages", {"max_new_tokens": 0}),
)
"""What is refused: one size that is out of range or of another kind, two that contradict each other."""


@pytest.mark.parametrize(("name", "sizes"), WRONG)
def test_sizes_are_refused_alike_with_text_and_without(
    name: str, sizes: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(str(deepseek_ocr_costs.__file__)).parent
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    messages = []
    for has_text in (True, False):
        package = load_package(tmp_path, files, f"costs_{len(sys.modules)}")
        function: Any = package
        for part in name.split("."):
            function = getattr(function, part)
        if not has_text:
            monkeypatch.setattr(f"{package.__name__}._source._read", lambda module, function: "")
        for _ in range(2):  # as it stands, and with its checks written out
            with pytest.raises((package.CostError, TypeError)) as caught:
                function(**sizes)
            messages.append((type(caught.value).__name__, str(caught.value)))
    assert len(set(messages)) == 1
    assert any(size in messages[0][1] for size in sizes)


@pytest.mark.parametrize(
    "name", ["request", "request_io_bytes", "vision_fused_io_bytes", "prefill_peak_activation_bytes"]
)
def test_what_is_cut_out_is_found_by_its_name_again(name: str) -> None:
    function = getattr(deepseek_ocr_costs, name)
    assert pickle.loads(pickle.dumps(function)) is function
    assert function.__name__ == name
    assert name.removeprefix("request_").split("_")[-1] in function.__doc__


def test_sizes_of_layers_are_refused_alike_in_both_functions() -> None:
    """A kernel of 7 and padding of 1 on a side of 3: 3 + 2 - 7 is negative."""
    layers = deepseek_ocr_costs.layers
    for convolution in (layers.conv2d, layers.conv2d_fused_io_bytes):
        with pytest.raises(deepseek_ocr_costs.CostError, match="negative"):
            convolution(height=3, kernel_size=7, padding=1)
    assert layers.attention_fused_io_bytes is layers.sam_attention_fused_io_bytes
    with pytest.raises(AttributeError, match="has no attribute 'conv3d_fused_io_bytes'"):
        _ = layers.conv3d_fused_io_bytes


def test_a_whole_model_is_divided_once() -> None:
    """Two stages of (3 n + 5) / 8 and n / 4, and a rest of -1 / 8: (3 n + 5 + 2 n - 1) / 8."""
    outputs = (
        *(Output(f"{stage}_{metric}", value, divisor) for metric in METRICS for stage, value, divisor in STAGES),
    )
    stages = Program(inputs=("n",), steps=(), outputs=outputs)
    rest = Program(inputs=(), steps=(), outputs=tuple(Output(metric, -1, 8) for metric in METRICS[:-1]))
    fused = Program(inputs=(), steps=(), outputs=(Output(METRICS[-1], -1, 8),))
    whole = WholeModel(stages=("one", "other"), rest=rest, fused_rest=fused, cancelled={})
    program = add_whole_models(stages, {"model": whole})
    found = {output.name: output for output in program.outputs}
    steps = dict(program.steps)
    io_bytes = found["model_io_bytes"]
    assert io_bytes.denominator == 8
    assert isinstance(io_bytes.numerator, Operation)
    assert io_bytes.numerator.function == "+"
    (first,) = (operand for operand in io_bytes.numerator.operands if operand in steps)
    assert steps[first] == STAGES[0][1]
    assert {*io_bytes.numerator.operands} == {first, Operation("*", (2, "n")), -1}


METRICS = (
    *("tensor_core_flops", "cuda_core_flops", "io_bytes", "weight_bytes", "activation_bytes", "kv_cache_bytes"),
    "fused_io_bytes",
)
STAGES = (("one", Operation("+", (Operation("*", (3, "n")), 5)), 8), ("other", "n", 4))


def test_equal_steps_of_two_programs_are_one() -> None:
    square = Operation("*", ("n", "n"))
    one = Program(inputs=("n",), steps=(("x1", square),), outputs=(Output("a", Operation("+", ("x1", 1)), 1),))
    other = Program(
        inputs=("m", "n"),
        steps=(("x1", Operation("*", ("m", "m"))), ("x2", square)),
        outputs=(Output("b", Operation("+", ("x1", "x2")), 1),),
    )
    joined = join_programs(one, other)
    assert joined.inputs == ("n", "m")
    assert joined.steps == (("x1", square),)
    assert joined.outputs[1].numerator == Operation("+", (Operation("*", ("m", "m")), "x1"))
