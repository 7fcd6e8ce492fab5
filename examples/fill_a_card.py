"""How many pages fit on a card at once, in every mode of DeepSeek-OCR, and how long such a batch takes.

With logits of all positions, as the vendor's code makes them, and of the last position only, as serving engines do.
Run it with: python examples/fill_a_card.py [card]
"""

import argparse
import sys

from attrs import evolve

import deepseek_ocr_costs as costs
from llm_perf_opt.data import OCRWorkloadProfile
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.profiles import find_profile
from llm_perf_opt.reporting.build import ReportRequest, build_report
from llm_perf_opt.reporting.evaluation import sizes_of
from llm_perf_opt.reporting.largest_batch import largest_batch
from modelmeter.support.errors import ModelMeterError

MODES = ("tiny", "small", "base", "large", "gundam", "gundam-m")


def hold(profile: OCRWorkloadProfile, num_pages: int) -> int:
    """Return the bytes that a batch needs: parameters, the cache at the end, and activations at their peak."""
    sizes = {**sizes_of(profile, "bfloat16"), "batch_size": num_pages}
    request = costs.request(**sizes)
    return request.weight_bytes + request.kv_cache_bytes + costs.request_peak_activation_bytes(**sizes)


def main() -> None:
    """Print a line for each mode and choice of logits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", nargs="?", default="h100-sxm", help="a card that is shipped, or a YAML file of one")
    hardware = find_hardware(parser.parse_args().card)
    print(f"{hardware.name}, bfloat16, at its peak rates, {hardware.usable_bytes / 2**30:.2f} GiB usable")
    print("mode      logits  pages at once   GiB  seconds  pages per second")
    for mode in MODES:
        for logits, logits_tokens in (("all", None), ("last", 1)):
            profile = evolve(find_profile(mode), logits_tokens=logits_tokens)  # its towers take a page in a call
            num_pages = largest_batch(sizes_of(profile, "bfloat16"), hardware.usable_bytes)
            line = f"{mode:<9} {logits:<6}  {num_pages:>13,}  {hold(profile, num_pages or 1) / 2**30:>4.1f}"
            if num_pages:
                batch = evolve(profile, num_pages=num_pages)
                report = build_report(ReportRequest(profile=batch, hardware=hardware))
                seconds = report.predicted_total_time_ms / 1000
                line += f"  {seconds:>7.2f}  {num_pages / seconds:>16.1f}"
            print(line)


if __name__ == "__main__":
    try:
        main()
    except ModelMeterError as error:
        sys.exit(f"error: {error}")
