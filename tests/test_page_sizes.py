"""Sizes of a page, from the registry: the application and people ask it, and name no model."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import get_args

import pytest

import deepseek_ocr_costs as costs
import modelmeter
from llm_perf_opt.data.specification import PreprocessingName
from modelmeter.model import registry
from modelmeter.model.page_views import find_page_views
from modelmeter.model.registry import RegistryError
from modelmeter.support.errors import WorkloadError
from modelmeter.support.suggestions import UnknownNameError


def test_sizes_of_a_page_are_arguments_of_evaluators() -> None:
    """1191 x 1684 is an A4 page at 144 dots an inch: 2 x 3 tiles come closest to its shape, and are the defaults."""
    assert costs.request(**modelmeter.page_sizes(1191, 1684)) == costs.request()
    sizes = modelmeter.page_sizes(1191, 1684, base_size=1280, image_size=1024)
    assert sizes == {"base_size": 1280, "image_size": 1024, "num_width_tiles": 2, "num_height_tiles": 3}


def test_a_page_that_is_not_cut_has_one_view() -> None:
    sizes = modelmeter.page_sizes(7, 11, crop_mode=False, preprocessing="serving", base_size=1280)
    assert sizes == {"base_size": 1280, "image_size": 640, "num_width_tiles": 1, "num_height_tiles": 1}


def test_what_is_asked_wrongly_is_refused() -> None:
    with pytest.raises(WorkloadError, match="preprocessing: the vendor's programs differ in the tile grid"):
        modelmeter.page_sizes(1920, 1920)
    with pytest.raises(UnknownNameError, match=r"did you mean image_size"):
        modelmeter.page_sizes(1920, 1920, imagesize=640)
    with pytest.raises(UnknownNameError, match=r"did you mean deepseek-ocr"):
        modelmeter.page_sizes(1920, 1920, model="deepseek-orc")


def test_profiles_name_the_programs_of_the_model() -> None:
    assert get_args(PreprocessingName) == find_page_views().preprocessings


def test_another_model_may_have_pages_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beside a model is found where its entry point says, without importing the model itself."""
    for name, text in (("paged", "PAGE_VIEWS = 13"), ("broken", "OTHER = 13")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "model.py").write_text("raise AssertionError('imported')", encoding="utf-8")
        (tmp_path / name / "page_views.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    entries = {
        name: EntryPoint(name, f"{module}:MODEL", registry.GROUP)
        for name, module in (("paged", "paged.model"), ("broken", "broken.model"), ("alone", "alone"))
    }
    monkeypatch.setattr(registry, "_find_entries", lambda: entries)
    assert registry.find_beside("paged", "page_views", "PAGE_VIEWS") == 13
    assert registry.find_beside("paged", "absent", "PAGE_VIEWS") is None
    assert registry.find_beside("alone", "page_views", "PAGE_VIEWS") is None
    with pytest.raises(RegistryError, match=r"broken\.page_views: .* expected PAGE_VIEWS"):
        registry.find_beside("broken", "page_views", "PAGE_VIEWS")
    with pytest.raises(WorkloadError, match="alone: this model does not look at pages"):
        find_page_views("alone")
