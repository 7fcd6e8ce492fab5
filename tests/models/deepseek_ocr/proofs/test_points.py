"""Points: the sizes, and the reference model that is run at them."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from tiny import TINY

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.architecture_cases import keep_pairs
from modelmeter.models.deepseek_ocr.proofs.points import (
    PROVED,
    list_workloads,
    make_points,
    make_training_points,
)
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload
from modelmeter.support.errors import CountError
from modelmeter.verify.lifetimes import prove_lifetimes

# A view of 3 x 3 patches makes 3 tokens.
PAGE = TraceWorkload(
    batch_size=6, vision_batch_size=3, images_per_prompt=2, base_size=16 * 3, image_size=16, num_width_tiles=0,
    num_height_tiles=0, seq_len=11, logits_tokens=3,
)  # fmt: skip


def test_a_point_has_the_sizes_of_the_first_step_and_says_how_often_the_towers_run() -> None:
    (point,) = make_points(TINY, [PAGE])
    sizes = PROVED.at_first_step({**point.architecture, **point.workload})
    assert (sizes["hidden_size"], sizes["seq_len"], sizes["decode_step"]) == (24, 11, 1)
    assert point.calls == 2 * 6 // 3


def test_layers_are_plain_where_no_tiles_are() -> None:
    tiles = evolve(PAGE, num_width_tiles=2, num_height_tiles=3, seq_len=47)
    assert [point.has_plain_layers for point in make_training_points(TINY, [PAGE, tiles])] == [True, False]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_prefill_fills_the_cache_but_where_it_trains(dtype: torch.dtype) -> None:
    (cached,), (training,) = make_points(TINY, [PAGE]), make_training_points(TINY, [PAGE])
    prepared = cached.prepare(dtype)
    prepared.forwards[PROVED.forward_run]()
    assert [*prepared.cache()]
    assert {tensor.dtype for tensor in prepared.cache()} == {dtype}
    assert {parameter.dtype for parameter in prepared.module.parameters()} == {dtype}
    assert [*training.prepare(dtype).cache()] == []


def test_what_is_alive_beside_every_operator_is_what_its_layer_says_in_each_call_of_the_towers() -> None:
    architecture: DeepSeekOCRArchitecture = keep_pairs(TINY)
    points = make_points(architecture, [PAGE, next(list_workloads(16))])
    verdicts = list(prove_lifetimes(PROVED, points, lambda _: None))
    assert [verdict for verdict in verdicts if not verdict.is_equal] == []
    assert {verdict.stages for verdict in verdicts} == set(PROVED.model.stage_names)
    assert {verdict.note for verdict in verdicts} == {"what is alive beside every operator of its own; one expert"}


def test_a_layer_that_holds_other_sizes_is_found_and_so_is_one_that_is_called_more_often() -> None:
    architecture: DeepSeekOCRArchitecture = keep_pairs(TINY)
    (point,) = make_points(architecture, [PAGE])
    wider = evolve(point, architecture={**point.architecture, "vocab_size": architecture.vocab_size + 1})
    wrong = [verdict for verdict in prove_lifetimes(PROVED, [wider], lambda _: None) if not verdict.is_equal]
    assert {verdict.subject for verdict in wrong} == {"lm_head", ""}, "the model casts the logits"
    with pytest.raises(CountError, match="a layer runs other operators than its module"):
        list(prove_lifetimes(PROVED, [evolve(point, calls=point.calls - 1)], lambda _: None))
