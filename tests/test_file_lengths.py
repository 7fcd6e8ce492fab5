"""No file of code is longer than what is read at once; what is generated is not read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_LINES = 300
SUFFIXES = {".py", ".js", ".j2", ".css"}


def list_code(root: Path) -> Iterator[Path]:
    """Yield the files of code that people write: those of the package, its tests and its examples."""
    for folder in ("src", "tests", "examples"):
        for path in (root / folder).rglob("*"):
            if path.suffix in SUFFIXES and path.is_file() and "__pycache__" not in path.parts:
                yield path


def list_long(root: Path) -> list[str]:
    """Return the files with too many lines, and how many they have."""
    counts = {path: path.read_text(encoding="utf-8").count("\n") for path in list_code(root)}
    return [f"{path.relative_to(root)}: {count}" for path, count in sorted(counts.items()) if count > MOST_LINES]


def test_no_file_is_longer_than_300_lines() -> None:
    assert list_long(ROOT) == []
    assert len(list(list_code(ROOT))) > 500


@pytest.mark.parametrize(("lines", "found"), [(300, []), (301, ["tests/a.py: 301"])])
def test_one_line_too_many_is_seen(tmp_path: Path, lines: int, found: list[str]) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a.py").write_text("\n" * lines, encoding="utf-8")
    (tmp_path / "tests" / "a.json").write_text("\n" * 999, encoding="utf-8")
    assert list_long(tmp_path) == found
