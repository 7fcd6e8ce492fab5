"""Writes the page about bytes, or checks it: run the package with ``--out FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.support.errors import ModelMeterError
from modelmeter.support.generated_files import StaleError, check_files, write_files

COMMAND = "python -m modelmeter.models.deepseek_ocr.proofs.foreign_bytes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status: 1 where something is wrong, with one line that says what."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Compare the bytes of transformers; takes two minutes.")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not what it should be")
    options = parser.parse_args(arguments)
    out: Path = options.out
    try:
        text = {out.name: make_page()}
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
