"""All metrics of all stages as an expert writes them for this one model: straight formulas, no checks, no names.

In bfloat16, with logits of all positions, as the vendor's code runs.
"""

from __future__ import annotations

from typing import TypeAlias

Metrics: TypeAlias = tuple[int, int, int, int, int, int]


def _reads(tokens: int) -> int:
    """Weights read of one of three matrices of 64 experts, 6 of them for a token."""
    if tokens > 298:
        return 73_400_320
    whole = 64**tokens
    return (2 * 73_400_320 * (whole - 58**tokens) + whole) // (2 * whole)


def _call_towers(views: int, side: int) -> tuple[int, int, int, int]:
    """Return the FLOPs, the bytes moved and the bytes written by one call of the towers."""
    grid = side // 16
    windows, half, tokens = -(-grid // 14), -(-grid // 2), -(-grid // 4)
    cells, window_cells, token_cells = grid * grid, windows * windows, tokens * tokens
    tensor = views * (
        8_410_300_416 * window_cells + 2_359_296 * half * half + 98_304 * token_cells * token_cells
        + 613_613_568 * token_cells + 12_288 * cells * (grid + cells) + 134_873_088 * cells + 604_078_080
    )  # fmt: skip
    cuda = 16 * cells + 16 * grid + 6_720 + 4 * views * (
        cells * (96 * cells + 84_161) + 64 * token_cells * (9 * token_cells + 3_890) + 7_375_872 * window_cells
        + 248_384
    )  # fmt: skip
    # Copies that fall away: of one view, of one window, of one patch, and of windows that nothing pads.
    of_patch = 1_152 if views > 1 else 0
    of_patch += 12 * (grid + (64 if views == 1 else 32)) if grid > 1 else 0
    of_window = 48 if views * window_cells > 1 else 16
    of_window += 32 if windows > 1 else 0
    to_patch, to_window = of_patch, of_window
    if 14 * windows != grid:
        padded = views + grid != 2
        of_patch, to_patch = of_patch + (1_152 if padded else 384), to_patch + (768 if padded else 0)
        of_window, to_window = of_window + 8, to_window + 16
    moved = 2 * views * (
        16 * cells * (6 * grid * (grid + 2) + of_patch) + 306_194 * cells + 150_528 * window_cells * (of_window + 175)
        + 3 * side * side + 2_048 * half * half + 1_432_576 * token_cells + 1_430_528
    ) + 2_112 * cells + 64 * grid + 2_048 * token_cells + 1_358_080  # fmt: skip
    written = 16 * views * (
        cells * (6 * grid * (grid + 2) + to_patch + 17_537) + 9_408 * window_cells * (to_window + 159)
        + 128 * half * half + 80_384 * token_cells + 80_256
    ) + 32 * grid * (33 * grid + 1) + 941_184  # fmt: skip
    ids = 8 * views * (24 * cells + 49 * token_cells + 49)
    moved += ids + 128 * grid * (grid + 1) + 790_214_144 + 55_816
    written += ids + 64 * cells + 25_088
    if tokens != 16:
        cuda += 31_744 * token_cells
        moved += 14_336 * token_cells + 3_674_112
        written += 8_192 * token_cells + 1_574_912
    if grid != 64:
        resized = grid * (3 * grid + 4)
        cuda += 23_808 * cells + 3_072 * grid - 1_536
        moved += 2_560 * resized + 2_560 * cells + 32_102_400
        written += 1_536 * resized + 12_839_936
    else:
        moved += 2_560 * cells
    return tensor, cuda, moved, written


def write_by_hand(
    batch: int, base: int, image: int, width: int, height: int, prompt: int, steps: int
) -> tuple[Metrics, Metrics, Metrics, Metrics, Metrics]:
    """Return the vision, the projector, the prefill, the decode and the request."""
    tiles = width * height if width * height > 1 else 0
    tensor, cuda, moved, written = _call_towers(1, base)
    if tiles:
        more = _call_towers(tiles, image)
        tensor, cuda, moved, written = tensor + more[0], cuda + more[1], moved + more[2], written + more[3]
    vision = batch * tensor, batch * cuda, batch * moved, 797_493_760, batch * written, 0
    side, tile = -(-(base // 16) // 4), -(-(image // 16) // 4)
    features = side * side + tiles * tile * tile
    rows = side + (height * tile if tiles else 0)
    copied = tiles * tile * tile if width > 1 and tile > 1 else 0
    pixels = 3 * (base * base + batch * tiles * image * image)
    checks = 2 * (1 + batch) if tiles else 2
    projector = (
        5_242_880 * features * batch, pixels,
        batch * (1_024 * (37 * features + 5 * copied + 20 * rows + 15) + (10_498_560 if tiles else 5_250_560)
        + 8 * (features + rows + 1)) + 2 * pixels + checks,
        5_250_560, batch * 512 * (33 * features + 5 * copied + 20 * rows + 15) + checks, 0,
    )  # fmt: skip
    tokens = batch * prompt
    prefill = (
        tokens * (61_440 * prompt + 1_148_192_256), tokens * (720 * prompt + 888_244),
        8_527_728 * tokens + 66 * _reads(tokens) + 96 * prompt + 701_307_904,
        5_869_468_160, 4_072_876 * tokens + 3_610_112, 61_440 * tokens,
    )  # fmt: skip
    attended = steps * prompt + steps * (steps + 1) // 2
    step = batch * 8_527_728 + 66 * _reads(batch) + 701_308_000
    decode = (
        batch * (61_440 * attended + 1_148_192_256 * steps), batch * (720 * attended + 888_244 * steps),
        steps * (step + 61_440 * batch) + 61_440 * attended * batch,
        5_869_468_160, batch * 4_072_876 + 3_610_112 if steps else 0, 61_440 * (prompt + steps) * batch,
    )  # fmt: skip
    request = (
        vision[0] + projector[0] + prefill[0] + decode[0], vision[1] + projector[1] + prefill[1] + decode[1],
        vision[2] + projector[2] + prefill[2] + decode[2], vision[3] + projector[3] + prefill[3],
        max(vision[4], projector[4], prefill[4], decode[4]), decode[5],
    )  # fmt: skip
    return vision, projector, prefill, decode, request
