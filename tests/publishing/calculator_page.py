"""What tests of the calculator share: workloads as someone types them, and what Python says of each."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

import deepseek_ocr_costs as costs
import modelmeter
from llm_perf_opt.arguments import parse_size
from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import find_hardware
from modelmeter.models.deepseek_ocr.serving import SERVING
from modelmeter.support.errors import ModelMeterError

STAGES: Final = ("vision", "projector", "prefill", "decode")
SIZES: Final = (
    "batch_size", "images_per_prompt", "vision_batch_size", "base_size", "image_size", "num_width_tiles",
    "num_height_tiles", "prompt_tokens", "seq_len", "logits_tokens", "decode_steps", "max_new_tokens", "weight_bits",
    "activation_bits", "kv_bits",
)  # fmt: skip
OPTIONAL: Final = ("prompt_tokens", "seq_len", "logits_tokens", "decode_steps", "max_new_tokens")
STANDARD: Final = {
    "mode": "", "page_width": "", "page_height": "", "preprocessing": "", "expert_routing": "uniform",
    "card": "h100-sxm", "dtype": "bfloat16", "traffic": "fused_io_bytes",
}  # fmt: skip

TYPE: Final = """(workload) => {
  const form = document.querySelector("#calculator").elements;
  for (const [name, value] of Object.entries(workload)) form.namedItem(name).value = value;
  form.namedItem("batch_size").dispatchEvent(new Event("input", { bubbles: true }));
}"""
"""Fills in fields, and tells the page once."""

READ: Final = """() => {
  const cells = [...document.querySelectorAll("button[data-cell]")];
  const isHidden = document.querySelector("#results").hidden;
  const refusal = document.querySelector("#refusal");
  const live = [...document.querySelectorAll("#results .live")].map((each) => each.textContent);
  return {
    refusal: refusal.hidden ? "" : refusal.textContent, isHidden,
    values: Object.fromEntries(cells.map((cell) => [cell.dataset.cell, cell.dataset.value ?? ""])),
    texts: Object.fromEntries(cells.map((cell) => [cell.dataset.cell, cell.textContent])), stale: live.join(""),
  };
}"""
"""What the page shows: its refusal, its numbers, and all text that a script put there."""


def draw_workload(draw: random.Random) -> dict[str, str]:
    """Return the fields of the form, as text; some are no numbers, out of range, or contradict each other."""

    def choose(*usual: object, rare: tuple[object, ...] = ()) -> str:
        return str(draw.choice(rare if rare and draw.random() < 0.04 else usual))

    batch = choose(1, 3, 15, 105, 15 * 10**18, "1_005", rare=(0, -7, "2.5", "1e3", "two", "", "9" * 101))
    bits = (16, 8, 4.5, "11/2", "1.3", 32, 13)
    workload = {
        **STANDARD,
        "batch_size": batch,
        "images_per_prompt": choose(1, 1, 3, rare=(0,)),
        "vision_batch_size": choose(1, 1, 1, 3, 5, rare=(7, 0)),
        "base_size": choose(1024, 1063, 640, 511, rare=(15, "x")),
        "image_size": choose(640, 457, 1023, rare=(7, "")),
        "num_width_tiles": choose(1, 2, 5, rare=(0, -1)),
        "num_height_tiles": choose(1, 3, 7, rare=(0,)),
        "prompt_tokens": choose(0, 10, 997, 10**9 + 7, rare=("", "ten")),
        "seq_len": choose("", "", "", "", "", "", rare=(5003, 3)),
        "logits_tokens": choose("", "", 1, 17, rare=(10**12, 0)),
        "decode_steps": choose("", "", "", rare=(57, 30)),
        "max_new_tokens": choose(1, 1024, 31, rare=("", 0)),
        "weight_bits": choose(*bits, rare=(0, "0.3", "1/0", "16 bits")),
        "activation_bits": choose(*bits, rare=("-8",)),
        "kv_bits": choose(*bits, rare=(".5",)),
        "expert_routing": choose("uniform", "even"),
        "traffic": choose("fused_io_bytes", "io_bytes"),
        "card": choose("h100-sxm", "l4", "a100-sxm-80gb", "apple-m1-max"),
        "dtype": choose("bfloat16", "float16", "float32", rare=("float8_e4m3fn", "int8")),
    }
    if draw.random() < 0.3:
        mode = SERVING.modes[draw.choice([*SERVING.modes])]
        tiles = {} if mode.is_cut else {"num_width_tiles": "1", "num_height_tiles": "1"}
        workload |= {"mode": mode.name, **{name: str(size) for name, size in mode.sizes.items()}, **tiles}
    if draw.random() < 0.4:
        workload["page_width"] = choose(1191, 1684, 640, 2550, 977, 1, rare=(0, "wide", 2**26 + 1))
        workload["page_height"] = choose(1684, 1191, 641, 3300, 1920, rare=("", -3))
        workload["preprocessing"] = choose("", "serving", "transformers")
    return workload


def _read_side(text: str) -> Any:
    return int(text) if text.removeprefix("-").isdigit() else text


def find_sizes(workload: Mapping[str, str]) -> dict[str, Any]:
    """Return what Python evaluates; errors are those of the command line, of ``page_sizes`` and of cards."""
    texts = {name: workload[name] for name in SIZES}
    mode = SERVING.modes.get(workload["mode"])
    if workload["page_width"] or workload["page_height"]:
        views: dict[str, Any] = {name: parse_size(name, texts[name]) for name in ("base_size", "image_size")}
        found = modelmeter.page_sizes(
            _read_side(workload["page_width"]), _read_side(workload["page_height"]), **views,
            crop_mode=mode is None or mode.is_cut, preprocessing=workload["preprocessing"] or None,
        )  # fmt: skip
        texts |= {name: str(size) for name, size in found.items()}
    find_hardware(workload["card"]).matrix_peak(workload["dtype"])
    sizes: dict[str, Any] = {
        name: parse_size(name, text) for name, text in texts.items() if text or name not in OPTIONAL
    }
    return {**sizes, "expert_routing": workload["expert_routing"]}


def _call(function: Callable[..., int], sizes: Mapping[str, Any]) -> int:
    return function(**{name: sizes[name] for name in inspect.signature(function).parameters if name in sizes})


def complete(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Return sizes with those that follow, and without those that they follow from."""
    given = dict(sizes)
    prompt, most = given.pop("prompt_tokens", 10), given.pop("max_new_tokens", 1024)
    given.setdefault("seq_len", _call(costs.image_tokens, sizes) + prompt)
    given.setdefault("logits_tokens", given["seq_len"])
    given.setdefault("decode_steps", most - 1)
    return given


