"""Which mode of DeepSeek-OCR is cheapest per page, from which text length on?

A mode with fewer image tokens always costs less, which is proved here for every length of the text. But an image token
carries only so much: the authors report 97 % right up to 10 text tokens for each, so a longer text needs another mode.

Run it with: python examples/cheapest_mode.py [text tokens for each image token]
"""

import argparse
from itertools import pairwise

import modelmeter
from modelmeter import evaluate, scaling
from modelmeter.models.deepseek_ocr.studies.resolution import MODES


def main() -> None:
    """Print the cheapest mode for each range of text lengths, and that it is proved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ratio", nargs="?", type=int, default=10, help="text tokens that an image token carries")
    ratio = parser.parse_args().ratio
    if ratio < 1:
        parser.error("an image token carries at least one text token")
    model = modelmeter.load("deepseek-ocr")
    request = scaling.stage(model, "request")
    (image_tokens,) = (each.formula for each in model.definition.derived if each.name == "image_tokens")

    for cheap, dear in pairwise(MODES):
        costs = (request.tensor_core_flops.at(**MODES[mode]) for mode in (dear, cheap))
        answer = scaling.crossover(*costs, over="max_new_tokens")
        answer.check()  # replays the certificate
        print(f"{dear} costs at least as many FLOPs as {cheap}: {answer.outcome}, {answer.known}")

    first = 1
    for mode, sizes in MODES.items():
        last = ratio * evaluate(image_tokens, {**model.defaults, **sizes})
        cost = request.tensor_core_flops.at(**sizes).settle("max_new_tokens").formula
        flops = [evaluate(cost, {"max_new_tokens": tokens}) / 1e12 for tokens in (first, last)]
        print(f"from {first:>6,} tokens on {mode:<8}  {flops[0]:.2f} to {flops[1]:.2f} TFLOP a page, up to {last:,}")
        first = last + 1


if __name__ == "__main__":
    main()
