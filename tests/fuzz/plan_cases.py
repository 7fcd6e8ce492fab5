"""Cases of the commands that plan and compare."""

from __future__ import annotations

from typing import Final

from tests.fuzz.case import Case, Content
from tests.fuzz.documents import make_file
from tests.fuzz.values import SIZES, Draw
from tests.fuzz.work_cases import FOLDERS, make_card, make_workload

_HEADERS: Final = (
    "width,height,output_tokens", "width,height,output_tokens,count", "Width, Height, output tokens", "width,height",
    "width,width,output_tokens", "width;height;output_tokens", "", "\ufeffwidth,height,output_tokens", "a,b,c",
)  # fmt: skip
_SIDES: Final = ("1191", "1684", "640", "641", "1", "67108864", "67108865", "7016")
_NUMBERS: Final = (
    "0",
    "-1",
    "1",
    "0.5",
    "200000",
    "1e9",
    "1e-9",
    "1e308",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "",
    "x",
    "1_0",
)
_PRICES: Final = ("1.69", "0", "-1", "h100-sxm=2", "h100=2", "l4=1e999", "=", "prices.yaml", "nowhere.yaml", "1.2.3")
_BOOK: Final = {"prices": [{"card": "h100-sxm", "usd_per_hour": 1.5, "source": "x", "date": "2026-01-02"}]}


def make_plan(draw: Draw) -> Case:
    """Return a case of ``plan``; it is of one card, as all of them take a second."""
    files: dict[str, Content] = {}
    arguments = ["plan"]
    kind = draw.randrange(4)
    if kind <= 1:
        arguments += ["--pages", _make_pages(draw, files)]
    elif kind == 2:
        arguments += ["--page", draw.choice(("1191x1684", "1x1", "0x5", "x", "-1x3", "99999x99999", draw.text()))]
    elif draw.chance(0.5):
        arguments += ["--workload", make_workload(draw, files)]
    arguments += [
        "--card",
        make_card(draw, files) if draw.chance(0.15) else draw.choice(("h100-sxm", "l4", "apple-m1-max")),
    ]
    for option, values in (
        ("--pages-per-day", _NUMBERS), ("--pages-per-second", _NUMBERS), ("--max-latency", _NUMBERS),
        ("--reserve", _NUMBERS), ("--gpu-memory-utilization", _NUMBERS), ("--max-num-seqs", SIZES),
        ("--output-tokens", SIZES), ("--prompt-tokens", SIZES), ("--weight-bits", SIZES), ("--kv-bits", SIZES),
        ("--activation-bits", SIZES), ("--price", _PRICES), ("--mode", ("gundam", "tiny", "large", "gundma", "all")),
        ("--preprocessing", ("serving", "transformers", "other")), ("--engine", ("eager", "graphs", "vllm", "x.yaml")),
        ("--dtype", ("bfloat16", "float32", "int8", "fp8")), ("--logits", ("last", "all", "some")),
        ("--tensor-parallel", SIZES), ("--expert-parallel", SIZES), ("--burstiness", _NUMBERS), ("--seed", SIZES),
        ("--headroom", _NUMBERS),
    ):  # fmt: skip
        if draw.chance(0.05):
            arguments += [option, draw.choice(values) if draw.chance(0.9) else draw.text()]
    if "prices.yaml" in arguments:
        files["prices.yaml"] = make_file(draw, _BOOK, is_yaml=True, share_valid=0.3)
    if draw.chance(0.15):
        arguments += ["--out", draw.choice(FOLDERS)]
    if draw.chance(0.3):
        arguments.append("--json")
    return Case(arguments=tuple(arguments), files=files)


_MODELS: Final = (
    "deepseek-ocr", "deepseek-ocr@base", "deepseek-ocr@tiny", "deepseek-ocr@", "@tiny", "deepseek-ocr@huge", "qwen", "",
    "./nowhere", "empty", "notes.txt", "/dev/null", "..", "deepseek-ocr@base@tiny",
)  # fmt: skip


def make_compare(draw: Draw) -> Case:
    """Return a case of ``compare``; most name what is no model. Cards take a minute, so that none is named."""
    files: dict[str, Content] = {}
    arguments = ["compare"]
    if draw.chance(0.5):
        arguments += draw.sample(_MODELS[1:3], 2)
    else:
        arguments += [draw.choice(_MODELS) if draw.chance(0.9) else draw.text() for _ in range(draw.randrange(4))]
    if draw.chance(0.7):
        arguments += ["--page", draw.choice(("1191x1684", "1x1", "0x5", "x", "1x", "99999x99999", draw.text()))]
    for option, values in (
        ("--output-tokens", SIZES), ("--tokens-out", SIZES), ("--prompt-tokens", SIZES), ("--weight-bits", SIZES),
        ("--kv-bits", SIZES), ("--activation-bits", SIZES), ("--price", _PRICES),
        ("--engine", ("eager", "graphs", "x")), ("--dtype", ("bfloat16", "float32", "fp8")),
        ("--card", ("l4", "h1000", "apple-m1-max")),
    ):  # fmt: skip
        if draw.chance(0.07):
            arguments += [option, draw.choice(values) if draw.chance(0.9) else draw.text()]
    if draw.chance(0.1):
        arguments += ["--card", make_card(draw, files)]
    if draw.chance(0.2):
        arguments += ["--out", draw.choice(FOLDERS)]
    if draw.chance(0.3):
        arguments.append("--json")
    return Case(arguments=tuple(arguments), files=files)


def _make_pages(draw: Draw, files: dict[str, Content]) -> str:
    if draw.chance(0.1):
        return draw.choice(("nowhere.csv", "empty", "/dev/null", "/dev/full", "notes.txt", draw.text()))
    header = draw.choice(_HEADERS) if draw.chance(0.4) else _HEADERS[0]
    lines = [header]
    for _ in range(draw.choice((0, 1, 1, 2, 5))):
        cells = [draw.choice(_SIDES) if draw.chance(0.97) else draw.choice(SIZES) for _ in range(header.count(",") + 1)]
        lines.append(",".join(cells))
    text = draw.choice(("\n", "\n", "\r\n")).join(lines)
    files["pages.csv"] = (draw.scribble(text) if draw.chance(0.2) else text).encode("utf-8", "surrogateescape")
    return "pages.csv"
