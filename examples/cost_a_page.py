"""What one A4 page costs in every mode of DeepSeek-OCR. Needs nothing but the generated evaluators.

Run it with: python examples/cost_a_page.py
"""

import argparse

import deepseek_ocr_costs as costs

# Sides in pixels of the view of the whole page and of a tile, and the tiles across and down.
# A 1 x 1 grid means that the page is not cut into tiles.
MODES = {
    "tiny": {"base_size": 512, "image_size": 512, "num_width_tiles": 1, "num_height_tiles": 1},
    "small": {"base_size": 640, "image_size": 640, "num_width_tiles": 1, "num_height_tiles": 1},
    "base": {"base_size": 1024, "image_size": 1024, "num_width_tiles": 1, "num_height_tiles": 1},
    "large": {"base_size": 1280, "image_size": 1280, "num_width_tiles": 1, "num_height_tiles": 1},
    "gundam": {"base_size": 1024, "image_size": 640, "num_width_tiles": 2, "num_height_tiles": 3},
    "gundam-m": {"base_size": 1280, "image_size": 1024, "num_width_tiles": 2, "num_height_tiles": 3},
}


def main() -> None:
    """Print a line for each mode."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("mode      image tokens  TFLOP to read  TFLOP to write  GB of cache")
    for mode, sizes in MODES.items():
        # A request is all stages, one after the other, for 10 tokens of prompt and 1,024 new ones.
        request = costs.request(**sizes)
        # Without new tokens but the first there is no decode step: what is left is reading the page.
        reading = costs.request(**sizes, max_new_tokens=1)
        writing = request.tensor_core_flops - reading.tensor_core_flops
        print(
            f"{mode:<9} {costs.image_tokens(**sizes):>12,}  {reading.tensor_core_flops / 1e12:>13.2f}"
            f"  {writing / 1e12:>14.2f}  {request.kv_cache_bytes / 1e9:>11.3f}"
        )


if __name__ == "__main__":
    main()
