"""A model of other sizes is never called as the published one is."""

from __future__ import annotations

import pytest
from hf_configs import EXPECTED
from hypothesis import given
from hypothesis import strategies as st

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.model import MODEL
from modelmeter.support.errors import ArchitectureError

OURS = DeepSeekOCRArchitecture()
PUBLISHED, VARIANT = "DeepSeek-OCR", "DeepSeek-OCR-variant"


@pytest.mark.parametrize(
    ("names", "published", "other"),
    [
        ((), PUBLISHED, VARIANT),
        (("deepseek-ai/DeepSeek-OCR", "deepseek_vl_v2"), PUBLISHED, VARIANT),
        (("", "deepseek_vl_v2"), PUBLISHED, VARIANT),
        (("deepseekocr",), PUBLISHED, VARIANT),
        (("acme/small-ocr_v1.5", "deepseek_vl_v2"), "small-ocr_v1.5", "small-ocr_v1.5"),
        (("/home/me/ckpt/", "deepseek_vl_v2"), "ckpt", "ckpt"),
        (("C:\\models\\mine", "unlimited_ocr"), "mine", "mine"),
        (("./", "unlimited_ocr"), "unlimited_ocr", "unlimited_ocr"),
        (('a"""b\n# {{x}} $\\end',), "end", "end"),
    ],
)
def test_the_name_is_the_most_particular_one(names: tuple[str, ...], published: str, other: str) -> None:
    assert MODEL.choose_name(OURS, names) == published
    assert MODEL.choose_name(EXPECTED, names) == other


@given(st.text())
def test_whatever_it_is_called_a_name_is_one_word(text: str) -> None:
    name = MODEL.choose_name(EXPECTED, (text,))
    assert 0 < len(name) <= 40
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert name != PUBLISHED


def test_the_user_may_choose() -> None:
    assert MODEL.choose_name(EXPECTED, ("acme/one",), chosen="two words") == "two-words"
    assert MODEL.choose_name(OURS, chosen="DeepSeek-OCR") == PUBLISHED


@pytest.mark.parametrize("chosen", ["", "///", "...", "é"])
def test_a_chosen_name_has_letters_or_digits(chosen: str) -> None:
    with pytest.raises(ArchitectureError, match=r"^name: a name without letters and digits"):
        MODEL.choose_name(OURS, chosen=chosen)


@pytest.mark.parametrize("chosen", ["DeepSeek-OCR", "deepseek_ocr", "deepseek-ai/DeepSeek-OCR"])
def test_the_name_of_the_published_model_is_for_its_sizes(chosen: str) -> None:
    with pytest.raises(ArchitectureError, match="another model"):
        MODEL.choose_name(EXPECTED, chosen=chosen)
