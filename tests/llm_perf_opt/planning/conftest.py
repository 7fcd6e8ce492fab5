"""Pages that are planned for, as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from planned import draw_pages, write_csv


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "pages.csv", draw_pages(120, 41))
