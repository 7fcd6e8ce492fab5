"""How many pages fit on a card at once, in every mode of DeepSeek-OCR, and how long such a batch takes.

Run it with: python examples/fill_a_card.py [card]
"""

import argparse
import sys
from bisect import bisect_right

from attrs import evolve

import deepseek_ocr_costs as costs
from llm_perf_opt.data import OCRWorkloadProfile
from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.profiles import find_profile
from llm_perf_opt.reporting.build import ReportRequest, build_report
from llm_perf_opt.reporting.evaluation import sizes_of
from modelmeter.errors import ModelMeterError

MODES = ("tiny", "small", "base", "large", "gundam", "gundam-m")


def hold(profile: OCRWorkloadProfile, num_pages: int) -> int:
    """Return the bytes that a batch needs: parameters, the cache at the end, and activations at their peak."""
    sizes = {**sizes_of(profile, "bfloat16"), "batch_size": num_pages}
    request = costs.request(**sizes)
    return request.weight_bytes + request.kv_cache_bytes + costs.request_peak_activation_bytes(**sizes)


def main() -> None:
    """Print a line for each mode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", nargs="?", default="h100-sxm", help="a card that is shipped, or a YAML file of one")
    hardware = find_hardware(parser.parse_args().card)
    print(f"{hardware.name}, bfloat16, at its peak rates, {hardware.usable_bytes / 2**30:.2f} GiB usable")
    print("mode      pages at once   GiB  seconds  pages per second")
    for mode in MODES:
        profile = find_profile(mode)
        # The bytes grow with the pages, so the most pages that fit are found by halving.
        num_pages = bisect_right(range(1, 2**20), hardware.usable_bytes, key=lambda pages: hold(profile, pages))
        if not num_pages:
            print(f"{mode:<9} {0:>13}  {hold(profile, 1) / 2**30:>4.1f}")
            continue
        report = build_report(ReportRequest(profile=evolve(profile, num_pages=num_pages), hardware=hardware))
        seconds = report.predicted_total_time_ms / 1000
        print(
            f"{mode:<9} {num_pages:>13,}  {hold(profile, num_pages) / 2**30:>4.1f}"
            f"  {seconds:>7.2f}  {num_pages / seconds:>16.1f}"
        )


if __name__ == "__main__":
    try:
        main()
    except ModelMeterError as error:
        sys.exit(f"error: {error}")
