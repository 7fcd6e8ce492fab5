"""Functions of the vision towers, against what they mean written out with the simplest operations of torch."""

from __future__ import annotations

import torch

from modelmeter.models.deepseek_ocr.reference_functions import decomposed_relative_attention, resize_grid


def test_decomposed_positions_are_added_to_the_scores() -> None:
    """2 windows of 3 x 5 positions, 7 heads of 4 channels; row and column terms come by window and head."""
    torch.manual_seed(11)
    windows, heads, rows, columns, channels = 2, 7, 3, 5, 4
    query, key, value = torch.randn(3, windows, heads, rows * columns, channels, dtype=torch.float64)
    rel_h, rel_w = (torch.randn(windows * heads, rows, columns, side, dtype=torch.float64) for side in (rows, columns))
    expected = torch.zeros_like(query)
    for window in range(windows):
        for head in range(heads):
            bias = torch.stack(
                [
                    rel_h[window * heads + head, :, :, position // columns].reshape(-1)
                    + rel_w[window * heads + head, :, :, position % columns].reshape(-1)
                    for position in range(rows * columns)
                ],
                dim=1,
            )
            scores = query[window, head] @ key[window, head].T / channels**0.5 + bias
            expected[window, head] = scores.softmax(-1) @ value[window, head]
    # Both round sums of some 15 numbers of the order of 1 to 53 bits.
    torch.testing.assert_close(
        decomposed_relative_attention(query, key, value, rel_h, rel_w), expected, rtol=0.0, atol=1e-13
    )


def test_a_resized_grid_keeps_what_is_the_same_everywhere_and_its_type() -> None:
    """Weights of every output position add up to 1, for larger and for smaller grids."""
    grid = torch.tensor([3.0, -7.0], dtype=torch.bfloat16).view(1, 2, 1, 1).expand(1, 2, 5, 5)
    for side in (3, 5, 11):
        resized = resize_grid(grid, side)
        assert resized.shape == (1, 2, side, side)
        assert torch.equal(resized, grid[:, :, :1, :1].expand_as(resized))


def test_a_smaller_grid_sees_every_position() -> None:
    """Antialiasing: without it, a reduction by 5 would leave out most of the positions."""
    grid = torch.zeros(1, 1, 15, 15)
    grid[:, :, ::5, ::5] = 1.0
    shifted = torch.zeros(1, 1, 15, 15)
    shifted[:, :, 4::5, 4::5] = 1.0
    assert all(resize_grid(each, 3).abs().min() > 0.01 for each in (grid, shifted))
