"""Backwards and training steps of a tiny model, and that a wrong one is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import evolve
from tiny import TINY

from modelmeter.metrics.metric import BACKWARD_METRICS, METRICS
from modelmeter.models.deepseek_ocr.proofs.points import PROVED, make_training_points
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload, trace_reference
from modelmeter.verify.model_formulas import build_formulas
from modelmeter.verify.proof import Verdict
from modelmeter.verify.training_points import prove_training

# A view of 3 x 3 patches makes 1 x (1 + 1) + 1 tokens.
PAGE = TraceWorkload(
    batch_size=5, vision_batch_size=5, base_size=16 * 3 + 7, image_size=1, num_width_tiles=0, num_height_tiles=0,
    seq_len=11, logits_tokens=3,
)  # fmt: skip
# Tiles of 5 x 5 patches, 3 side by side and 2 below each other, make (2 * 2) * (3 * 2 + 1) = 28 more.
TILES = evolve(PAGE, image_size=16 * 5, num_width_tiles=3, num_height_tiles=2, seq_len=47)
# Two images of 3 tokens in each prompt, and a call for each: the parameters of the towers are used ten times.
CALLS = evolve(PAGE, vision_batch_size=1, images_per_prompt=2)


def prove(*workloads: TraceWorkload) -> Iterator[Verdict]:
    return prove_training(
        build_formulas(trace_reference(TINY), PROVED), make_training_points(TINY, workloads), lambda _: None
    )


def test_a_training_step_and_every_backward_are_what_autograd_does() -> None:
    verdicts = list(prove(PAGE, TILES, CALLS))
    assert [verdict for verdict in verdicts if not verdict.is_equal] == []
    whole = {(verdict.metric, verdict.domain) for verdict in verdicts if not verdict.layer}
    assert len(whole) == 3 * len(METRICS)
    layers = [verdict for verdict in verdicts if verdict.layer and "images_per_prompt = 1" in verdict.domain]
    assert {verdict.metric for verdict in layers} == set(BACKWARD_METRICS)
    assert {"deepseek_v2_moe", "llama_flash_attention2", "attention", "notp_attention", "conv2d", "lm_head"} <= {
        verdict.layer for verdict in layers
    }
    (head,) = [verdict for verdict in layers if (verdict.layer, verdict.metric) == ("lm_head", BACKWARD_METRICS[0])]
    # 5 * 3 positions, 24 x 53 weights; a product for the input, and one for the weights.
    assert head.measured == 2 * 2 * 15 * 24 * 53
    (angles,) = {verdict.measured for verdict in layers if verdict.layer == "llama_rotary_embedding"}
    assert angles == 0


@pytest.mark.usefixtures("wrong_backward")
def test_a_wrong_backward_is_found_in_its_layer_and_in_the_step() -> None:
    different = {(verdict.layer, verdict.metric) for verdict in prove(PAGE) if not verdict.is_equal}
    holders = {"deepseek_v2_decoder_layer", "container", "deepseek_ocr_model", "deepseek_ocr_for_causal_lm"}
    assert different == {
        ("", "cuda_core_flops"),
        *((layer, "backward_cuda_core_flops") for layer in {"deepseek_v2_rms_norm"} | (holders - {"container"})),
    }
