"""What our formulas say of the cases."""

from __future__ import annotations

from modelmeter.compiled_model import CompiledModel
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.formulas import FormulaValues


def test_views_are_the_towers_the_projector_and_the_join_between_them(published: CompiledModel) -> None:
    """Of one view of 1024 pixels: what the towers move by the published page, and 16 times 16 features."""
    sizes = {"batch_size": 1, "num_views": 1, "view_size": 1024, "grid_size": 64}
    towers = 9_721_533_072
    projector = 2 * (256 * 2048 + 2048 * 1280 + 1280 + 256 * 1280)
    join = 2 * 2 * 256 * 2048
    assert FormulaValues(published).find_traffic("views", sizes) == towers + projector + join


def test_pages_add_up(published: CompiledModel) -> None:
    values = FormulaValues(published)
    sizes = {"num_views": 3, "view_size": 640, "grid_size": 40}
    once, five = (values.find_traffic("views", {**sizes, "batch_size": pages}) for pages in (1, 5))
    assert five == 5 * once


def test_views_of_a_page_share_a_call(published: CompiledModel) -> None:
    values = FormulaValues(published)
    sizes = {"view_size": 640, "grid_size": 40}
    together = values.find_traffic("views", {**sizes, "batch_size": 1, "num_views": 7})
    apart = values.find_traffic("views", {**sizes, "batch_size": 7, "num_views": 1})
    assert together < apart


def test_the_step_after_a_prompt_sees_one_key_more(published: CompiledModel) -> None:
    """12 layers read the keys and values of 10 heads of 128 channels; attention is all that grows with them."""
    values = FormulaValues(published)
    sizes = {"batch_size": 3, "num_queries": 1, "logits_tokens": 1}
    one, two = (values.find_traffic("decode", {**sizes, "num_keys": keys}) for keys in (101, 102))
    assert two - one == 12 * 2 * 2 * 3 * 1280


def test_peaks_are_those_of_stages(published: CompiledModel) -> None:
    """The logits twice, in bfloat16 and in float32, the states that they are made of, and the token ids."""
    values = FormulaValues(published)
    sizes = {"batch_size": 1, "num_queries": 913, "num_keys": 913, "logits_tokens": 913}
    assert values.find_peak("prefill", sizes) == 913 * (6 * 129280 + 2 * 1280 + 8)
    assert values.find_peak("views", sizes) is None
