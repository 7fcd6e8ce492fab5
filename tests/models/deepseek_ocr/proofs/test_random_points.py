"""Training steps at random sizes."""

from __future__ import annotations

from random import Random

import pytest
from tiny import TINY

from modelmeter.metrics.metric import BACKWARD_METRICS, METRICS
from modelmeter.models.deepseek_ocr.proofs.random_points import draw_architecture, draw_workload, prove_at_random


def test_points_differ_in_every_width_and_are_the_same_for_a_seed() -> None:
    drawn = [draw_architecture(TINY, Random(seed)).dimension_values() for seed in (1, 2, 3, 4, 1)]
    assert drawn[0] == drawn[-1]
    kept = {name for name in drawn[0] if len({sizes[name] for sizes in drawn}) == 1}
    assert kept == {
        "num_hidden_layers", "first_k_dense_replace", "sam_num_hidden_layers", "sam_num_global_layers",
        "clip_num_hidden_layers", "sam_patch_size", "clip_patch_size",
    }  # fmt: skip
    workload = draw_workload(16, Random(3))
    assert workload == draw_workload(16, Random(3)) != draw_workload(16, Random(4))
    assert (workload.num_width_tiles, workload.num_height_tiles) == (0, 0)


def test_a_training_step_and_every_backward_hold_at_a_random_point() -> None:
    verdicts = list(prove_at_random(TINY, 5, lambda _: None))
    assert [verdict for verdict in verdicts if not verdict.is_equal] == []
    assert {verdict.kind for verdict in verdicts} == {"polynomial identity test"}
    assert {verdict.metric for verdict in verdicts} == {*METRICS, *BACKWARD_METRICS}
    (domain,) = {verdict.domain for verdict in verdicts}
    assert all(f"{name} = " in domain for name in ("batch_size", "hidden_size", "sam_window_size", "clip_image_size"))


@pytest.mark.usefixtures("wrong_backward")
def test_a_term_that_is_small_is_found() -> None:
    different = {verdict.layer for verdict in prove_at_random(TINY, 5, lambda _: None) if not verdict.is_equal}
    assert "deepseek_v2_rms_norm" in different
