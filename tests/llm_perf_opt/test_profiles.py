"""The shipped workload profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_perf_opt.data.serialization import to_yaml
from llm_perf_opt.errors import RecordError
from llm_perf_opt.profiles import find_profile, list_profiles
from modelmeter.support.suggestions import UnknownNameError

# Side of the global view and of a tile; tiles; prompt. A side of s pixels gives a grid g = ceil((s / 16) / 4); the
# view has g (g + 1) + 1 tokens, w x h tiles of grid t have h t (w t + 1), and there are 10 tokens of text.
MODES = {
    "tiny": (512, 512, (0, 0), 8 * 9 + 1 + 10),
    "small": (640, 640, (0, 0), 10 * 11 + 1 + 10),
    "base": (1024, 1024, (0, 0), 16 * 17 + 1 + 10),
    "large": (1280, 1280, (0, 0), 20 * 21 + 1 + 10),
    "gundam": (1024, 640, (2, 3), 16 * 17 + 1 + 30 * 21 + 10),
    "gundam-m": (1280, 1024, (2, 3), 20 * 21 + 1 + 48 * 33 + 10),
}


def test_there_is_one_for_each_mode_and_the_standard_one() -> None:
    assert set(list_profiles()) == {*MODES, "dsocr-standard-v1"}


@pytest.mark.parametrize("name", MODES)
def test_a_mode_is_what_it_is_called(name: str) -> None:
    profile = find_profile(name)
    base_size, image_size, grid, seq_len = MODES[name]
    assert (profile.profile_id, profile.num_pages, profile.max_new_tokens) == (name, 1, 1024)
    assert (profile.base_size, profile.image_size, profile.tile_grid) == (base_size, image_size, grid)
    assert profile.seq_len == seq_len
    assert profile.num_image_tokens == seq_len - 10


def test_the_standard_profile() -> None:
    profile = find_profile("dsocr-standard-v1")
    assert (profile.seq_len, profile.base_size, profile.image_size, profile.max_new_tokens) == (512, 1024, 640, 512)
    assert (profile.crop_mode, profile.tile_grid, profile.profile_id) == (True, (2, 1), "dsocr-standard-v1")
    assert profile.num_image_tokens == 273 + 210


def test_users_bring_their_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(to_yaml(find_profile("gundam")).replace("913", "977"), encoding="utf-8")
    assert find_profile(str(mine)).seq_len == 977
    mine.write_text(mine.read_text(encoding="utf-8").replace("977", "902"), encoding="utf-8")
    with pytest.raises(RecordError, match=r"mine\.yaml: seq_len: .*expected at least 903; found 902$"):
        find_profile(str(mine))


def test_an_unknown_profile_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match=r"no workload profile .* found gundm; did you mean gundam.*known are"):
        find_profile("gundm")
