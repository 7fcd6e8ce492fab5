"""The book of a compiled folder: of a model that nothing in the tree was written for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from compiled_llama import run

from modelmeter.publishing.book.typesetters import TYPESETTERS


@pytest.mark.parametrize("typesetter", ["tex", "typst"])
def test_it_is_set_in_the_words_of_its_model(folder: Path, tmp_path: Path, typesetter: str) -> None:
    if not TYPESETTERS[typesetter].is_installed():
        pytest.skip(f"{TYPESETTERS[typesetter].name} is not installed: it sets no book here")
    target = tmp_path / "book.pdf"
    assert "written" in run("publish", "--book", str(target), "--typesetter", typesetter, "--model", str(folder))
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext is not installed: nothing reads the words of the PDF")
    words = subprocess.run(["pdftotext", target, "-"], capture_output=True, text=True, check=True).stdout
    assert "LlamaDecoderLayer" in words
    assert not re.search(r"deepseek|\bocr\b|vision|gundam|\btiles?\b", words, re.IGNORECASE)
