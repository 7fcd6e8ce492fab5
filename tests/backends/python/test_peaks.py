"""The functions of the evaluator package for the peaks of activations."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from types import ModuleType

import pytest
from small_package import ARCHITECTURE, DEFAULTS, load_small_package, make_spec

from modelmeter.dimensions.evaluate import evaluate

STAGES = ("vision", "projector", "prefill", "decode")
# 7 * 9 * 4 = 252 pixels and more than a patch; one page without tiles; more prompt than images.
WORKLOADS = (
    {},
    {"batch_size": 3, "base_size": 401, "activation_bits": 3},
    {"batch_size": 2, "num_width_tiles": 1, "num_height_tiles": 1, "seq_len": 977, "logits_tokens": 5},
    {"batch_size": 5, "decode_steps": 0, "seq_len": 401, "logits_tokens": 401},
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    directory: Path = tmp_path_factory.mktemp("peaks")
    return load_small_package(directory)


def call(package: ModuleType, stage: str, workload: dict[str, int]) -> int:
    """Return the peak of a stage; of a workload each function takes the sizes that it knows."""
    function = getattr(package, f"{stage}_peak_activation_bytes")
    result: int = function(**{name: workload[name] for name in signature(function).parameters if name in workload})
    return result


def expected(stage: str, sizes: dict[str, int]) -> int:
    """Return the largest candidate, rounded up."""
    return max(-int(-evaluate(sum_, sizes) // 1) for sum_ in make_spec().peaks[stage])


@pytest.mark.parametrize("workload", WORKLOADS, ids=str)
def test_the_peak_is_the_largest_candidate_and_that_of_a_request_the_largest_peak(
    package: ModuleType, workload: dict[str, int]
) -> None:
    known = {name: DEFAULTS[name] for name in ("num_width_tiles", "num_height_tiles", "base_size", "image_size")}
    known |= {name: workload[name] for name in known.keys() & workload.keys()}
    prompt = workload.get("seq_len", package.image_tokens(**known) + DEFAULTS["prompt_tokens"])
    chained = {"seq_len": prompt, "logits_tokens": prompt, **workload}
    sizes = {**ARCHITECTURE, **DEFAULTS, **chained}
    peaks = {stage: call(package, stage, chained) for stage in STAGES}
    assert peaks == {stage: expected(stage, sizes) for stage in STAGES}
    assert call(package, "request", workload) == max(peaks.values())


def test_before_the_decoder_the_prompt_follows_from_the_views(package: ModuleType) -> None:
    """As in a request: the default length would not hold the tokens of larger images."""
    sizes = {"base_size": 9 * 4 * 31, "num_width_tiles": 0, "num_height_tiles": 0}
    tokens = 31 * 32 + 1
    assert package.image_tokens(**sizes) == tokens
    given = package.vision_peak_activation_bytes(**sizes, seq_len=tokens + 7)
    assert package.vision_peak_activation_bytes(**sizes, prompt_tokens=7) == given
    with pytest.raises(package.CostError, match="seq_len"):
        package.vision_peak_activation_bytes(**sizes, seq_len=tokens - 1)


@pytest.mark.parametrize("stage", [*STAGES, "request"])
def test_a_peak_takes_what_its_stage_takes(package: ModuleType, stage: str) -> None:
    peak = signature(getattr(package, f"{stage}_peak_activation_bytes")).parameters
    stage_sizes = signature(getattr(package, stage)).parameters
    added = {"prompt_tokens", "seq_len"} if stage in ("vision", "projector") else set()
    assert peak.keys() == stage_sizes.keys() | added
    assert all(peak[name].default == stage_sizes[name].default for name in stage_sizes)


def test_a_wrong_size_fails(package: ModuleType) -> None:
    with pytest.raises(package.CostError, match="batch_size"):
        package.prefill_peak_activation_bytes(batch_size=0)
    with pytest.raises(TypeError):
        package.decode_peak_activation_bytes(hidden_size=7)
