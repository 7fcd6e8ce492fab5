"""All metrics of all stages as an expert writes them for this one model: straight formulas, no checks, no names.

All numbers have one width; the logits are those of all positions, as in the vendor's code.
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


def _call_towers(views: int, side: int, bits: int, cast: int) -> tuple[int, int, int, int]:
    """Return the FLOPs, the bits moved and the bits written by one call of the towers."""
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
    moved = views * (
        16 * cells * (6 * grid * (grid + 2) + of_patch) + 306_194 * cells + 150_528 * window_cells * (of_window + 175)
        + 3 * side * side + 2_048 * half * half + 1_432_576 * token_cells + 1_430_528
    ) + 1_056 * cells + 32 * grid + 1_024 * token_cells + 395_786_112  # fmt: skip
    written = 8 * views * (
        cells * (6 * grid * (grid + 2) + to_patch + 17_537) + 9_408 * window_cells * (to_window + 159)
        + 128 * half * half + 80_384 * token_cells + 80_256
    ) + 16 * grid * (33 * grid + 1) + 470_592  # fmt: skip
    wide = 64 * views * (24 * cells + 49 * token_cells + 49)
    wide_moved, wide_written = wide + 1_024 * grid * (grid + 1) + 446_528, wide + 512 * cells + 200_704
    if tokens != 16:
        cuda += 31_744 * token_cells
        moved += 2_048 * token_cells + 526_336 + cast * 1_024 * (token_cells + 256)
        written += 1_024 * (token_cells + 257) + cast * 1_024 * token_cells
        wide_moved += 32_768 * (cast + 1) * (token_cells + 256)
        wide_written += 32_768 * (token_cells + 256 * cast)
    if grid != 64:
        resized = grid * (3 * grid + 4)
        cuda += 23_808 * cells + 3_072 * grid - 1_536
        moved += 1_280 * cells + cast * (256 * resized + 3_210_240)
        written += cast * 256 * (resized - 2)
        wide_moved += 8_192 * ((cast + 1) * (resized + 12_540))
        wide_written += 8_192 * (resized + 12_542 * cast - 2)
    else:
        moved += 1_280 * cells
    return tensor, cuda, bits * moved + wide_moved, bits * written + wide_written


def write_by_hand(
    batch: int, base: int, image: int, width: int, height: int, prompt: int, steps: int, bits: int = 16
) -> tuple[Metrics, Metrics, Metrics, Metrics, Metrics]:
    """Return the vision, the projector, the prefill, the decode and the request."""
    cast = int(bits != 32)
    tiles = width * height if width * height > 1 else 0
    tensor, cuda, moved, written = _call_towers(1, base, bits, cast)
    if tiles:
        more = _call_towers(tiles, image, bits, cast)
        tensor, cuda, moved, written = tensor + more[0], cuda + more[1], moved + more[2], written + more[3]
    vision = (
        batch * tensor, batch * cuda, -(-batch * moved // 8), bits * 49_843_360, -(-batch * written // 8), 0
    )  # fmt: skip
    side, tile = -(-(base // 16) // 4), -(-(image // 16) // 4)
    features = side * side + tiles * tile * tile
    rows = side + (height * tile if tiles else 0)
    copied = 5 * tiles * tile * tile if width > 1 and tile > 1 else 0
    pixels = 3 * (base * base + batch * tiles * image * image)
    checks = bits * (1 + batch if tiles else 1)
    projector_io = bits * (
        batch * (512 * (37 * features + copied + 20 * rows + 15) + (5_249_280 if tiles else 2_625_280)) + pixels
    ) + 64 * batch * (features + rows + 1) + checks  # fmt: skip
    projector = (
        5_242_880 * features * batch, pixels, -(-projector_io // 8), 328_160 * bits,
        -(-(bits * batch * 256 * (33 * features + copied + 20 * rows + 15) + checks) // 8), 0,
    )  # fmt: skip
    tokens = batch * prompt
    fixed = bits * (901_120 * cast + 346_144_000)
    prefill_io = (
        tokens * (bits * (2_405_632 + 308_992 * cast) + 9_887_744 * cast + 14_900_096) + bits * 33 * _reads(tokens)
        + fixed + 768 * prompt + 28_835_840 * cast + 28_905_472
    )  # fmt: skip
    a_token = bits * (1_118_464 + 49_152 * cast) + 8_314_880 * cast + 5_586_272
    once = 28_835_840 * cast + 45_056
    prefill = (
        tokens * (61_440 * prompt + 1_148_192_256), tokens * (720 * prompt + 888_244), -(-prefill_io // 8),
        366_841_760 * bits, -(-(tokens * a_token + once) // 8), 3_840 * bits * tokens,
    )  # fmt: skip
    attended = steps * prompt + steps * (steps + 1) // 2
    step = (
        batch * (bits * (2_405_632 + 308_992 * cast) + 9_887_744 * cast + 14_900_096) + bits * 33 * _reads(batch)
        + fixed + 28_835_840 * cast + 28_906_240
    )  # fmt: skip
    decode_io = steps * step + 30_720 * bits * batch * (attended + steps)
    decode = (
        batch * (61_440 * attended + 1_148_192_256 * steps), batch * (720 * attended + 888_244 * steps),
        -(-decode_io // 8), 366_841_760 * bits, -(-(batch * a_token + once) // 8) if steps else 0,
        3_840 * (prompt + steps) * batch * bits,
    )  # fmt: skip
    request = (
        vision[0] + projector[0] + prefill[0] + decode[0], vision[1] + projector[1] + prefill[1] + decode[1],
        -(-(batch * moved + projector_io + prefill_io + decode_io) // 8), vision[3] + projector[3] + prefill[3],
        max(vision[4], projector[4], prefill[4], decode[4]), decode[5],
    )  # fmt: skip
    return vision, projector, prefill, decode, request
