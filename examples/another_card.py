"""What the request of a report would take on another card. Needs nothing but the report's JSON.

Run it with: modelmeter report --out build/report && python examples/another_card.py build/report/report.json
"""

import argparse
import json
import math
from fractions import Fraction
from pathlib import Path

# Dense BF16 peak of the tensor cores and FP32 peak beside them, in FLOP/s; bandwidth in bytes/s; memory in bytes.
CARDS = {
    "NVIDIA A100 SXM4 80GB": (312e12, 19.5e12, 2.039e12, 80 * 2**30),
    "NVIDIA L40S 48GB": (362.05e12, 91.6e12, 864e9, 48 * 2**30),
    "a small card of yours": (100e12, 10e12, 1e12, 6 * 2**30),
}


def predict_ms(operators: list[dict], tensor: float, vector: float, bandwidth: float, efficiency: float) -> float:
    """Return the time of operators one after the other, in milliseconds: each the longer of arithmetic and bytes."""
    seconds = (
        max(
            row["tensor_core_flops"] / tensor + row["cuda_core_flops"] / vector,
            float(Fraction(row["io_bits"])) / 8 / bandwidth,  # "11/2" where a bit is not a whole one
        )
        for row in operators
    )
    return 1000 * math.fsum(seconds) / efficiency


def main() -> None:
    """Print a line for each card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="the report.json of `modelmeter report`")
    path = parser.parse_args().report
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        prediction = report["prediction"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"{path} is no report: {error}")
    request = next(stage for stage in prediction["stages"] if stage["stage"] == "request")
    held = request["weight_bytes"] + request["kv_cache_bytes"] + request["peak_activation_bytes"]
    print(f"{prediction['hardware']['name']:<22} {report['predicted_total_time_ms']:10.3f} ms, as the report says")
    for name, (*rates, memory) in CARDS.items():
        time = predict_ms(prediction["operators"], *rates, prediction["efficiency"])
        print(f"{name:<22} {time:10.3f} ms, {held / memory:4.0%} of its memory")


if __name__ == "__main__":
    main()
