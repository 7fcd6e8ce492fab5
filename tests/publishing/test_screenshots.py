"""The README shows the pictures that the script takes, and the workflow publishes the folder of the site."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import yaml
from tests.screenshots import MOST_BYTES, PICTURES, WIDTH

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_each_picture_of_the_script() -> None:
    shown = re.findall(r"!\[[^\]]+\]\((docs/site-[a-z]+\.png)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown == [f"docs/{name}.png" for name in PICTURES]
    for name, picture in PICTURES.items():
        content = (ROOT / "docs" / f"{name}.png").read_bytes()
        assert len(content) <= MOST_BYTES, name
        # the header of a PNG: 8 bytes of signature, then a chunk of 4 + 4 bytes of length and name, width and height
        assert struct.unpack(">II", content[16:24]) == (WIDTH, picture.height), name


def test_the_workflow_publishes_what_make_site_writes() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["publish"]["steps"]
    assert "make site" in [step.get("run") for step in steps]
    folder = next(step["with"]["path"] for step in steps if "upload-pages-artifact" in step.get("uses", ""))
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nsite: ")[2].partition("\n\n")[0]
    assert f"--out {folder}" in recipe
