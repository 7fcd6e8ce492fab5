"""Writes the page of predicted and measured times, or checks it: run with ``--out FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from llm_perf_opt.visualize.measured_page import render_measured_page
from modelmeter.support.errors import ModelMeterError
from modelmeter.support.generated_files import StaleError, check_files, write_files

COMMAND = "python -m llm_perf_opt.runners.write_measured_page"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 1 where something is wrong, with one line that says what."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Compare public measurements with predictions.")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not what it should be")
    options = parser.parse_args(arguments)
    out: Path = options.out
    try:
        text = {out.name: render_measured_page()}
        if options.check:
            check_files(text, out.parent)
        else:
            write_files(text, out.parent)
    except StaleError as error:
        print(f"{error.diff}\n{out} is stale; run {COMMAND} --out {out}", file=sys.stderr)
        return 1
    except ModelMeterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
