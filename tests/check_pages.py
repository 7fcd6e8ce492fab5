"""Compares the cells of random pages with the image processors of transformers: ``python -m tests.check_pages``."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator

from modelmeter.frontend.page_rules import LARGEST_RATIO, PAGE_RULES, PageRule

LARGEST_SIDE = 6000


def find_oracle(name: str, rule: PageRule) -> Callable[[int, int], tuple[int, int]]:
    """Return the function of transformers from the sides of a page to its columns and rows."""
    from transformers.models.hunyuan_vl import image_processing_pil_hunyuan_vl as hunyuan
    from transformers.models.paddleocr_vl import image_processing_pil_paddleocr_vl as paddle
    from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as qwen

    # Qwen3-VL has the processor of Qwen2-VL, as Qwen2.5-VL has.
    modules = {"qwen2.5-vl-3b": qwen, "qwen3-vl-4b": qwen, "paddleocr-vl": paddle, "hunyuanocr": hunyuan}
    processors = {
        "qwen2.5-vl-3b": "Qwen2VLImageProcessorPil", "qwen3-vl-4b": "Qwen2VLImageProcessorPil",
        "paddleocr-vl": "PaddleOCRVLImageProcessorPil", "hunyuanocr": "HunYuanVLImageProcessorPil",
    }  # fmt: skip
    patch = rule.factor // 2
    processor = getattr(modules[name], processors[name])(
        size={"shortest_edge": rule.min_pixels, "longest_edge": rule.max_pixels}, patch_size=patch, merge_size=2
    )

    def count(width: int, height: int) -> tuple[int, int]:
        resized = modules[name].smart_resize(height, width, rule.factor, rule.min_pixels, rule.max_pixels)
        rows, columns = (side // rule.factor for side in resized)
        patches = processor.get_number_of_image_patches(height, width)
        patches = patches[0] * patches[1] if isinstance(patches, tuple | list) else patches
        assert patches == 4 * rows * columns, "the processor and the function that it calls"
        return columns, rows

    return count


def draw_sizes(seed: str, factor: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield random pages; of every third one the sides are whole or half cells, where rounding turns."""
    chance = random.Random(seed)
    while count:
        page = chance.randint(1, LARGEST_SIDE), chance.randint(1, LARGEST_SIDE)
        if not count % 3:
            half = factor // 2
            page = half * chance.randint(1, LARGEST_SIDE // half), half * chance.randint(1, LARGEST_SIDE // half)
        if max(page) <= LARGEST_RATIO * min(page):
            count -= 1
            yield page


def check_rule(name: str, count: int) -> int:
    """Compare a rule at so many pages, and return how many were compared."""
    rule = PAGE_RULES[name]
    oracle = find_oracle(name, rule)
    compared = 0
    for width, height in draw_sizes(name, rule.factor, count):
        found, expected = rule.count_cells(width, height), oracle(width, height)
        assert found == expected, f"{name} at {width}x{height}: {found}, and {expected} by transformers"
        compared += 1
    return compared


def main() -> None:
    """Compare all rules."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, default=100_000, help="of pages of each model")
    sizes = parser.parse_args().sizes
    for name in PAGE_RULES:
        print(f"{name}: {check_rule(name, sizes):,} pages have the cells that transformers gives them")


if __name__ == "__main__":
    main()
