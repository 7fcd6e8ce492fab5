"""Peaks of the published model: what is left out is never the largest."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from modelmeter.analysis.peak import Peak, find_peaks
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.size_rules import substitute_sizes
from modelmeter.layers.tape import Buffer, Tape
from modelmeter.metrics.cost import Elements, Precision
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import build_layers, list_inputs, symbolic_sizes
from modelmeter.models.deepseek_ocr.model import MODEL
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.models.deepseek_ocr.stages import STAGES, stage_of
from modelmeter.models.deepseek_ocr.vision_tokens import prompt_image_tokens

PUBLISHED = DeepSeekOCRArchitecture().dimension_values()


SHORT = {"base_size": st.integers(16, 900), "image_size": st.integers(16, 900)}


WORKLOADS = st.fixed_dictionaries(
    {
        **SHORT,
        "vision_batch_size": st.integers(1, 7),
        "num_calls": st.integers(1, 7),
        "images_per_prompt": st.integers(1, 3),
        "num_width_tiles": st.integers(0, 3),
        "num_height_tiles": st.integers(0, 3),
        "prompt_tokens": st.integers(0, 30),
        "logits_tokens": st.integers(1, 40),
        "decode_steps": st.integers(0, 3),
        # Also of the published grids, where nothing is resized, and with weights that are cast or not.
        "is_native": st.booleans(),
        "weight_bits": st.sampled_from([7, 32]),
    }
)


def make_peaks(sizes: dict[str, int]) -> dict[str, Peak]:
    dimensions = {**symbolic_sizes(), **sizes}
    return find_peaks(
        build_layers(dimensions), stage_of, inputs=list_inputs(dimensions), stages=STAGES,
        loop=MODEL.loop, rules=substitute_sizes(RULES, sizes), dimensions=MODEL.dimensions,
    )  # fmt: skip


PEAKS = make_peaks(PUBLISHED)


def take_sizes(workload: dict[str, int]) -> dict[str, int]:
    """Return the sizes of a workload that keeps the rules of the model."""
    if workload.pop("is_native"):
        workload = {**workload, "base_size": 1024}
    seq_len = int(prompt_image_tokens({**PUBLISHED, **workload})) + workload["prompt_tokens"]
    return {
        **PUBLISHED, **workload, "seq_len": seq_len, "decode_step": 1,
        "batch_size": workload["vision_batch_size"] * workload["num_calls"],
        "logits_tokens": min(workload["logits_tokens"], seq_len),
    }  # fmt: skip


@settings(max_examples=40)
@given(workload=WORKLOADS, activation_bits=st.sampled_from([13, 16, 32]))
def test_what_is_left_out_is_never_the_largest(workload: dict[str, int], activation_bits: int) -> None:
    """Against all operators, replayed in numbers."""
    sizes = {**take_sizes(dict(workload)), "activation_bits": activation_bits}
    widths = Precision(weight_bits=sizes["weight_bits"], activation_bits=activation_bits, kv_bits=13)
    largest = dict.fromkeys(STAGES, 0)
    inputs = list_inputs(sizes)
    for run, layer in build_layers(sizes).items():
        tape, ids = Tape(casts=activation_bits != 32), Buffer(inputs[run])
        layer.replay(tape, ids)
        for operator in tape.list_operators():
            stage, alive = stage_of(run, operator.path), int(operator.alive.to_bits(widths))
            if stage != "decode" or workload["decode_steps"]:
                largest[stage] = max(largest[stage], alive)
            assert alive <= int(operator.at_most.to_bits(widths))
    assert {stage: 8 * evaluate(peak.formula, sizes) for stage, peak in PEAKS.items()} == largest


def test_the_published_sizes_leave_few_operators() -> None:
    """Many would make a formula that nobody can read; the towers take two kinds of views, cast or not."""
    replayed = 0
    for layer in build_layers({**symbolic_sizes(), **PUBLISHED}).values():
        tape = Tape()
        layer.replay(tape, Buffer(Elements()))
        replayed += len(list(tape.list_operators()))
    kept = sum(len(peak.operators) for peak in PEAKS.values())
    assert kept <= 43 < replayed
