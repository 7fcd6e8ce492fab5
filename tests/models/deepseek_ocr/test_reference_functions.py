"""Functions of the vision towers, against what they mean written out with the simplest operations of torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from modelmeter.graph.dtypes import default_dtype
from modelmeter.models.deepseek_ocr.reference_functions import (
    join_windows,
    list_offsets,
    partition_windows,
    resize_grid,
    resize_offsets,
)
from modelmeter.models.deepseek_ocr.reference_vision import Attention

# --- position tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_a_resized_grid_keeps_what_is_the_same_everywhere_and_its_type(dtype: torch.dtype) -> None:
    """Weights of every output position add up to 1, for larger and for smaller grids."""
    grid = torch.tensor([3.0, -7.0], dtype=dtype).view(1, 2, 1, 1).expand(1, 2, 5, 5)
    for side in (3, 5, 11):
        resized = resize_grid(grid, side)
        assert resized.shape == (1, 2, side, side)
        # The weights are rounded to float32, so their sum is 1 but for a few units of its last place.
        torch.testing.assert_close(resized, grid[:, :, :1, :1].expand_as(resized), rtol=1e-6, atol=0.0)
        assert resized.dtype == dtype


def test_a_smaller_grid_sees_every_position() -> None:
    """Antialiasing: without it, a reduction by 5 would leave out most of the positions."""
    grid = torch.zeros(1, 1, 15, 15)
    grid[:, :, ::5, ::5] = 1.0
    shifted = torch.zeros(1, 1, 15, 15)
    shifted[:, :, 4::5, 4::5] = 1.0
    assert all(resize_grid(each, 3).abs().min() > 0.01 for each in (grid, shifted))


def interpolate(table: Tensor, offsets: int) -> Tensor:
    """Resize rows by hand: the row that lies at ((i + 1/2) n / offsets - 1/2), between two of the table."""
    rows = []
    for index in range(offsets):
        place = max((index + 0.5) * table.shape[0] / offsets - 0.5, 0.0)
        below = min(int(place), table.shape[0] - 1)
        above = min(below + 1, table.shape[0] - 1)
        rows.append(table[below] * (1 - (place - below)) + table[above] * (place - below))
    return torch.stack(rows)


@pytest.mark.parametrize("offsets", [5, 9, 13, 27])
def test_offsets_are_resized_linearly_between_neighbouring_rows(offsets: int) -> None:
    torch.manual_seed(3)
    table = torch.randn(13, 7)
    # A place up to 13 is known to 13 / 2^24, and neighbouring rows differ by 4 at most: 3e-6.
    torch.testing.assert_close(resize_offsets(table, offsets), interpolate(table, offsets), rtol=0.0, atol=4e-6)


def test_offsets_are_resized_in_float32_and_come_back_in_the_type_of_the_table() -> None:
    torch.manual_seed(3)
    table = torch.randn(13, 7).to(torch.bfloat16)
    resized = resize_offsets(table, 27)
    assert resized.dtype == torch.bfloat16
    # Rounded once at the end: not at all where the sums are in bfloat16.
    assert torch.equal(resized, resize_offsets(table.to(torch.float32), 27).to(torch.bfloat16))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("side", [1, 3, 14, 64, 80])
def test_the_offset_of_a_query_and_a_key_is_their_difference_from_0_on(side: int, dtype: torch.dtype) -> None:
    """Also where coordinates are numbers of 8 bits for a moment: those of the published model are whole up to 256."""
    with default_dtype(dtype):
        offsets = list_offsets(side, torch.device("cpu"))
    assert offsets.dtype == torch.int64
    expected = [[query - key + side - 1 for key in range(side)] for query in range(side)]
    assert offsets.tolist() == expected
    assert sorted({offset for row in expected for offset in row}) == list(range(2 * side - 1))


# --- windows -----------------------------------------------------------------------------------------------


def cut(features: Tensor, side: int) -> Tensor:
    """Cut a grid into windows one by one; what is beyond it is 0."""
    batch, height, width, channels = features.shape
    windows = []
    for page in range(batch):
        for top in range(0, height, side):
            for left in range(0, width, side):
                window = torch.zeros(side, side, channels, dtype=features.dtype)
                part = features[page, top : top + side, left : left + side]
                window[: part.shape[0], : part.shape[1]] = part
                windows.append(window)
    return torch.stack(windows)


@pytest.mark.parametrize("grid", [(6, 9), (7, 5), (3, 3), (2, 1), (10, 3), (1, 13)])
def test_windows_are_cut_row_by_row_and_put_back(grid: tuple[int, int]) -> None:
    """3 patches a side: of grids in whole windows, with padding on either axis or on both, and in one window."""
    torch.manual_seed(5)
    features = torch.randn(2, *grid, 5)
    windows, padded = partition_windows(features, 3)
    assert torch.equal(windows, cut(features, 3))
    # Up to the next multiple of 3.
    assert padded == tuple(next(size for size in range(side, side + 3) if size % 3 == 0) for side in grid)
    joined = join_windows(windows, 3, padded, grid)
    assert joined.shape == features.shape
    assert torch.equal(joined, features)
    assert joined.is_contiguous()


def test_one_window_is_a_view_of_the_grid_and_several_are_not() -> None:
    """A copy that the code does not make is none that counts."""
    for side, is_view in ((6, True), (3, False), (4, False)):
        features = torch.randn(2, 6, 6, 5)
        windows, _ = partition_windows(features, side)
        assert (windows.untyped_storage().data_ptr() == features.untyped_storage().data_ptr()) is is_view


# --- decomposed relative positions -------------------------------------------------------------------------


@pytest.mark.parametrize("trained", [5, 4, 9])
def test_relative_positions_are_added_to_the_scores(trained: int) -> None:
    """2 windows of 5 x 5 positions, 7 heads of 4 channels, as trained or resized: against sums written out."""
    torch.manual_seed(11)
    windows, heads, side, channels = 2, 7, 5, 4
    width = heads * channels
    attention = Attention(width, heads, trained).to(torch.float64)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_(std=0.5)
        features = torch.randn(windows, side, side, width, dtype=torch.float64)
        found = attention(features)
        expected = attend_by_hand(attention, features)
    # Tables that are resized are so in float32, and scores are sums of some 10 products with them. Otherwise both round
    # to 53 bits. A table that is not resized linearly, or not by halves of a row, shows as 0.1.
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-12 if trained == side else 1e-4)


def attend_by_hand(attention: Attention, features: Tensor) -> Tensor:
    """Attend head by head, with a bias that is looked up for every pair of positions."""
    windows, side, _, width = features.shape
    heads, positions = attention.num_heads, side * side
    channels = width // heads
    tables = [
        table if table.shape[0] == 2 * side - 1 else interpolate(table, 2 * side - 1)
        for table in (attention.rel_pos_h, attention.rel_pos_w)
    ]
    mixed = torch.zeros(windows, positions, width, dtype=features.dtype)
    for window in range(windows):
        rows = features[window].reshape(positions, width)
        query, key, value = attention.qkv(rows).split(width, dim=-1)
        for head in range(heads):
            own = slice(head * channels, (head + 1) * channels)
            scores = query[:, own] @ key[:, own].T / channels**0.5
            for one in range(positions):
                for other in range(positions):
                    down, across = one // side - other // side, one % side - other % side
                    offset = tables[0][down + side - 1] + tables[1][across + side - 1]
                    scores[one, other] += query[one, own] @ offset
            mixed[window, :, own] = scores.softmax(-1) @ value[:, own]
    return attention.proj(mixed).view(features.shape)
