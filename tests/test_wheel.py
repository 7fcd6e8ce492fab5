"""The wheel: what a user installs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_holds_the_packages_and_their_data(wheel: Path) -> None:
    """All three packages are in it, with every file that is not Python: templates, data, typing markers."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    folders = {"modelmeter": ROOT / "src", "llm_perf_opt": ROOT / "src", "deepseek_ocr_costs": ROOT / "codegen"}
    expected = {
        path.relative_to(parent).as_posix()
        for name, parent in folders.items()
        for path in (parent / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == expected
    assert any(name.endswith(".jinja") for name in packed)


def test_evaluates_without_any_third_party_package(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment the evaluators import nothing but the standard library, and know the anchors.

    A 1024-pixel view through vision and projector is 1,139,967,033,344 FLOPs.
    """
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    library = subprocess.run([python, "-I", "-c", query], check=True, capture_output=True, text=True).stdout.strip()
    with zipfile.ZipFile(wheel) as archive:  # what pip does with a pure wheel
        archive.extractall(library)
    code = (
        "import sys, deepseek_ocr_costs as costs\n"
        "sizes = dict(num_width_tiles=1, num_height_tiles=1)\n"
        "print(costs.vision(**sizes).tensor_core_flops + costs.projector(**sizes).tensor_core_flops)\n"
        "costs.layers, costs.general, costs.breakdown, costs.PROVENANCE\n"
        "own = {'deepseek_ocr_costs'}\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names - own - {'__main__'}))"
    )
    result = subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    flops, third_party = result.stdout.splitlines()
    assert int(flops) == 1_139_967_033_344
    assert third_party == "[]"
