"""The speech model as an installed distribution: on the path, with an entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_perf_opt.evaluators import load_costs
from modelmeter.model.registry import GROUP, find_model

METADATA = "Metadata-Version: 2.1\nName: tiny-speech\nVersion: 1.0\n"
ENTRY_POINTS = f"[{GROUP}]\ntiny-speech = speech_model.model:MODEL\n"


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The folders to put on the path of Python: of the model's code, of its metadata, and of what is compiled."""
    root = tmp_path_factory.mktemp("speech")
    described = root / "tiny_speech-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(METADATA, encoding="utf-8")
    (described / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    (root / "compiled").mkdir()
    folders = [str(Path(__file__).parent), str(root), str(root / "compiled")]
    sys.path[:0] = folders
    for found in (find_model, load_costs):
        found.cache_clear()
    yield folders
    for folder in folders:
        sys.path.remove(folder)
    for found in (find_model, load_costs):
        found.cache_clear()
