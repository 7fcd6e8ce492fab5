"""``compile --check`` of a model that is traced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from compiled_llama import CONFIG, PACKAGE, forget, refuse, run


def test_a_folder_is_checked_without_a_change(written_llama: Path, tmp_path: Path) -> None:
    """What is written does not depend on the run that writes it: not on its time, and not on how it was counted."""
    copy = Path(shutil.copytree(written_llama, tmp_path / "copy"))
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG), encoding="utf-8")
    assert "current" in run("compile", str(config), "--out", str(copy), "--check")
    file = copy / PACKAGE / "checks.json"
    file.write_text(file.read_text(encoding="utf-8").replace("bfloat16", "float16"), encoding="utf-8")
    refused = refuse("compile", str(config), "--out", str(copy), "--check")
    assert f"generated files are stale; found {PACKAGE}/checks.json;" in refused
    forget()