def find_numbers(workload: Mapping[str, str], sizes: Mapping[str, Any]) -> dict[str, str]:
    """Return every number of the page, by its cell: metrics, least microseconds, and bytes that are needed."""
    found, numbers, total = costs.stages(**sizes), {}, complete(sizes)
    card = find_hardware(workload["card"])
    rates = [
        Fraction(repr(rate))
        for rate in (
            card.matrix_peak(workload["dtype"])[0],
            card.vector_flops_per_second,
            card.memory_bytes_per_second,
        )
    ]
    least = 0
    for stage in STAGES:
        cost = getattr(found, stage)
        numbers |= {f"{stage}.{metric}": value for metric, value in cost._asdict().items()}
        fused = _call(getattr(costs, f"{stage}_fused_io_bytes"), total)
        moved = fused if workload["traffic"] == "fused_io_bytes" else cost.io_bytes
        work = (cost.tensor_core_flops, cost.cuda_core_flops, moved)
        time = max(each * 10**6 // rate for each, rate in zip(work, rates, strict=True))
        peak = _call(getattr(costs, f"{stage}_peak_activation_bytes"), total)
        numbers |= {
            f"{stage}.fused_io_bytes": fused, f"{stage}.peak_activation_bytes": peak, f"{stage}.time": time,
        }  # fmt: skip
        least += time
    request, peak = found.request, costs.request_peak_activation_bytes(**sizes)
    numbers |= {f"request.{metric}": value for metric, value in request._asdict().items()}
    numbers |= {
        "request.fused_io_bytes": costs.request_fused_io_bytes(**sizes), "request.peak_activation_bytes": peak,
        "request.time": least, "request.memory": request.weight_bytes + request.kv_cache_bytes + peak,
    }  # fmt: skip
    return {cell: str(value) for cell, value in numbers.items()}


def answer(workload: Mapping[str, str]) -> dict[str, str] | str:
    """Return the numbers of the page, or the message of the refusal."""
    try:
        return find_numbers(workload, find_sizes(workload))
    except (ModelMeterError, RecordError, costs.CostError) as error:
        return str(error)
