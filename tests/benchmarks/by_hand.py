"""All metrics of all stages as an expert writes them for this one model: straight formulas, no checks, no names."""

from __future__ import annotations

from typing import TypeAlias

Metrics: TypeAlias = tuple[int, int, int, int, int, int]


def _reads(tokens: int) -> int:
    """Weights read of one of three matrices of 64 experts, 6 of them for a token."""
    if tokens > 298:
        return 73_400_320
    whole = 64**tokens
    return (2 * 73_400_320 * (whole - 58**tokens) + whole) // (2 * whole)


def write_by_hand(
    batch: int, base: int, image: int, width: int, height: int, prompt: int, steps: int, bits: int = 16
) -> tuple[Metrics, Metrics, Metrics, Metrics, Metrics]:
    """Return the vision, the projector, the prefill, the decode and the request."""
    tiles = width * height if width * height > 1 else 0
    tensor = cuda = io = kept = once_cuda = once_io = once_kept = tables = 0
    for side, views in ((base, 1), (image, tiles)):
        if not views:
            continue
        grid = side // 16
        windows, half, tokens = -(-grid // 14), -(-grid // 2), -(-grid // 4)
        cells, window_cells, token_cells = grid * grid, windows * windows, tokens * tokens
        padded = window_cells if 14 * windows != grid else 0
        tensor += views * (
            8_410_300_416 * window_cells + 2_359_296 * half * half + 98_304 * token_cells * token_cells
            + 613_613_568 * token_cells + 12_288 * cells * (grid + cells) + 134_873_088 * cells + 604_078_080
        )  # fmt: skip
        cuda += views * (
            29_503_488 * window_cells + 2_304 * token_cells * token_cells + 995_840 * token_cells
            + 384 * cells * cells + 336_644 * cells + 993_536
        )  # fmt: skip
        io += views * (
            3 * side * side + 1_204_224 * padded + (6_144 * cells if padded else 0) + 15_504_384 * window_cells
            + 1_432_576 * token_cells + 192 * grid * cells + 300_032 * cells + 1_430_528 + 1_024 * half * half
        )  # fmt: skip
        kept += views * (
            150_528 * padded + 818_496 * window_cells + 80_384 * token_cells + 12 * grid * cells + 17_216 * cells
            + 80_256 + 64 * half * half
        )  # fmt: skip
        once_io += 1_024 * (token_cells + cells) + 665_600
        once_kept += 64 * cells + 57_984
        tables += 512 * cells + 217_152 + bits * 395_107_072
        if tokens != 16:
            once_cuda += 31_744 * token_cells
            once_io += 3_072 * token_cells + 264_192
            once_kept += 256 * token_cells + 128
        if grid != 64:
            once_cuda += 23_808 * cells + 3_072 * grid - 1_536
            once_io += 2_048 * cells + 1_024 * grid - 512
            once_kept += 96 * cells + 128 * grid - 64
            tables += bits * 3_210_752
        else:
            tables += bits * 1_280 * cells
    vision_io = bits * (batch * io + once_io) + tables
    vision = (
        batch * tensor, batch * cuda + once_cuda, -(-vision_io // 8), bits * 49_843_360,
        bits * (batch * kept + once_kept), 0,
    )  # fmt: skip
    side, tile = -(-(base // 16) // 4), -(-(image // 16) // 4)
    features = side * side + tiles * tile * tile
    rows = side + (height * tile if tiles else 0)
    projector = (
        5_242_880 * features * batch, 0,
        batch * bits * (1_888 * features + 800 * rows + 480) + bits * (656_160 if tiles else 328_160),
        328_160 * bits, batch * bits * (896 * features + 480 * rows + 320), 0,
    )  # fmt: skip
    tokens = batch * prompt
    prefill_io = (
        tokens * (2_667_396 * bits + 12_736) + bits * (33 * _reads(tokens) + 347_045_120) + 768 * (bits + prompt)
    )  # fmt: skip
    prefill = (
        tokens * (61_440 * prompt + 1_148_192_256), tokens * (720 * prompt + 888_244), -(-prefill_io // 8),
        366_841_760 * bits, -(-tokens * (610_081 * bits + 2_112) // 4), 3_840 * bits * tokens,
    )  # fmt: skip
    attended = steps * prompt + steps * (steps + 1) // 2
    step = batch * (2_636_676 * bits + 12_736) + bits * (33 * _reads(batch) + 347_045_120) + 768 * (bits + 1)
    decode_io = steps * step + 30_720 * attended * batch * bits
    decode = (
        batch * (61_440 * attended + 1_148_192_256 * steps), batch * (720 * attended + 888_244 * steps),
        -(-decode_io // 8), 366_841_760 * bits, -(-batch * (610_081 * bits + 2_112) // 4) if steps else 0,
        3_840 * (prompt + steps) * batch * bits,
    )  # fmt: skip
    request = (
        vision[0] + projector[0] + prefill[0] + decode[0], vision[1] + prefill[1] + decode[1],
        -(-(vision_io + 8 * projector[2] + prefill_io + decode_io) // 8), vision[3] + projector[3] + prefill[3],
        max(vision[4], projector[4], prefill[4], decode[4]), decode[5],
    )  # fmt: skip
    return vision, projector, prefill, decode, request
