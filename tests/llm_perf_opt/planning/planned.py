"""Pages and cards that several tests of plans share."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from command_line import Run

from llm_perf_opt.hardware import find_hardware
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.mix import PageMix, make_mix
from llm_perf_opt.planning.pages import Page, ViewRule, group_pages
from llm_perf_opt.planning.setup import Setup
from modelmeter.model.page_views import find_page_views

LOAD = ("--card", "h100-sxm", "--card", "l4", "--pages-per-day", "200000", "--max-latency", "60")

BITS = {"weight_bits": 16, "activation_bits": 16, "kv_bits": 16}


def draw_pages(count: int, seed: int) -> list[Page]:
    """Return pages from receipts to posters, with outputs from one token on."""
    generator = random.Random(seed)
    kinds = ((211, 1009), (601, 641), (1191, 1684), (2480, 3508), (1684, 1191), (7016, 9933))
    return [
        Page(
            generator.choice(kinds)[0] + generator.randrange(97),
            generator.choice(kinds)[1] + generator.randrange(89),
            generator.choice((1, 2, generator.randrange(3, 4001))),
            generator.randrange(1, 4),
        )
        for _ in range(count)
    ]


def make_pages_mix(pages: Iterable[Page], *, mode: str = "gundam", all_logits: bool = False, **bits: Any) -> PageMix:
    """Return the mix of some pages on DeepSeek-OCR, as a serving engine cuts them."""
    model = ServedModel(bits=BITS | bits)
    rule = ViewRule(views=find_page_views(), mode=model.serving.find_mode(mode), preprocessing="serving")
    return make_mix(model, group_pages(pages, [rule])[0], all_logits=all_logits)


def make_setup(card: str = "h100-sxm", **changes: Any) -> Setup:
    """Return one kind of page on a card: A4, 1,024 tokens."""
    fields: dict[str, Any] = {"card": find_hardware(card), "mode": "gundam"}
    if "mix" not in changes:
        fields["mix"] = make_pages_mix([Page(1191, 1684, 1024)])
    return Setup(**(fields | changes))


def write_csv(path: Path, pages: Iterable[Page]) -> Path:
    """Write pages as a CSV."""
    lines = ["width,height,output_tokens,count", *(",".join(map(str, page)) for page in pages)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def plan(run: Run, *arguments: object) -> Any:
    """Return the plan as JSON."""
    result = run("plan", *map(str, arguments), "--json")
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)
