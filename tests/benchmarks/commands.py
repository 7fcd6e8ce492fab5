"""What commands take as whole processes, and what replaying a certificate takes."""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.tables import Table

import modelmeter
from modelmeter import scaling

COMMAND = ("-m", "llm_perf_opt.cli")
"""What runs a command."""

TITLE = "Commands"
TIME = "processor seconds on this machine"

PLAN = "plan of one page"
PLAN_OF_MANY = "plan of 100,000 pages"
REPORT = "report of a page"
REPLAY = "certificate of a largest batch, replayed"


def measure_process(*arguments: str) -> tuple[float, float]:
    """Return the seconds of a process in which Python runs, and the processor seconds of it and of those it starts.

    It has bytecode, as an installed package has.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=variables)
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return end - begin, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def time_command(*arguments: str) -> float:
    """Return the processor seconds of a command; as :func:`measure_process`."""
    return measure_process(*COMMAND, *arguments)[1]


def write_pages(path: Path, *, count: int) -> None:
    """Write pages, each with other sides and output."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("width", "height", "output_tokens", "count"))
        writer.writerows(
            (300 + index % 3701, 300 + index * 7 % 5701, 1 + index * 13 % 3989, 1) for index in range(count)
        )


def time_replay() -> float:
    """Return the seconds in which a certificate is checked."""
    request = scaling.stage(modelmeter.load(), "request")
    memory = request.weight_bytes + request.kv_cache_bytes + request.peak_activation_bytes
    answer = scaling.largest("batch_size", of=memory, under=80 * 2**30)
    begin = time.process_time()
    answer.check()
    return time.process_time() - begin


def run() -> Table:
    """Run each command once, after one that writes bytecode."""
    with TemporaryDirectory() as folder:
        pages = Path(folder) / "pages.csv"
        write_pages(pages, count=100_000)
        time_command("--help")
        rows = (
            (PLAN, time_command("plan", "--page", "1191x1684", "--card", "l4")),
            (PLAN_OF_MANY, time_command("plan", "--pages", str(pages), "--card", "l4")),
            (REPORT, time_command("report", "--page", "1191x1684", "--out", str(Path(folder) / "report"))),
            (REPLAY, time_replay()),
        )
    return Table(
        title=TITLE,
        note="One run each. A command is a process of its own, from the start of Python to its end.",
        columns=("what", TIME),
        rows=tuple((what, f"{seconds:.2f}") for what, seconds in rows),
    )
