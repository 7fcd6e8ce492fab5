"""What is alive at the peaks, at published widths: few layers and small views keep it fast."""

from __future__ import annotations

import pytest
from attrs import evolve

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.architecture_cases import keep_two_layers
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.sides import Models
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.snapshots import SNAPSHOTS
from modelmeter.support.errors import CountError
from modelmeter.verify.foreign_bytes.comparison import Peaks, explain_peaks

TWO = evolve(keep_two_layers(DeepSeekOCRArchitecture()), clip_num_hidden_layers=1)


@pytest.fixture(scope="module")
def models() -> Models:
    return Models.build(TWO, "eager")


def alive(peaks: Peaks) -> dict[str, tuple[int, int]]:
    return {row.role: (row.ours, row.theirs) for row in peaks.alive if row.ours or row.theirs}


def test_towers_keep_the_bias_and_transformers_a_copy_of_it(models: Models) -> None:
    """5 views of 31 patches a side: 961 queries and keys, 12 heads of 64 channels."""
    sides = models.record_views(batch_size=1, num_views=5, view_size=31 * 16 + 7)
    peaks = explain_peaks(TWO.dimension_values(), sides, SNAPSHOTS["views"])
    bias, states = 2 * 5 * 12 * 961**2, 2 * 5 * 961 * 768
    assert alive(peaks) == {
        "bias of attention": (bias, bias),
        "copy of the bias": (0, bias),
        "pixels": (2 * 5 * 3 * 503**2,) * 2,
        "states before the layer": (states, states),
        "normed states": (states, states),
        "queries, keys and values": (3 * states, 3 * states),
        "copies of queries, keys and values": (3 * states, 3 * states),
        "row and column terms": (2 * 2 * 5 * 12 * 961 * 31, 0),
        "output of attention": (states, 0),
        "projected output": (states, 0),
    }
    assert peaks.theirs.nbytes - peaks.ours.nbytes == bias - 2 * 2 * 5 * 12 * 961 * 31 - 2 * states


def test_pages_in_a_row_keep_the_features_of_those_before(models: Models) -> None:
    """Of 41 patches a side 11 times 11 features; transformers has the pages in one call."""
    found = alive(
        explain_peaks(
            TWO.dimension_values(), models.record_views(batch_size=3, num_views=1, view_size=656), SNAPSHOTS["views"]
        )
    )
    assert found["features of earlier pages"] == (2 * (2 * 121 * 1280), 0)
    assert found["bias of attention"] == (2 * 12 * 41**4, 3 * 2 * 12 * 41**4)
    assert found["copies of queries, keys and values"] == (0, 3 * 3 * 2 * 41**2 * 768)


def test_logits_are_the_peak_of_a_prompt(models: Models) -> None:
    sides = models.record_prefill(batch_size=2, seq_len=103, logits_tokens=103)
    logits = 2 * 103 * 129280
    assert alive(explain_peaks(TWO.dimension_values(), sides, SNAPSHOTS["prefill"])) == {
        "logits": (2 * logits, 2 * logits),
        "logits in float32": (4 * logits, 0),
        "normed states": (2 * 2 * 103 * 1280,) * 2,
        "token ids": (8 * 2 * 103,) * 2,
    }


def test_a_copy_of_the_cache_is_the_peak_of_a_step_in_transformers(models: Models) -> None:
    sides = models.record_decode(batch_size=3, num_keys=331)
    found = alive(explain_peaks(TWO.dimension_values(), sides, SNAPSHOTS["decode"]))
    assert found["keys of a layer, not yet in the cache"] == (0, 2 * 3 * 331 * 1280)
    assert found["mask of sliding windows"] == (0, 331)
    assert found["logits in float32"] == (4 * 3 * 129280, 0)


def test_peaks_of_small_views_are_elsewhere_and_named(models: Models) -> None:
    sides = models.record_views(batch_size=1, num_views=1, view_size=64)
    with pytest.raises(CountError, match=r"_upsample_bicubic2d_aa: the peak is at an operator without an explanation"):
        explain_peaks(TWO.dimension_values(), sides, SNAPSHOTS["views"])
