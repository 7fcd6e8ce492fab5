"""The image tokens of a page come from the generated evaluators."""

from __future__ import annotations

import pytest

from llm_perf_opt.data.image_tokens import image_tokens
from llm_perf_opt.errors import RecordError


@pytest.mark.parametrize(
    ("base_size", "image_size", "width", "height", "tokens"),
    [
        # g = ceil(floor(s / 16) / 4); the global view has g (g + 1) + 1 tokens, tiles (h g) (w g + 1).
        (512, 512, 0, 0, 8 * 9 + 1),
        (1024, 640, 2, 3, 16 * 17 + 1 + (3 * 10) * (2 * 10 + 1)),
        (1280, 1024, 3, 2, 20 * 21 + 1 + (2 * 16) * (3 * 16 + 1)),
        (1024, 640, 1, 1, 16 * 17 + 1),
        # floor(1087 / 16) = 67, ceil(67 / 4) = 17; floor(593 / 16) = 37, ceil(37 / 4) = 10
        (1087, 593, 1, 5, 17 * 18 + 1 + (5 * 10) * (1 * 10 + 1)),
    ],
)
def test_a_page_has_these_tokens(base_size: int, image_size: int, width: int, height: int, tokens: int) -> None:
    assert (
        image_tokens(base_size=base_size, image_size=image_size, num_width_tiles=width, num_height_tiles=height)
        == tokens
    )


def test_a_side_shorter_than_a_patch_is_refused() -> None:
    with pytest.raises(RecordError, match=r"^image_size must be at least .*: 15 < 16$"):
        image_tokens(base_size=16, image_size=15, num_width_tiles=2, num_height_tiles=1)
