"""What is asked of the generated evaluators, and what becomes of their refusals."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve
from evaluations import accept_fractions
from records import make_profile

import deepseek_ocr_costs as costs
from llm_perf_opt.errors import RecordError
from llm_perf_opt.reporting.evaluation import STAGES, Storage, evaluate_workload, read_conventions, sizes_of
from modelmeter.support.errors import OutputError, WorkloadError

# Another view, other tiles, a batch: 928 pixels give a grid of 15 (58 patches), 816 one of 13 (51 patches). Image
# tokens: 15 x 16 + 1 + (5 x 13) (3 x 13 + 1) = 241 + 2600 = 2841.
PROFILE = make_profile(
    base_size=928, image_size=816, num_width_tiles=3, num_height_tiles=5, seq_len=2851, num_pages=7, max_new_tokens=11
)


def test_the_sizes_are_those_of_the_profile() -> None:
    assert sizes_of(PROFILE, "int8") == {
        "batch_size": 7, "images_per_prompt": 1, "vision_batch_size": 1, "base_size": 928, "image_size": 816,
        # The prefill makes the first of 11 tokens.
        "num_width_tiles": 3, "num_height_tiles": 5, "seq_len": 2851, "logits_tokens": 2851, "decode_steps": 10,
        "weight_bits": 8, "activation_bits": 8, "kv_bits": 8,
    }  # fmt: skip
    # Without crop mode there is one view: of image_size, 640 pixels, or of base_size, 1024.
    for preprocessing, side in (("transformers", 640), ("serving", 1024)):
        uncut = make_profile(crop_mode=False, num_width_tiles=None, num_height_tiles=None, preprocessing=preprocessing)
        sizes = sizes_of(uncut, "bfloat16")
        assert (sizes["base_size"], sizes["num_width_tiles"], sizes["num_height_tiles"]) == (side, 0, 0)


def test_what_is_stored_otherwise_than_computed() -> None:
    """fp8 weights, bf16 activations and an int8 cache, computed in bfloat16."""
    storage = Storage(weight_bits=8, kv_bits=8)
    sizes = sizes_of(PROFILE, "bfloat16", storage)
    assert (sizes["weight_bits"], sizes["activation_bits"], sizes["kv_bits"]) == (8, 16, 8)
    assert sizes_of(PROFILE, "int8", Storage(activation_bits=Fraction(11, 2)))["activation_bits"] == Fraction(11, 2)
    evaluation = evaluate_workload(PROFILE, "bfloat16", storage)
    assert evaluation.request == costs.request(
        batch_size=7, base_size=928, image_size=816, num_width_tiles=3, num_height_tiles=5, seq_len=2851,
        max_new_tokens=11, weight_bits=8, kv_bits=8,
    )  # fmt: skip
    # A byte for each of the parameters, and for each key and value of 12 layers, 1280 channels, 2851 + 10 tokens.
    assert evaluation.request.weight_bytes == 3_336_106_240
    assert evaluation.request.kv_cache_bytes == 7 * 12 * 2 * 1280 * 2861


def test_fractions_of_bits_go_through_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Group-quantised weights of 5.5 bits, on evaluators that take them: every sum is exact."""
    accept_fractions(monkeypatch)
    evaluation = evaluate_workload(PROFILE, "bfloat16", Storage(weight_bits=Fraction(11, 2)))
    assert evaluation.sizes["weight_bits"] == Fraction(11, 2)
    assert evaluation.request.weight_bytes == 3_336_106_240 * 11 // 16
    whole, half = (
        evaluate_workload(PROFILE, "bfloat16", Storage(weight_bits=bits)).stages["decode"].operators
        for bits in (11, 22)
    )
    rows = evaluation.stages["decode"].operators
    # Bytes are linear in the bits of the weights: 5.5 is as far below 11 as 11 is, times a half, below 22.
    for row, eleven, twenty_two in zip(rows, whole, half, strict=True):
        assert row.io_bits == eleven.io_bits - Fraction(twenty_two.io_bits - eleven.io_bits, 2)


def test_evaluators_that_take_whole_bits_only_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**sizes: object) -> None:
        raise TypeError(f"weight_bits must be an integer, not Fraction {sizes['weight_bits']}")

    monkeypatch.setattr(costs, "vision", refuse)
    with pytest.raises(WorkloadError, match=r"take whole numbers of bits only; found weight_bits = 11/2; give whole"):
        evaluate_workload(PROFILE, "bfloat16", Storage(weight_bits=Fraction(11, 2)))
    with pytest.raises(TypeError):  # no fault of the bits
        evaluate_workload(PROFILE, "bfloat16")


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


@pytest.mark.parametrize(("vision_batch_size", "logits_tokens", "images"), [(7, None, 1), (1, 1, 3), (7, 29, 2)])
def test_the_calls_of_the_towers_and_the_logits_reach_what_depends_on_them(
    vision_batch_size: int, logits_tokens: int | None, images: int
) -> None:
    seq_len = 2841 * images + 10
    profile = evolve(
        PROFILE, vision_batch_size=vision_batch_size, logits_tokens=logits_tokens, images_per_prompt=images,
        seq_len=seq_len,
    )  # fmt: skip
    evaluation = evaluate_workload(profile, "bfloat16")
    page: Any = {
        "batch_size": 7, "vision_batch_size": vision_batch_size, "base_size": 928, "image_size": 816,
        "num_width_tiles": 3, "num_height_tiles": 5, "images_per_prompt": images,
    }  # fmt: skip
    prompt: Any = {"batch_size": 7, "seq_len": seq_len, "logits_tokens": logits_tokens}
    text: Any = {"seq_len": seq_len, "max_new_tokens": 11}
    stages = evaluation.stages
    assert stages["vision"].cost == costs.vision(**page)
    assert stages["projector"].cost == costs.projector(**page)
    assert stages["prefill"].cost == costs.prefill(**prompt)
    assert [stages[name].peak_activation_bytes for name in ("vision", "projector", "prefill")] == [
        costs.vision_peak_activation_bytes(**page, seq_len=seq_len),
        costs.projector_peak_activation_bytes(**page, seq_len=seq_len),
        costs.prefill_peak_activation_bytes(**prompt),
    ]
    assert evaluation.request == costs.request(**page, **text, logits_tokens=logits_tokens)
    last = evaluation.last_logits
    assert (last.logits_tokens, last.activation_bytes) == (
        1, costs.request(**page, **text, logits_tokens=1).activation_bytes
    )  # fmt: skip
    assert last.peak_activation_bytes == costs.request_peak_activation_bytes(**page, **text, logits_tokens=1)


def test_what_a_page_takes_at_its_peak() -> None:
    """The LM head, in bfloat16: a logit of two bytes and its float32 copy, for 129,280 words and 913 positions.

    Beside them their hidden states, of 1280 channels, and the ids of the tokens, of 8 bytes. With logits of the last
    position only, the towers have the peak: 549,273,600 bytes of a call with six views of 640 pixels, as counted on
    the vendor's modules, the embeddings of the prompt and its ids, and the pixels of the global view.
    """
    profile = make_profile(seq_len=913, num_width_tiles=2, num_height_tiles=3)
    evaluation = evaluate_workload(profile, "bfloat16")
    assert evaluation.request_peak_activation_bytes == 913 * (129_280 * (2 + 4) + 1280 * 2 + 8)
    waiting = 2 * 3 * 1024 * 1024
    assert evaluation.last_logits.peak_activation_bytes == 549_273_600 + 913 * (1280 * 2 + 8) + waiting
    assert evaluation.stages["vision"].peak_activation_bytes == evaluation.last_logits.peak_activation_bytes


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
