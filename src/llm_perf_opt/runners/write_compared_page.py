"""Writes the page that compares the document models on an A4 page, or checks it: run with ``--out FOLDER``.

Cards are compiled from the modules of transformers first, which takes minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from llm_perf_opt.commands.compare import A4, open_models
from llm_perf_opt.commands.page_views import PageViews
from llm_perf_opt.comparison.compare import ComparisonRequest, compare_models, find_refusals
from llm_perf_opt.defaults import HARDWARE
from llm_perf_opt.planning.request import PlanRequest
from llm_perf_opt.terminal import show_progress
from llm_perf_opt.visualize.comparison_page import FIRST_LINE, render_files
from modelmeter.support.generator_command import run_generator

COMMAND: Final = "python -m llm_perf_opt.runners.write_compared_page"

REGISTERED: Final = ("deepseek-ocr", "deepseek-ocr@base")
OUTPUT_TOKENS: Final = 1000

NAMES: Final = {"README.md": "compared.md", "comparison.json": "compared.json"}
"""What the files of a comparison are called beside the other pages."""


def list_models() -> Iterator[str]:
    """Yield what is compared: the registered models, and every card that looks at pages and writes text."""
    from modelmeter.frontend.cards.page_rules import PAGE_RULES
    from modelmeter.frontend.cards.shipped import CARDS

    yield from REGISTERED
    yield from (name for name, card in CARDS.items() if name in PAGE_RULES and not card.refused)


def render(names: Sequence[str], begin: Callable[[str], None] = lambda step: None) -> dict[str, str]:
    """Return the files of the comparison of models, less those whose formulas do not hold for such pages."""
    pages = tuple(PageViews(page=page).sides for page in A4)
    with open_models(names, begin) as labels:
        request = ComparisonRequest(
            models=labels,
            pages=pages,
            output_tokens=OUTPUT_TOKENS,
            plan=PlanRequest(cards=(HARDWARE,), engine="graphs"),
        )
        refused = find_refusals(request)
        found = compare_models(request.without(refused), begin)
        files = {NAMES[name]: str(text) for name, text in render_files(found).items()}
    head = f"<!-- Written by `{COMMAND}`; do not edit. -->"
    left_out = "".join(f"\n{label} is left out: {reason}.\n" for label, reason in refused.items())
    page = files["compared.md"].replace(FIRST_LINE, head).replace("comparison.json", "compared.json")
    return {**files, "compared.md": page + left_out}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 1 where something is wrong, with one line that says what."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Compare the document models on A4 pages.")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the page and its numbers are")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not what it should be")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="as of `modelmeter compare`; all if left out")
    options = parser.parse_args(arguments)
    out: Path = options.out

    def render_all() -> dict[str, str]:
        with show_progress() as begin:
            return render(options.models or list(list_models()), begin)

    return run_generator(render_all, out, checks=options.check, command=COMMAND, target=out)


if __name__ == "__main__":
    sys.exit(main())
