"""How many pages fit on a card at once, and which stage keeps more from fitting?

Weights, the cache as it is in the end, and the activations of each stage at its peak: the largest batch of each is
derived from the formulas, with a certificate. The least of them is what fits.

Run it with: python examples/largest_batch.py [card] [new tokens]
"""

import argparse
import sys

import modelmeter
from llm_perf_opt.hardware import find_hardware
from modelmeter import scaling
from modelmeter.support.errors import ModelMeterError


def main() -> None:
    """Print the largest batch of each stage, with logits of all positions and of the last one, and what binds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", nargs="?", default="h100-sxm", help="a card that is shipped, or a YAML file of one")
    parser.add_argument("new_tokens", nargs="?", type=int, default=1024, help="how many tokens a page may become")
    options = parser.parse_args()
    hardware = find_hardware(options.card)

    model = modelmeter.load("deepseek-ocr")
    request = scaling.stage(model, "request")
    for logits, sizes in (("all", {}), ("last", {"logits_tokens": 1})):
        fitting = {}
        for name in model.definition.stage_names:
            held = request.weight_bytes + request.kv_cache_bytes + scaling.stage(model, name).peak_activation_bytes
            held = held.at(max_new_tokens=options.new_tokens, **sizes)
            answer = scaling.largest("batch_size", of=held, under=hardware.usable_bytes)
            answer.check()  # replays the certificate
            fitting[name] = answer.value or 0
            print(f"logits of {logits:<4}  at the peak of {name:<9}  {fitting[name]:>6,} pages  {answer.formula}")
        binding = min(fitting, key=fitting.__getitem__)
        print(f"{hardware.name} holds {fitting[binding]:,} pages; {binding} binds.")


if __name__ == "__main__":
    try:
        main()
    except ModelMeterError as error:
        sys.exit(f"error: {error}")
