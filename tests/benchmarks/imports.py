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


def time_import(folder: str) -> tuple[float, set[str]]:
    """Return the milliseconds of one import in a fresh process, and what it imports beside the standard library.

    Parameters
    ----------
    folder
        Holds the bytecode, as that of an installed package.
    """
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-X", "importtime", "-X", f"pycache_prefix={folder}", "-c", f"import {MODULE}"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=variables).stderr.splitlines()
    found = [re.fullmatch(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)", line) for line in lines]
    modules = [(match[4], int(match[2])) for match in found if match]
    (last, microseconds) = modules[-1]
    assert last == MODULE
    # What an environment imports at the start of every process comes before what the package does.
    start = max(place for place, (name, _) in enumerate(modules) if name == "site")
    roots = {name.partition(".")[0] for name, _ in modules[start:]}
    return microseconds / 1000, roots - sys.stdlib_module_names - {MODULE}


def run() -> Table:
    """Import the evaluators in processes of their own."""
    with TemporaryDirectory() as folder:
        time_import(folder)  # writes the bytecode
        found = [time_import(folder) for _ in range(2 * RUNS + 1)]
    others = sorted(set.union(*(names for _, names in found)))
    return Table(
        title=TITLE,
        note=f"Median of {2 * RUNS + 1} fresh processes, with everything that the import brings.",
        columns=("module", TIME, "beside the standard library"),
        rows=((MODULE, f"{statistics.median(time for time, _ in found):.2f}", ", ".join(others) or "nothing"),),
    )
