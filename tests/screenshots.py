"""Takes the pictures of the site that the README shows: ``python -m tests.screenshots``; needs Chromium.

The site is built as ``modelmeter publish`` builds it, opened from the disk at the width of a laptop, and photographed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from attrs import frozen

ROOT: Final = Path(__file__).parents[1]
MOST_BYTES: Final = 180_000
"""Of a picture: a clone and a page of the README stay small."""

WIDTH: Final = 1120


@frozen
class Picture:
    """A page of the site, the fragment that is scrolled to, and how many pixels of height are shown."""

    page: str
    fragment: str
    height: int


PICTURES: Final[Mapping[str, Picture]] = {
    "site-front": Picture("index.html", "", 640),
    "site-formula": Picture("stages/prefill.html", "io_bytes", 640),
    "site-calculator": Picture("calculator.html", "", 1060),
}


def take(site: Path, out: Path, browser: str) -> None:
    """Write the pictures of a site.

    Raises
    ------
    ValueError
        If a picture is larger than a README should load.
    """
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for name, picture in PICTURES.items():
            page = opened.new_page(
                viewport={"width": WIDTH, "height": picture.height}, color_scheme="light", reduced_motion="reduce"
            )
            page.goto(f"{(site / picture.page).as_uri()}{f'#{picture.fragment}' if picture.fragment else ''}")
            content = page.screenshot(path=out / f"{name}.png")
            if len(content) > MOST_BYTES:
                raise ValueError(f"{name}: expected at most {MOST_BYTES} bytes; found {len(content)}: show less of it")
            page.close()
        opened.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the site, and write its pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    out: Path = parser.parse_args(arguments).out
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        print("no Chromium here; apt-get install chromium", file=sys.stderr)
        return 1
    from llm_perf_opt.commands.publish import build_files
    from llm_perf_opt.commands.sources import compile_graph, read_graph
    from modelmeter.model.registry import DEFAULT

    with TemporaryDirectory() as folder:
        for path, content in build_files(compile_graph(read_graph(None, DEFAULT), DEFAULT)).items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        take(Path(folder), out, browser)
    return 0


if __name__ == "__main__":
    sys.exit(main())
