"""What it takes to import the evaluators."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from tempfile import TemporaryDirectory

from tests.benchmarks.tables import RUNS, Table

MODULE = "deepseek_ocr_costs"
TITLE = "Import"
TIME = "milliseconds on this machine"


def time_import(folder: str, module: str = MODULE, path: str = "") -> tuple[float, set[str]]:
    """Return the milliseconds of one import in a fresh process, and what it imports beside the standard library.

    Parameters
    ----------
    folder
        Holds the bytecode, as that of an installed package.
    module, path
        What is imported, and where it is if it is not installed.
    """
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if path:
        variables["PYTHONPATH"] = path
    command = [sys.executable, "-X", "importtime", "-X", f"pycache_prefix={folder}", "-c", f"import {module}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=variables).stderr.splitlines()
    found = [re.fullmatch(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)", line) for line in lines]
    modules = [(match[4], int(match[2])) for match in found if match]
    (last, microseconds) = modules[-1]
    assert last == module
    # What an environment imports at the start of every process comes before what the package does.
    start = max(place for place, (name, _) in enumerate(modules) if name == "site")
    roots = {name.partition(".")[0] for name, _ in modules[start:]}
    return microseconds / 1000, roots - sys.stdlib_module_names - {module}


def time_imports(module: str = MODULE, path: str = "") -> tuple[list[float], list[str]]:
    """Return the milliseconds of imports in fresh processes, and what any brings beside the standard library."""
    with TemporaryDirectory() as folder:
        time_import(folder, module, path)  # writes the bytecode
        found = [time_import(folder, module, path) for _ in range(2 * RUNS + 1)]
    return [time for time, _ in found], sorted(set.union(*(names for _, names in found)))


def run() -> Table:
    """Import the evaluators in processes of their own."""
    milliseconds, others = time_imports()
    return Table(
        title=TITLE,
        note=f"Median of {2 * RUNS + 1} fresh processes, with everything that the import brings.",
        columns=("module", TIME, "beside the standard library"),
        rows=((MODULE, f"{statistics.median(milliseconds):.2f}", ", ".join(others) or "nothing"),),
    )
