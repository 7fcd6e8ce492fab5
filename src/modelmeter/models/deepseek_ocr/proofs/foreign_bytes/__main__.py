"""Writes the page about bytes, or checks it: run the package with ``--out FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.support.generator_command import run_generator

COMMAND = "python -m modelmeter.models.deepseek_ocr.proofs.foreign_bytes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 1 where something is wrong, with one line that says what."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Compare the bytes of transformers; takes two minutes.")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not what it should be")
    options = parser.parse_args(arguments)
    out: Path = options.out
    return run_generator(lambda: {out.name: make_page()}, out.parent, checks=options.check, command=COMMAND, target=out)


def make_page() -> str:
    """Return the page of the published model and the default workload.

    Raises
    ------
    CountError
        If the transformers package is missing, or a difference has no known cause.
    """
    from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.page import render_page
    from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.page_sections import list_sections

    architecture = DeepSeekOCRArchitecture()
    return render_page(list_sections(architecture, Workload()), architecture)


if __name__ == "__main__":
    sys.exit(main())
