"""Fits the shipped calibrations on the public measurements and writes them: run with ``--out DIR``. Needs scipy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from llm_perf_opt.planning.calibrate.shipped import render_calibrations
from modelmeter.support.errors import ModelMeterError
from modelmeter.support.generated_files import write_files

COMMAND = "python -m llm_perf_opt.runners.write_calibrations"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 1 where something is wrong, with one line that says what."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Fit the shipped calibrations.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of the calibrations")
    options = parser.parse_args(arguments)
    try:
        write_files(render_calibrations(), options.out)
    except ModelMeterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
