"""Reports in files: read by their suffix, and refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import make_profile

from llm_perf_opt.data import OCRWorkloadProfile
from llm_perf_opt.data.serialization import (
    read_record,
    to_json,
    to_yaml,
)
from llm_perf_opt.errors import RecordError


def test_a_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    for name, write in (("a.json", to_json), ("a.yaml", to_yaml), ("a.yml", to_yaml)):
        (tmp_path / name).write_text(write(make_profile()), encoding="utf-8")
        assert read_record(tmp_path / name, OCRWorkloadProfile) == make_profile()


@pytest.mark.parametrize(
    ("content", "problem"), [(b"\xff", "UTF-8"), (b"{", "JSON"), (b"{}", r"profile_id, .*: these keys are missing")]
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=problem) as caught:
        read_record(path, OCRWorkloadProfile)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["absent.json", ".", "nul\x00.json"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError, match="the file cannot be read"):
        read_record(tmp_path / name, OCRWorkloadProfile)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="only Unix has a file without an end")
def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(RecordError, match=r"^/dev/zero: the file cannot be read: it has more than"):
        read_record("/dev/zero", OCRWorkloadProfile)
