"""Writes the page of predicted and measured times, or checks it: run with ``--out FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from llm_perf_opt.visualize.measured_page import render_measured_page
from modelmeter.support.generator_command import run_generator

COMMAND = "python -m llm_perf_opt.runners.write_measured_page"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 1 where something is wrong, with one line that says what."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Compare public measurements with predictions.")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not what it should be")
    options = parser.parse_args(arguments)
    out: Path = options.out
    return run_generator(
        lambda: {out.name: render_measured_page()}, out.parent, checks=options.check, command=COMMAND, target=out
    )


if __name__ == "__main__":
    sys.exit(main())
