"""What is asked of the generated evaluators, and what becomes of their refusals."""

from __future__ import annotations

import sys

import pytest
from records import make_profile

import deepseek_ocr_costs as costs
from llm_perf_opt.errors import RecordError
from llm_perf_opt.reporting.evaluation import STAGES, evaluate_workload, read_conventions, sizes_of
from modelmeter.errors import OutputError, WorkloadError

# Another view, other tiles, a batch: 928 pixels give a grid of 15 (58 patches), 816 one of 13 (51 patches). Image
# tokens: 15 x 16 + 1 + (5 x 13) (3 x 13 + 1) = 241 + 2600 = 2841.
PROFILE = make_profile(
    base_size=928, image_size=816, num_width_tiles=3, num_height_tiles=5, seq_len=2851, num_pages=7, max_new_tokens=11
)


def test_the_sizes_are_those_of_the_profile() -> None:
    assert sizes_of(PROFILE, "int8") == {
        "batch_size": 7, "base_size": 928, "image_size": 816, "num_width_tiles": 3, "num_height_tiles": 5,
        # The prefill makes the first of 11 tokens.
        "seq_len": 2851, "decode_steps": 10, "weight_bits": 8, "activation_bits": 8, "kv_bits": 8,
    }  # fmt: skip
    # Without crop mode there is one view: of image_size, 640 pixels, or of base_size, 1024.
    for preprocessing, side in (("transformers", 640), ("serving", 1024)):
        uncut = make_profile(crop_mode=False, num_width_tiles=None, num_height_tiles=None, preprocessing=preprocessing)
        sizes = sizes_of(uncut, "bfloat16")
        assert (sizes["base_size"], sizes["num_width_tiles"], sizes["num_height_tiles"]) == (side, 0, 0)


def test_every_stage_is_that_of_the_evaluators_and_of_its_rows() -> None:
    evaluation = evaluate_workload(PROFILE, "int8")
    bits = {"weight_bits": 8, "activation_bits": 8}
    page = {"batch_size": 7, "base_size": 928, "image_size": 816, "num_width_tiles": 3, "num_height_tiles": 5}
    assert tuple(evaluation.stages) == STAGES
    assert evaluation.stages["vision"].cost == costs.vision(**page, **bits)
    assert evaluation.stages["projector"].cost == costs.projector(**page, **bits)
    assert evaluation.stages["prefill"].cost == costs.prefill(batch_size=7, seq_len=2851, kv_bits=8, **bits)
    assert evaluation.stages["decode"].cost == costs.decode(
        batch_size=7, seq_len=2851, decode_steps=10, kv_bits=8, **bits
    )
    assert evaluation.request == costs.request(**page, **bits, seq_len=2851, max_new_tokens=11, kv_bits=8)
    assert [stage.peak_activation_bytes for stage in evaluation.stages.values()] == [
        costs.vision_peak_activation_bytes(**page, **bits, seq_len=2851),
        costs.projector_peak_activation_bytes(**page, **bits, seq_len=2851),
        costs.prefill_peak_activation_bytes(batch_size=7, seq_len=2851, **bits),
        costs.decode_peak_activation_bytes(batch_size=7, seq_len=2851, decode_steps=10, **bits),
    ]
    assert evaluation.request_peak_activation_bytes == max(
        stage.peak_activation_bytes for stage in evaluation.stages.values()
    )
    for stage in evaluation.stages.values():
        assert stage.cost == (
            sum(row.tensor_core_flops for row in stage.operators),
            sum(row.cuda_core_flops for row in stage.operators),
            -(-sum(row.io_bits for row in stage.operators) // 8),
            -(-sum(row.weight_bits for row in stage.states) // 8),
            -(-sum(row.activation_bits for row in stage.operators) // 8),
            -(-sum(row.kv_cache_bits for row in stage.states) // 8),
        )


def test_the_architecture_is_the_published_one() -> None:
    architecture = evaluate_workload(make_profile(), "bfloat16").architecture
    assert (architecture["hidden_size"], architecture["num_hidden_layers"]) == (1280, 12)


def test_a_page_of_unknown_tiles_has_no_cost() -> None:
    with pytest.raises(RecordError, match=r"num_width_tiles: the number of tiles is not known"):
        evaluate_workload(make_profile(num_width_tiles=None, num_height_tiles=None), "bfloat16")


def test_a_refusal_of_the_evaluators_is_an_error_of_the_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile has checked its sizes already; here, a stage refuses them all the same."""

    def refuse(**_: int) -> None:
        raise costs.CostError("seq_len is odd")

    monkeypatch.setattr(costs, "prefill", refuse)
    with pytest.raises(WorkloadError, match=f"^{PROFILE.profile_id}: seq_len is odd$"):
        evaluate_workload(PROFILE, "bfloat16")


def test_without_the_generated_package_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepseek_ocr_costs.breakdown", None)
    monkeypatch.delattr(costs, "breakdown", raising=False)
    with pytest.raises(OutputError, match=r"the generated package is not installed.*run modelmeter compile"):
        evaluate_workload(make_profile(), "bfloat16")


def test_the_conventions_are_lines_of_text() -> None:
    assert any("multiply-accumulate" in line for line in read_conventions())
