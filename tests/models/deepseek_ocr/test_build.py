"""The layer trees of the two runs, and the stage that each module's work belongs to."""

from __future__ import annotations

import pytest

from modelmeter.metrics.cost import Elements
from modelmeter.models.deepseek_ocr.build import build_layers, list_inputs, symbolic_sizes
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.stages import STAGES, stage_of
from modelmeter.models.deepseek_ocr.workload import Workload


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("", "prefill"),
        ("lm_head", "prefill"),
        ("model", "projector"),  # joins image tokens and writes them into the prompt
        ("model.projector", "projector"),
        ("model.projector.layers", "projector"),
        ("model.sam_model", "vision"),
        ("model.sam_model.blocks.2,5,8,11.mlp.lin1", "vision"),
        ("model.vision_model.transformer.layers", "vision"),
        ("model.layers.1-11.mlp.experts.0-63", "prefill"),
        ("model.embed_tokens", "prefill"),
        ("model.norm", "prefill"),
    ],
)
def test_the_prefill_run_is_three_stages_and_each_step_is_decode(path: str, stage: str) -> None:
    assert stage_of("prefill", path) == stage
    assert stage_of("decode", path) == "decode"
    assert stage in STAGES


def test_a_step_sees_one_new_position_and_all_before_it() -> None:
    runs = build_layers(symbolic_sizes())
    prefill, decode = (runs[run].model.decoder_layer for run in ("prefill", "decode"))
    assert (prefill.num_queries, prefill.num_keys) == (symbol("seq_len"), symbol("seq_len"))
    assert (decode.num_queries, decode.num_keys) == (1, symbol("seq_len") + symbol("decode_step"))


def test_the_vision_towers_take_no_part_in_a_step() -> None:
    runs = build_layers(symbolic_sizes())
    towers = {"sam_model", "vision_model", "projector"}
    assert towers == runs["prefill"].model.children.keys() - runs["decode"].model.children.keys()


def test_logits_are_of_the_chosen_positions_and_of_one_in_a_step() -> None:
    runs = build_layers(symbolic_sizes())
    batch_size, vocab_size = symbol("batch_size"), symbol("vocab_size")
    assert runs["prefill"].output_shape == (batch_size, symbol("logits_tokens"), vocab_size)
    assert runs["decode"].output_shape == (batch_size, 1, vocab_size)


def test_a_size_that_is_missing_is_no_default() -> None:
    sizes = {name: size for name, size in symbolic_sizes().items() if name != "sam_window_size"}
    with pytest.raises(KeyError, match="sam_window_size"):
        build_layers(sizes)


def test_a_run_is_given_the_ids_of_its_positions() -> None:
    """64 bits each: those of the prompts, and one for each sequence in a step."""
    batch_size, seq_len = symbol("batch_size"), symbol("seq_len")
    assert list_inputs(symbolic_sizes()) == {
        "prefill": Elements(index=batch_size * seq_len), "decode": Elements(index=batch_size)
    }  # fmt: skip


@pytest.mark.parametrize(("batch_size", "pages", "images", "calls"), [(1, 1, 1, 1), (6, 2, 1, 3), (6, 3, 5, 10)])
def test_the_towers_are_called_until_every_image_has_had_its_turn(
    batch_size: int, pages: int, images: int, calls: int
) -> None:
    sizes = {
        **symbolic_sizes(), "batch_size": batch_size, "vision_batch_size": pages, "images_per_prompt": images,
        "num_width_tiles": 2, "num_height_tiles": 3,
    }  # fmt: skip
    tower = build_layers(sizes)["prefill"].model.vision_layer
    assert (tower.num_calls, tower.tile_views) == (calls, 6 * pages)
    for child in tower.children.values():
        (tiles, tile_calls), (view, view_calls) = child.calls
        assert (tile_calls, view_calls) == (calls, calls)
        assert (tiles.output_shape[0], view.output_shape[0]) == (6 * pages, pages)


def test_image_tokens_are_those_of_the_workload() -> None:
    """The layer counts the tokens that its operators write; the workload, those that the prompt has to hold."""
    for grid in ((1, 1), (2, 3), (9, 1)):
        workload = Workload(base_size=1000, image_size=600, num_width_tiles=grid[0], num_height_tiles=grid[1])
        tower = build_layers(symbolic_sizes())["prefill"].model.vision_layer
        values = {symbol(name): size for name, size in workload.dimension_values().items()}
        values[symbol("sam_patch_size")] = 16
        assert tower.image_tokens.subs(values) == workload.image_tokens
