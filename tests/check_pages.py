"""Compares what models see of random pages with the processors of transformers: ``python -m tests.check_pages``."""

from __future__ import annotations

import argparse
import ast
import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from modelmeter.frontend.cards.page_rules import (
    LARGEST_RATIO,
    PAGE_RULES,
    GridRule,
    PageRule,
    SliceRule,
    SplitRule,
    TileRule,
)
from modelmeter.support.suggestions import unknown_name

LARGEST_SIDE = 6000

Oracle = Callable[[int, int], tuple[int, ...]]


def find_oracle(name: str, rule: PageRule) -> Oracle:
    """Return the function of transformers from the sides of a page to the sizes that a model sees."""
    if isinstance(rule, GridRule):
        return _find_grid_oracle(name, rule)
    if isinstance(rule, TileRule):
        return _find_tile_grid_oracle(rule) if rule.has_rows else _find_tile_oracle(rule)
    if isinstance(rule, SplitRule):
        return _find_split_oracle(rule)
    if isinstance(rule, SliceRule):
        return _find_slice_oracle(rule)
    return _find_view_oracle()


def _find_grid_oracle(name: str, rule: GridRule) -> Oracle:
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

    def count(width: int, height: int) -> tuple[int, ...]:
        resized = modules[name].smart_resize(height, width, rule.factor, rule.min_pixels, rule.max_pixels)
        rows, columns = (side // rule.factor for side in resized)
        patches = processor.get_number_of_image_patches(height, width)
        patches = patches[0] * patches[1] if isinstance(patches, tuple | list) else patches
        assert patches == 4 * rows * columns, "the processor and the function that it calls"
        return rows, columns

    return count


def _find_tile_oracle(rule: TileRule) -> Oracle:
    from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import DeepseekOcr2ImageProcessorPil

    class Counter(DeepseekOcr2ImageProcessorPil):  # type: ignore[misc]  # transformers has no types
        def crop_image_to_patches(self, image: Any, **options: Any) -> list[Any]:
            patches: list[Any] = super().crop_image_to_patches(image, **options)
            counted.append(len(patches))
            return []  # they are many pixels

        def resize(self, image: Any, size: Any, **_: Any) -> Any:
            return _make_page(size.width, size.height)

        def pad_to_square(self, image: Any, background_color: Any = 0) -> Any:
            return _make_page(1, 1)

    processor, counted = Counter(), list[int]()

    def count(width: int, height: int) -> tuple[int, ...]:
        counted.clear()
        processor._preprocess(
            [_make_page(width, height)], size=processor.size, resample=None, do_rescale=False, rescale_factor=1,
            do_normalize=False, image_mean=None, image_std=None, return_tensors=None, crop_to_patches=True,
            min_patches=rule.min_tiles, max_patches=rule.max_tiles, tile_size=rule.tile_side,
        )  # fmt: skip
        return (sum(counted),)

    return count


def _find_tile_grid_oracle(rule: TileRule) -> Oracle:
    """Return the functions of the processor of Unlimited-OCR, which is there with torchvision only.

    They need none of it: the two that choose the grid are compiled from the file of transformers as they stand there,
    and so are the numbers of the processor that they are called with.
    """
    import transformers

    path = Path(transformers.__file__).parent / "models/unlimited_ocr/image_processing_unlimited_ocr.py"
    module = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    assert {node.name for node in functions} == {"get_all_supported_aspect_ratios", "get_optimal_tiled_canvas"}
    found: dict[str, Any] = {"lru_cache": lru_cache}
    exec(compile(ast.Module(functions, type_ignores=[]), str(path), "exec"), found)  # the library's own code
    (processor,) = (node for node in module.body if getattr(node, "name", "") == "UnlimitedOcrImageProcessor")
    numbers = {
        node.targets[0].id: node.value.value  # type: ignore[attr-defined]  # assignments of a name
        for node in processor.body  # type: ignore[attr-defined]  # a class
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    side, least, most = (numbers[name] for name in ("tile_size", "min_patches", "max_patches"))
    assert (side, least, most) == (rule.tile_side, rule.min_tiles, rule.max_tiles)
    assert numbers["crop_to_patches"] is True

    def count(width: int, height: int) -> tuple[int, ...]:
        if max(height, width) <= side:
            return 1, 1
        grid: tuple[int, int] = found["get_optimal_tiled_canvas"]((height, width), (side, side), least, most)
        return grid

    return count


def _find_split_oracle(rule: SplitRule) -> Oracle:
    from transformers.image_utils import SizeDict
    from transformers.models.smolvlm import image_processing_pil_smolvlm as smol

    class Counter(smol.SmolVLMImageProcessorPil):  # type: ignore[misc]  # transformers has no types
        def resize(self, image: Any, size: Any, **_: Any) -> Any:
            if size.longest_edge:
                height, width = smol.get_resize_output_image_size(image, resolution_max_side=size.longest_edge)
                return _make_page(width, height)
            return _make_page(size.width, size.height)

    processor, side = Counter(), {"longest_edge": rule.tile_side}

    def count(width: int, height: int) -> tuple[int, ...]:
        page = processor.resize(_make_page(width, height), SizeDict(longest_edge=rule.longest_side))
        page = processor.resize_for_vision_encoder(page, rule.tile_side)
        frames, _, _ = processor.split_images(page, side)
        return (len(frames),)

    return count


def _find_slice_oracle(rule: SliceRule) -> Oracle:
    """Return the processor of MiniCPM-OCR with its own ``_preprocess``, on pictures that have no pixels.

    Its package has it with torchvision only, which nothing that chooses sizes needs; its module is there without.
    """
    import torch

    module = import_module("transformers.models.minicpm_ocr.image_processing_minicpm_ocr")

    class Counter(module.MiniCPMOcrImageProcessor):  # type: ignore[misc, name-defined]  # transformers has no types
        def resize(self, image: Any, size: Any, **_: Any) -> Any:
            return make_picture(size.width, size.height)

        def rescale_and_normalize(self, images: Any, *_: Any) -> Any:
            return images

        def reshape_by_patch(self, image: Any, patch_size: int) -> Any:
            return torch.empty(1, 1, 1, device="meta")

    def make_picture(width: int, height: int) -> Any:
        return torch.empty(3, height, width, device="meta")

    processor = Counter(patch_size=rule.factor // 2)
    assert processor.downsample_mode == "4x", "a cell has 2 x 2 patches"
    assert (processor.scale_resolution, processor.max_slice_nums) == (rule.scale_resolution, rule.max_slice_nums)
    options = {
        option: getattr(processor, option) for option in (
            "max_slice_nums", "scale_resolution", "patch_size", "slice_mode", "small_image_upsize", "downsample_mode"
        )
    }  # fmt: skip

    def count(width: int, height: int) -> tuple[int, ...]:
        found = processor._preprocess(
            [make_picture(width, height)], do_resize=True, resample=None, do_rescale=False, rescale_factor=1,
            do_normalize=False, image_mean=None, image_std=None, return_tensors=None, disable_grouping=True, **options,
        )  # fmt: skip
        patches = found["target_sizes"].tolist()
        assert all(side % 2 == 0 for view in patches for side in view)
        overview, *slices = (tuple(side // 2 for side in view) for view in patches)
        (grid,) = found["grids"]
        assert len(slices) == grid[0] * grid[1], "the processor and the grid that it chose"
        assert len(set(slices)) <= 1, "all slices of a page are alike"
        return (*overview, len(slices), *(slices[0] if slices else overview))

    return count


def _find_view_oracle() -> Oracle:
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    processor = Gemma3ImageProcessorPil()
    assert not processor.do_pan_and_scan, "each page is one image"
    return lambda width, height: (1,)


def _make_page(width: int, height: int) -> Any:
    """Return a picture of so many pixels that takes the memory of one."""
    import numpy as np

    return np.broadcast_to(np.uint8(0), (3, height, width))


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
    for width, height in draw_sizes(name, getattr(rule, "factor", 64), count):
        found, expected = rule.find_sizes(width, height), oracle(width, height)
        assert found == expected, f"{name} at {width}x{height}: {found}, and {expected} by transformers"
        compared += 1
    return compared


def main() -> None:
    """Compare all rules, or some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cards", nargs="*", help="names; all of them if none is given")
    parser.add_argument("--sizes", type=int, default=100_000, help="of pages of each model")
    options = parser.parse_args()
    unknown = [name for name in options.cards if name not in PAGE_RULES]
    if unknown:
        parser.error(str(unknown_name("card", unknown[0], PAGE_RULES)))
    for name in options.cards or PAGE_RULES:
        print(f"{name}: {check_rule(name, options.sizes):,} pages are seen as transformers sees them", flush=True)


if __name__ == "__main__":
    main()
