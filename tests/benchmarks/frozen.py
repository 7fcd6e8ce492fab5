"""One workload: all stages and frozen evaluators against an expert's hand-written function, sympy and PyTorch."""

from __future__ import annotations

import time

import torch
from tests.benchmarks.by_hand import write_by_hand
from tests.benchmarks.lambdified import formulas_of, lambdify_stages
from tests.benchmarks.tables import RUNS, Table, time_interleaved
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import deepseek_ocr_costs as costs
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.models.deepseek_ocr.reference_decoder import KeyValueCache

PAGE = (1024, 640, 2, 3)
TITLE = "One workload: all 24 metrics of the stages, and those of the request"
STAGES = ("vision", "projector", "prefill", "decode")


def count_page() -> tuple[float, int]:
    """Return the seconds and the FLOPs of FlopCounterMode for one page up to its first token, on the meta device."""
    architecture = DeepSeekOCRArchitecture()
    model = build_reference(architecture, expert_routing="even")
    views = [
        torch.empty(count, 3, side, side, device="meta", dtype=torch.bfloat16) for count, side in ((6, 640), (1, 1024))
    ]
    prompt = torch.zeros(1, 913, dtype=torch.int64, device="meta")
    cache = KeyValueCache(architecture, batch_size=1, capacity=913, device="meta", dtype=torch.bfloat16)
    start = time.perf_counter()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(prompt, cache, views=lambda: iter(views), tile_grid=(2, 3))
    return time.perf_counter() - start, counter.get_total_flops()


def run() -> Table:
    """Time a batch of 3 pages of 1,021 tokens, every size beyond the defaults."""
    sizes = {"batch_size": 3, "seq_len": 1021}
    quadratic = costs.freeze("prefill", metric="tensor_core_flops", free=["seq_len"], batch_size=3)
    request = costs.freeze("request", free=["seq_len"], batch_size=3)
    by_hand = write_by_hand(3, *PAGE, 1021, 1023)
    assert by_hand == tuple(costs.stages(**sizes))
    assert request(1021) == by_hand[-1]
    assert quadratic(1021) == by_hand[2][0]
    with_cse = lambdify_stages(STAGES, arrays=False)
    without_cse = lambdify_stages(STAGES, arrays=False, cse=False)
    formulas = formulas_of(STAGES)
    point = {
        symbol(name): size
        for name, size in {
            **sizes,
            "logits_tokens": 1021,
            "base_size": 1024,
            "image_size": 640,
            "num_width_tiles": 2,
            "num_height_tiles": 3,
            "decode_steps": 1023,
        }.items()
    }
    seconds = time_interleaved(
        {
            "expert by hand, all stages and metrics": lambda: write_by_hand(3, *PAGE, 1021, 1023),
            "generated, all stages and metrics": lambda: costs.stages(batch_size=3, seq_len=1021),
            "generated, the request": lambda: costs.request(batch_size=3, seq_len=1021),
            "frozen in seq_len, the request": lambda: request(1021),
            "frozen in seq_len, one metric": lambda: quadratic(1021),
            "sympy.lambdify (math, cse)": lambda: with_cse(batch_size=3, seq_len=1021),
            "sympy.lambdify (math)": lambda: without_cse(batch_size=3, seq_len=1021),
        },
        runs=2 * RUNS + 1,
        calls=500,
    )
    seconds |= time_interleaved({"sympy subs": lambda: [formula.subs(point) for formula in formulas]})
    counts = [count_page() for _ in range(RUNS)]
    page = costs.stages()
    assert {flops for _, flops in counts} == {sum(cost.tensor_core_flops for cost in page[:3])}
    seconds["FlopCounterMode on meta, one page up to its first token"] = sorted(counts)[RUNS // 2][0]
    unit = seconds["expert by hand, all stages and metrics"]
    return Table(
        title=TITLE,
        note=f"Median of at least {RUNS} interleaved runs, as a ratio to the hand-written function. Generated "
        "and frozen functions check their arguments; the others do not. FlopCounterMode counts matrix products only.",
        columns=("way", "ratio"),
        rows=tuple((name, f"{value / unit:,.3f}") for name, value in seconds.items()),
    )
