"""Keys of a record: those that are wrong, and those that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Run, assert_refused
from records import make_profile, make_report

from llm_perf_opt.data import AnalyticModelReport, OCRWorkloadProfile
from llm_perf_opt.data.serialization import structure, unstructure
from llm_perf_opt.data.wrong_keys import wrong_keys
from llm_perf_opt.errors import RecordError


def test_all_wrong_keys_are_named_at_once_with_those_that_there_are() -> None:
    """As where keys are written wrongly: what they should have been is missing."""
    data = unstructure(make_profile())
    for key, wrong in (("seq_len", "sequence_length"), ("crop_mode", "crop")):
        data[wrong] = data.pop(key)
    known = (
        "its keys are profile_id, description, seq_len, base_size, image_size, crop_mode, max_new_tokens, doc_kind, "
        "num_pages, and if need be num_width_tiles, num_height_tiles, page_width, page_height, preprocessing, "
        "images_per_prompt, vision_batch_size, logits_tokens"
    )
    with pytest.raises(RecordError) as caught:
        structure(data, OCRWorkloadProfile)
    assert str(caught.value) == (
        f"crop, sequence_length: OCRWorkloadProfile has no such keys; missing are seq_len, crop_mode; {known}"
    )
    del data["crop"], data["sequence_length"]
    with pytest.raises(RecordError) as caught:
        structure(data, OCRWorkloadProfile)
    assert str(caught.value) == f"seq_len, crop_mode: these keys are missing; {known}"


def test_a_wrong_key_in_a_part_is_named_by_its_way() -> None:
    data = unstructure(make_report())
    del data["modules"][2]["stage"], data["modules"][2]["name"]
    with pytest.raises(
        RecordError,
        match=r"^modules\[2\]\.name, modules\[2\]\.stage: these keys are missing; its keys are module_id, name, q",
    ):
        structure(data, AnalyticModelReport)


def test_one_key_is_named_as_one() -> None:
    for unknown, missing, message in (
        (["a"], [], "x.a: OCRWorkloadProfile has no such key; its"),
        ([], ["seq_len"], "x.seq_len: the key is missing; its"),
        (["a"], ["seq_len"], "x.a: OCRWorkloadProfile has no such key; missing is seq_len; its"),
    ):
        assert str(wrong_keys(OCRWorkloadProfile, unknown, missing, "x")).startswith(f"{message} keys are profile_id, ")


def test_a_card_file_gets_one_line(run: Run, tmp_path: Path) -> None:
    card = tmp_path / "card.yaml"
    card.write_text("hardware_id: mine\nnaem: Mine\nmemory_bytes: 3\nbandwidth: 5\n", encoding="utf-8")
    assert_refused(
        run("report", "--hardware", card, "--out", tmp_path / "out"),
        "card.yaml: bandwidth, naem: HardwareSpec has no such keys; missing are name, tensor_flops_per_second, "
        "vector_flops_per_second, memory_bytes_per_second; its keys are hardware_id, name, ",
        "memory_bytes, and if need be sources, reserve",
    )
    assert not (tmp_path / "out").exists()
