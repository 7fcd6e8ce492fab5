"""The number of image tokens of a page, from the generated evaluators."""

from __future__ import annotations

from llm_perf_opt.errors import RecordError


def image_tokens(*, base_size: int, image_size: int, num_width_tiles: int, num_height_tiles: int) -> int:
    """Return the image tokens of one page: those of its global view and, where there are tiles, those of its tiles.

    Parameters
    ----------
    base_size, image_size
        Side of the global view and of a tile, in pixels.
    num_width_tiles, num_height_tiles
        The tile grid; a product of 0 or 1 means that the page has no tiles.

    Raises
    ------
    RecordError
        If a side is shorter than a patch, or a size is out of range otherwise.
    """
    # Reading records and artifacts works without the evaluators; only a workload needs them.
    import deepseek_ocr_costs

    try:
        return deepseek_ocr_costs.image_tokens(
            base_size=base_size,
            image_size=image_size,
            num_width_tiles=num_width_tiles,
            num_height_tiles=num_height_tiles,
        )
    except deepseek_ocr_costs.CostError as error:
        raise RecordError(str(error)) from None
