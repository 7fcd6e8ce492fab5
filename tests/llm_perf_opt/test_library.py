"""Records by name or by file."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import make_profile

from llm_perf_opt.data import OCRWorkloadProfile
from llm_perf_opt.data.serialization import to_json, to_yaml
from llm_perf_opt.errors import RecordError
from llm_perf_opt.library import find_record, list_shipped
from modelmeter.support.suggestions import UnknownNameError

PACKAGE = "llm_perf_opt.profiles"


def find(name: str) -> OCRWorkloadProfile:
    return find_record(name, "workload", PACKAGE, OCRWorkloadProfile)


def test_shipped_names_are_sorted_and_each_is_the_id_inside() -> None:
    names = list_shipped(PACKAGE)
    assert list(names) == sorted(names)
    assert [find(name).profile_id for name in names] == list(names)


def test_a_name_with_a_suffix_or_a_folder_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").write_text(to_yaml(make_profile(profile_id="mine")), encoding="utf-8")
    (tmp_path / "tiny.yaml").write_text(to_yaml(make_profile(profile_id="yaml")), encoding="utf-8")
    (tmp_path / "tiny.json").write_text(to_json(make_profile(profile_id="json")), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = [find(name).profile_id for name in ("tiny", "./tiny", "tiny.yaml", "tiny.json")]
    assert found == ["tiny", "mine", "yaml", "json"]


@pytest.mark.parametrize("name", ["absent.yaml", "./absent", "/"])
def test_a_file_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(RecordError, match="the file cannot be read"):
        find(name)


@pytest.mark.parametrize("name", ["absent", "", "..", "__init__"])
def test_a_name_that_is_not_shipped_is_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match="there is no workload of this name"):
        find(name)


def test_a_file_longer_than_any_record_is_refused(tmp_path: Path) -> None:
    """YAML takes seconds for a megabyte; what would be said after them is known before."""
    (tmp_path / "long.yaml").write_text("- 1\n" * 40_000, encoding="utf-8")
    with pytest.raises(RecordError, match=r"long\.yaml: the file cannot be read: it has more than 131072 bytes"):
        find(str(tmp_path / "long.yaml"))
